import type { RestAnswer, TransportAnswer } from '../engine/transport-answer.ts';
import type { ClientNotice, WireMutation, WireOutcome } from '../protocol/wire.ts';
import { tightest } from './pace.ts';

/** What became of a part of a batch that went its own way: to a handler, or by another transport. */
export interface PartAnswer {
  readonly mutations: readonly WireMutation[];
  readonly answer: TransportAnswer;
}

/**
 * The answer to a batch whose parts went different ways. While any of them was answered, one whose line failed is merely
 * `deferred` (it goes again at growing distances, and uses no attempt): a line that carries others is not down. What is not
 * among the parts has no outcome and just goes again.
 */
export function combineAnswers(parts: readonly PartAnswer[]): TransportAnswer {
  const outcomes = parts.flatMap(outcomesOf);
  const failures = parts.map(({ answer }) => answer).filter((answer) => answer.kind !== 'answered');
  const firstFailure = [...failures].sort((left, right) => rank(left) - rank(right))[0];
  const pace = tightest(
    parts.flatMap(({ answer }) => (answer.kind === 'answered' && answer.pace !== undefined ? [answer.pace] : [])),
  );
  if (outcomes.length === 0 && firstFailure !== undefined) return firstFailure;
  const rest = restOf(parts, firstFailure);
  const deferred = parts.flatMap(deferredOf);
  return {
    kind: 'answered',
    outcomes: [...outcomes, ...deferred],
    ...(pace === null ? {} : { pace }),
    ...(rest === undefined ? {} : { rest }),
    ...noticeOfParts(parts),
  };
}

/** The first thing that any server says of the client; being behind comes before all. */
function noticeOfParts(parts: readonly PartAnswer[]): { readonly client?: ClientNotice } {
  const notices = parts.flatMap(({ answer }) => (answer.kind === 'answered' ? (answer.client ?? []) : []));
  const client = notices.find(({ behind }) => behind !== undefined) ?? notices[0];
  return client === undefined ? {} : { client };
}

function outcomesOf({ mutations, answer }: PartAnswer): readonly WireOutcome[] {
  if (answer.kind === 'answered') return answer.outcomes;
  const [only] = mutations;
  // One that is refused alone is itself the reason.
  if (answer.kind !== 'batchRefused' || mutations.length !== 1 || only === undefined) return [];
  return [{ seq: only.seq, id: only.id, kind: 'rejected', error: answer.error }];
}

function deferredOf({ mutations, answer }: PartAnswer): readonly WireOutcome[] {
  const isLineFailure = answer.kind === 'unreachable' || answer.kind === 'unknown' || answer.kind === 'unavailable';
  if (!isLineFailure || (answer.kind === 'unavailable' && answer.retryAfterMs !== null)) return [];
  return mutations.map(({ seq, id }) => ({ seq, id, kind: 'deferred' }));
}

/** What is to be done before the rest can go; one at a time, the others come up when they go again. */
function restOf(parts: readonly PartAnswer[], firstFailure: TransportAnswer | undefined): RestAnswer | undefined {
  switch (firstFailure?.kind) {
    case 'unauthorized':
    case 'forbidden':
    case 'upgradeRequired':
    case 'rateLimited':
      return firstFailure;
    case 'batchRefused':
      return parts.some(({ mutations, answer }) => answer.kind === 'batchRefused' && mutations.length > 1)
        ? firstFailure
        : undefined;
    case 'unavailable':
      return askedFor(parts);
    default:
      return undefined;
  }
}

/** A server that is away and says for how long is not asked before. */
function askedFor(parts: readonly PartAnswer[]): RestAnswer | undefined {
  for (const { answer } of parts) {
    if (answer.kind === 'unavailable' && answer.retryAfterMs !== null) {
      return { kind: 'rateLimited', error: answer.error, retryAfterMs: answer.retryAfterMs };
    }
  }
  return undefined;
}

/** Whichever needs somebody to do something comes first, and what says least last. */
const RANKS: readonly TransportAnswer['kind'][] = [
  'unauthorized',
  'forbidden',
  'upgradeRequired',
  'rateLimited',
  'batchRefused',
  'unavailable',
  'unknown',
  'unreachable',
  'calledOff',
  'answered',
];

function rank({ kind }: TransportAnswer): number {
  return RANKS.indexOf(kind);
}
