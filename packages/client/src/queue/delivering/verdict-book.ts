import type { Settlement } from '../../engine/engine-io.ts';
import { keepLatest } from '../../engine/keep-latest.ts';
import type { MutationOptions } from '../../mutation/definition.ts';
import { type ErrorDetails, errorFromWire, type HoldfastError } from '../../mutation/holdfast-error.ts';
import type { CompletedRecord, MutationHeader } from '../../mutation/record.ts';
import { listenerFailed } from '../../telemetry/emitter.ts';
import type { Json } from '../../protocol/wire.ts';
import { openedConflict } from './conflict-desk.ts';
import type { QueueEvents, Settled } from '../queue-events.ts';
import type { Ending } from '../store/history.ts';

type OnRetry = NonNullable<MutationOptions['onRetry']>;

/** A confirmed mutation that stays in memory. */
export interface Recent {
  readonly record: CompletedRecord;
  /** Whether fresh data contains its effect. */
  isObserved: boolean;
}

export interface VerdictListeners {
  readonly settled: (event: Settled) => void;
  readonly retryComplete: (event: QueueEvents['retryComplete']) => void;
  readonly error: (error: HoldfastError) => void;
  readonly conflict: (event: QueueEvents['conflict']) => void;
}

/** Confirmed mutations that stay in memory, for status and hooks. */
const RECENT_COUNT = 200;

/** Tells each verdict once to all who wait for it, whichever tab it came to, and remembers the latest. */
export class VerdictBook {
  private readonly listeners: VerdictListeners;
  private readonly waiters = new Map<string, ((settled: Settled) => void)[]>();
  /** The latest confirmed ones, oldest first. */
  private readonly confirmed = new Map<string, Recent>();
  private readonly onRetries = new Map<string, OnRetry[]>();

  constructor(listeners: VerdictListeners) {
    this.listeners = listeners;
  }

  recent(id: string): Recent | undefined {
    return this.confirmed.get(id);
  }

  newest(limit: number, isWanted: (record: CompletedRecord) => boolean = () => true): readonly Recent[] {
    const wanted = [...this.confirmed.values()].filter(({ record }) => isWanted(record));
    return wanted.reverse().slice(0, Math.max(0, limit));
  }

  onRetry(id: string, callback: OnRetry): void {
    this.onRetries.set(id, [...(this.onRetries.get(id) ?? []), callback]);
  }

  waitFor(id: string, resolve: (settled: Settled) => void): void {
    const waiting = this.waiters.get(id);
    // Of most there is one, and a list that was grown keeps room for many.
    this.waiters.set(id, waiting === undefined ? [resolve] : [...waiting, resolve]);
  }

  take(settlement: Settlement): void {
    switch (settlement.kind) {
      case 'completed': {
        const { record, result, wasRepeat } = settlement;
        const isKnown = this.confirmed.has(record.id);
        const settled = completedOf(record, result, wasRepeat);
        this.remember(record);
        // Told once, though several tabs or a repeat may bring it again; but whoever has begun to wait since is answered.
        if (isKnown) this.answer(settled);
        else this.verdict(settled, record.attemptCount);
        return;
      }
      case 'failed': {
        const { header, error } = settlement.deadLetter;
        // Of one that a server had confirmed and has forgotten, what comes next is told anew.
        this.confirmed.delete(header.id);
        this.verdict({ status: 'failed', id: header.id, error }, header.attempts.length);
        this.listeners.error(errorFromWire(error, detailsOf(header, true)));
        return;
      }
      case 'cancelled':
        this.verdict(
          {
            status: 'cancelled',
            id: settlement.header.id,
            ...(settlement.reason === 'takenBack' ? {} : { reason: settlement.reason }),
          },
          0,
        );
        return;
      case 'rebased': {
        const header = openedConflict(settlement);
        if (header === undefined) return;
        this.conflicting(header);
        return;
      }
      case 'refused': {
        const { id, attempts } = settlement.header;
        const error = attempts.at(-1)?.error;
        if (error === undefined) return;
        this.callOnRetry({ id, attemptCount: attempts.length, error });
        this.listeners.error(errorFromWire(error, detailsOf(settlement.header, false)));
        return;
      }
    }
  }

  /** It waits for a person to choose: from now on, or since an earlier run. */
  conflicting({ id, type, entity, edit }: MutationHeader): void {
    this.listeners.conflict({ id, type, entity, fields: edit?.conflict?.fields ?? [] });
  }

  private callOnRetry(event: Parameters<OnRetry>[0]): void {
    for (const callback of this.onRetries.get(event.id) ?? []) {
      try {
        callback(event);
      } catch (error) {
        this.listeners.error(listenerFailed(error));
      }
    }
  }

  private answer(settled: Settled): void {
    for (const resolve of this.waiters.get(settled.id) ?? []) resolve(settled);
    this.waiters.delete(settled.id);
  }

  private verdict(settled: Settled, attemptCount: number): void {
    this.onRetries.delete(settled.id);
    this.answer(settled);
    this.listeners.settled(settled);
    if (attemptCount > 1)
      this.listeners.retryComplete({ id: settled.id, isSuccess: settled.status === 'completed', attemptCount });
  }

  discarded(ids: readonly string[], ending: Ending): void {
    for (const id of ids) this.verdict(cancelled(id, ending), 0);
  }

  private remember(record: CompletedRecord): void {
    this.confirmed.set(record.id, { record, isObserved: false });
    keepLatest(this.confirmed, RECENT_COUNT);
  }
}

/** What is told of one that is confirmed. */
export function completedOf({ id, left }: CompletedRecord, result: Json = null, wasRepeat = true): Settled {
  const completed = { status: 'completed', id, result, wasRepeat } as const;
  return left === undefined ? completed : { ...completed, rowVersion: left.rowVersion };
}

/** What is told of one that was disposed of. */
export function cancelled(id: string, ending: Ending): Settled {
  return { status: 'cancelled', id, ...(ending === 'unconfirmed' ? { reason: ending } : {}) };
}

function detailsOf({ id, type, entity, attempts }: MutationHeader, isFinal: boolean): ErrorDetails {
  return { mutationId: id, type, entity, attemptCount: attempts.length, isFinal };
}
