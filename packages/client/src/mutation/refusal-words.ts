import type { WireError } from '../protocol/wire.ts';

/** By SQLSTATE, or its class. */
const WORDS: Readonly<Record<string, string>> = {
  '22': 'A value in it does not fit.',
  '23': 'It breaks a rule of the data.',
  '23502': 'Something in it is missing.',
  '23503': 'What it belongs to is not there, or something belongs to it.',
  '23505': 'There is one like it already.',
  '42501': 'You are not allowed to do this.',
};
/** How Postgres itself begins or goes on; whoever raises one of its codes in a handler has words of their own. */
const OF_POSTGRES = /violates|permission denied|value too long|out of range|overflow|invalid (input|byte)|division by/;

/** What a server has said, for the person whose change it is: a database names tables and constraints, which only whoever keeps it knows. */
export function messageForPeople({ code, message }: Pick<WireError, 'code' | 'message'>): string {
  return OF_POSTGRES.test(message) ? (WORDS[code] ?? WORDS[code.slice(0, 2)] ?? message) : message;
}

/**
 * Why a change was not accepted and what to do about it, in sentences for people. Where a database says so in its own words ("violates
 * check constraint …"), a sentence stands for them; the error keeps them, for whoever looks into it.
 */
export function describeRefusal(error: Pick<WireError, 'code' | 'message' | 'hint'>): string {
  const message = messageForPeople(error);
  // What a database hints at is its own business as well.
  return message !== error.message || error.hint === undefined ? message : `${message} ${error.hint}`;
}
