import type { TransportAnswer } from '../../engine/transport-answer.ts';
import { HoldfastError } from '../../mutation/holdfast-error.ts';
import type { WireOutcome } from '../../protocol/wire.ts';

const ANSWERS: Readonly<Record<TransportAnswer['kind'], true>> = {
  answered: true,
  unreachable: true,
  unknown: true,
  unavailable: true,
  rateLimited: true,
  calledOff: true,
  unauthorized: true,
  forbidden: true,
  upgradeRequired: true,
  batchRefused: true,
};

const OUTCOMES: Readonly<Record<WireOutcome['kind'], true>> = {
  applied: true,
  duplicate: true,
  rejected: true,
  refused: true,
  conflict: true,
  deferred: true,
};

/**
 * What a transport gave, if it is one of the answers that there are. It may be an app's own, and written without types:
 * from here on the kinds are relied on. Throws `UNREADABLE_ANSWER`.
 */
export function readAnswer(answer: TransportAnswer): TransportAnswer {
  if (!isOneOf(ANSWERS, answer)) throw unreadable('it is of no known kind');
  if (answer.kind !== 'answered') return answer;
  const outcomes: unknown = answer.outcomes;
  if (!Array.isArray(outcomes)) throw unreadable('it has no list of outcomes');
  if (!outcomes.every((outcome: unknown) => isOneOf(OUTCOMES, outcome)))
    throw unreadable('an outcome in it is of no known kind');
  return answer;
}

function isOneOf(kinds: Readonly<Record<string, true>>, value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('kind' in value)) return false;
  return typeof value.kind === 'string' && Object.hasOwn(kinds, value.kind);
}

function unreadable(reason: string): HoldfastError {
  return new HoldfastError({
    code: 'UNREADABLE_ANSWER',
    message: `The transport gave an answer that cannot be read: ${reason}.`,
    hint: 'Correct the transport. What was sent goes again under the same id.',
  });
}
