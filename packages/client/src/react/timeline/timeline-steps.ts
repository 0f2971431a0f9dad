import type { MutationStatus } from '../../queue/mutation-status.ts';
import type { PillState } from '../status-text.ts';

/** One step of a mutation. */
export interface TimelineStep {
  readonly kind: 'stored' | 'retried' | 'waiting' | 'sent' | 'confirmed' | 'observed' | 'failed' | 'cancelled';
  /** `ahead`: it has not happened yet. */
  readonly state: 'done' | 'current' | 'ahead';
  readonly tone: PillState['tone'];
  readonly text: string;
  /** When it happened, by the device's clock, or, for what waits, when it is tried; null where that is not known. */
  readonly atMs: number | null;
  /** What was said, or what it waits for; null for nothing. */
  readonly detail: string | null;
}

/**
 * The steps of a mutation, in order: stored, each answer that was no, sent, confirmed, seen in fresh data; those ahead too.
 * `attempts` are the answers seen so far: of one that is confirmed only their number is kept.
 */
export function timelineOf(
  status: MutationStatus,
  attempts: MutationStatus['attempts'] = status.attempts,
): readonly TimelineStep[] {
  const { revision, createdAtMs, attemptCount, settledAtMs, stage, lastError, sentence } = status;
  const stored: TimelineStep = {
    ...done('stored', 'Saved on this device', createdAtMs),
    detail: revision === 0 ? null : `Rewritten ${times(revision)} before it was sent.`,
  };
  const retried = attempts.map(
    ({ attemptNumber, answeredAtMs, error }): TimelineStep => ({
      ...done('retried', `Attempt ${attemptNumber} was not accepted`, answeredAtMs),
      tone: 'waiting',
      detail: [error.message, error.hint].filter(Boolean).join(' '),
    }),
  );
  // Of one that is confirmed the last answer was yes.
  const untold = attemptCount - (status.status === 'completed' ? 1 : 0) - attempts.length;
  if (untold > 0) retried.unshift({ ...done('retried', `Not accepted ${times(untold)}`, null), tone: 'waiting' });
  const before = [stored, ...retried];

  switch (status.status) {
    case 'pending':
      return [
        ...before,
        {
          kind: 'waiting',
          state: 'current',
          tone: 'waiting',
          text: attemptCount === 0 ? 'Waiting to be sent' : 'Waiting to be sent again',
          atMs: status.nextAttemptAtMs,
          detail: sentence,
        },
        ahead('sent', 'Sent'),
        ...AHEAD,
      ];
    case 'processing':
      return [
        ...before,
        { ...done('sent', 'On its way to the server', null), state: 'current', tone: 'busy' },
        ...AHEAD,
      ];
    case 'completed': {
      const isObserved = stage === 'observed';
      return [
        ...before,
        done('sent', 'Sent', null),
        done('confirmed', 'Confirmed by the server', settledAtMs),
        isObserved ? done('observed', 'Seen in fresh data', null) : ahead('observed', 'Seen in fresh data'),
      ];
    }
    case 'failed': {
      const detail = [sentence, lastError?.hint].filter(Boolean).join(' ');
      // The answer that ended it is the last of the attempts, and told once; where a device ended it by itself, there is none.
      const isTold = attempts.length > 0 && attempts.at(-1)?.error.message === lastError?.message;
      return [
        ...(isTold ? before.slice(0, -1) : before),
        { ...done('failed', 'Not accepted', settledAtMs), tone: 'alert', detail },
      ];
    }
    case 'cancelled':
      return [...before, { ...done('cancelled', 'Discarded', settledAtMs), tone: 'alert', detail: sentence }];
  }
}

const AHEAD: readonly TimelineStep[] = [
  ahead('confirmed', 'Confirmed by the server'),
  ahead('observed', 'Seen in fresh data'),
];

function done(kind: TimelineStep['kind'], text: string, atMs: number | null): TimelineStep {
  return { kind, state: 'done', tone: 'calm', text, atMs, detail: null };
}

function ahead(kind: TimelineStep['kind'], text: string): TimelineStep {
  return { ...done(kind, text, null), state: 'ahead', tone: 'waiting' };
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}
