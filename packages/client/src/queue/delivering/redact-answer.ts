import type { TransportAnswer } from '../../engine/transport-answer.ts';
import { HoldfastError, isHoldfastError, toHoldfastError } from '../../mutation/holdfast-error.ts';
import { isRepeatedIn, REDACTED, type Secrets, withoutSecrets } from '../../mutation/sensitive.ts';
import { ERROR_CODES } from '../../protocol/error-codes.ts';
import type { ErrorCategory, WireError, WireOutcome } from '../../protocol/wire.ts';

/** What is hidden of mutations that were sent, by their ids; empty where none of them has sensitive fields. */
export type SecretsById = ReadonlyMap<string, Secrets>;

/** An answer as it may be stored and told: servers repeat what they were sent, in their words and in the rows they return. */
export function redactAnswer(answer: TransportAnswer, secrets: SecretsById): TransportAnswer {
  if (secrets.size === 0) return answer;
  if (answer.kind !== 'answered') return { ...answer, error: redactCallError(answer.error, secrets) };
  const { rest } = answer;
  return {
    ...answer,
    outcomes: answer.outcomes.map((outcome) => redactOutcome(outcome, secrets)),
    ...(rest === undefined ? {} : { rest: { ...rest, error: redactCallError(rest.error, secrets) } }),
  };
}

/** What a transport threw, as it may be told. */
export function redactThrown(error: unknown, secrets: SecretsById): unknown {
  if (secrets.size === 0) return error;
  const known = toHoldfastError(error).toWire();
  // What is not ours may say anything, also in what it was caused by.
  return new HoldfastError(isHoldfastError(error) ? redactCallError(known, secrets) : retold(known, secrets));
}

function redactOutcome(outcome: WireOutcome, secrets: SecretsById): WireOutcome {
  const own = secrets.get(outcome.id);
  if ('error' in outcome) {
    const { error } = outcome;
    // Of another one in the batch nobody should say anything here, but whoever tells of all of it may.
    const isToBeRetold = own !== undefined || isRepeated(error, secrets);
    return isToBeRetold ? { ...outcome, error: retold(error, secrets) } : outcome;
  }
  return own !== undefined && 'result' in outcome
    ? { ...outcome, result: withoutSecrets(outcome.result, own) }
    : outcome;
}

/** About a whole call: what we or our server say of it, with a code of ours, tells nothing of what was sent. */
function redactCallError(error: WireError, secrets: SecretsById): WireError {
  const isOurs = Object.hasOwn(ERROR_CODES, error.code) && error.code !== 'UNKNOWN_FAILURE';
  return isOurs && !isRepeated(error, secrets) ? error : retold(error, secrets);
}

function isRepeated({ code, message, hint = '' }: WireError, secrets: SecretsById): boolean {
  return [...secrets.values()].some((each) => isRepeatedIn([code, message, hint].join(' '), each));
}

/** In words of ours: those of others may hold any part of what they were sent, in any form. */
function retold({ category, code }: WireError, secrets: SecretsById): WireError {
  const isCode = /^\w{1,64}$/.test(code);
  const isFree = Object.hasOwn(ERROR_CODES, code) || ![...secrets.values()].some((each) => isRepeatedIn(code, each));
  return { category, code: isCode && isFree ? code : REDACTED, message: WORDS[category], hint: HINT };
}

const HINT = 'Go by the code. What was said beside it is not kept, since the change has sensitive fields.';

const WORDS: Readonly<Record<ErrorCategory, string>> = {
  NETWORK_ERROR: 'The server could not be reached.',
  TIMEOUT_ERROR: 'The server did not answer in time.',
  RATE_LIMITED: 'The server takes no more for now.',
  AUTH_ERROR: 'The login was not accepted.',
  FORBIDDEN: 'This login may not do this.',
  VALIDATION_ERROR: 'Something in the change is not valid.',
  CONFLICT: 'The change does not fit what the server has by now.',
  NOT_FOUND: 'What the change is about was not found.',
  SERVER_ERROR: 'The server failed.',
  STORAGE_ERROR: 'It could not be stored or read.',
  CORRUPTED: 'It no longer reads.',
  OUTDATED: 'This version of the app is too old for it.',
  UNKNOWN_ERROR: 'It did not go through.',
};
