import type { Settlement } from '../engine/engine-io.ts';
import type { ActTelemetry, Telemetry, TypeTelemetry } from '../protocol/wire.ts';

/** Types that are counted apart in one report; what comes after waits for the next. */
const TYPES_MAX = 100;

type Counts = { -readonly [Name in keyof TypeTelemetry]: TypeTelemetry[Name] };

/**
 * What the server's logs are told of this device: verdicts, counted by type. A report travels with a batch, under the same id
 * until the server has taken it, and is counted there once. Kept in memory only: what was not reported when the page was
 * closed is lost, and nothing depends on it. Acts of people are kept in the store until the server has taken them.
 */
export class ReportBook {
  private types = new Map<string, Counts>();
  private onItsWay: Pick<Telemetry, 'id' | 'types'> | null = null;
  /** Of the mutation counted last, and how many reports there were: together they name a report. */
  private lastId = '';
  private reportCount = 0;

  settled(settlement: Settlement): void {
    this.lastId = idOf(settlement);
    switch (settlement.kind) {
      case 'completed': {
        const { type, attemptCount, createdAtMs, confirmedAtMs } = settlement.record;
        const counts = this.countsOf(type);
        const processingMs = Math.max(0, Math.round(confirmedAtMs - createdAtMs));
        counts.completed += 1;
        counts.retries += Math.max(0, attemptCount - 1);
        counts.processingMsTotal += processingMs;
        counts.processingMsMax = Math.max(counts.processingMsMax, processingMs);
        return;
      }
      case 'failed': {
        const { type, attempts } = settlement.deadLetter.header;
        const counts = this.countsOf(type);
        counts.failed += 1;
        counts.retries += Math.max(0, attempts.length - 1);
        return;
      }
      case 'cancelled':
        this.countsOf(settlement.header.type).cancelled += 1;
        return;
      case 'refused':
      case 'rebased':
    }
  }

  /** What to send along, or null when nothing has happened. The same until it was taken; only queue and acts are as they are now. */
  next(queue: Telemetry['queue'], acts: readonly ActTelemetry[]): Telemetry | null {
    if (this.onItsWay === null) {
      if (this.types.size === 0 && acts.length === 0) return null;
      const told = [...this.types.values()].slice(0, TYPES_MAX);
      for (const { type } of told) this.types.delete(type);
      this.reportCount += 1;
      const number = this.reportCount.toString(16).padStart(8, '0').slice(-8);
      this.onItsWay = { id: `${number}${(this.lastId || (acts[0]?.key ?? '')).slice(8, 36)}`, types: told };
    }
    return { ...this.onItsWay, queue, ...(acts.length === 0 ? {} : { acts }) };
  }

  taken(): void {
    this.onItsWay = null;
  }

  private countsOf(type: string): Counts {
    const known = this.types.get(type);
    if (known !== undefined) return known;
    const counts: Counts = {
      type,
      completed: 0,
      failed: 0,
      cancelled: 0,
      retries: 0,
      processingMsTotal: 0,
      processingMsMax: 0,
    };
    this.types.set(type, counts);
    return counts;
  }
}

function idOf(settlement: Settlement): string {
  switch (settlement.kind) {
    case 'completed':
      return settlement.record.id;
    case 'failed':
      return settlement.deadLetter.header.id;
    default:
      return settlement.header.id;
  }
}
