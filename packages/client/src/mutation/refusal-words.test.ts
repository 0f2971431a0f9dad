import { expect, test } from 'vitest';
import { POSTGRES_ERRORS } from '../delivery/fixtures/postgres-errors.ts';
import { describeRefusal } from './refusal-words.ts';

test('E2, E8 · what a database says of a change in its own words is a sentence for people', () => {
  const verdicts = POSTGRES_ERRORS.filter(({ code }) => /^(22|23|42501|P0001)/.test(code));

  expect(verdicts.map((error) => `${error.code} ${describeRefusal(error)}`)).toMatchInlineSnapshot(`
    [
      "23505 There is one like it already.",
      "23502 Something in it is missing.",
      "23514 It breaks a rule of the data.",
      "23503 What it belongs to is not there, or something belongs to it.",
      "22001 A value in it does not fit.",
      "22003 A value in it does not fit.",
      "22P02 A value in it does not fit.",
      "22008 A value in it does not fit.",
      "22012 A value in it does not fit.",
      "P0001 Not while it is closed. Open it.",
      "42501 You are not allowed to do this.",
    ]
  `);
});

test('E2, E8 · what an app says itself under a code of the database stays as it is, with what to do', () => {
  const error = { code: '23514', message: 'A closed airport has no owner.', hint: 'Open it first.' };

  expect(describeRefusal(error)).toBe('A closed airport has no owner. Open it first.');
});
