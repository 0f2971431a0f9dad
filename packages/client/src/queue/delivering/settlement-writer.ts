import type { Settlement } from '../../engine/engine-io.ts';
import { endedBy } from './settlement-changes.ts';
import type { StoreWatch } from '../store/store-watch.ts';
import type { PartPorts } from '../part-ports.ts';

export interface SettlementWriterPorts
  extends Pick<PartPorts, 'store' | 'alarms' | 'dispatch' | 'post' | 'settled' | 'standDown' | 'report'> {
  readonly watch: StoreWatch;
}

/** A write that failed is tried again after this, doubling, in milliseconds. */
export const WRITE_DELAY_MS_BASE = 1_000;
const WRITE_DELAY_MS_MAX = 30_000;

/** Stores what the engine has settled, in its order, until it is stored or another tab's to settle again. */
export class SettlementWriter {
  private readonly ports: SettlementWriterPorts;
  private unstored: Settlement[] = [];
  private writing: Promise<void> = Promise.resolve();
  private isWaitingToWrite = false;
  /** The last write, of which it is not known whether it is stored all the same. */
  private hasFailed = false;
  private isEnded = false;

  constructor(ports: SettlementWriterPorts) {
    this.ports = ports;
  }

  /** Resolves when what has been settled so far is stored, or waits for the next try. */
  get whenWritten(): Promise<void> {
    return this.writing;
  }

  /** Whether nothing that has been settled waits to be stored. */
  get isAllStored(): boolean {
    return this.unstored.length === 0;
  }

  /** The lead is lost: what is not stored is the next leader's to settle again. */
  drop(): void {
    this.ports.watch.lost(this.unstored);
    this.unstored = [];
  }

  /** Nothing is written after this: what is not stored is as it was, for this tab too where it is opened anew. */
  end(): void {
    this.isEnded = true;
    this.ports.watch.lost(this.unstored);
  }

  /**
   * Verdicts are told at once and stored in turn. While they cannot be stored they are kept; sent again, they would be the
   * same. What is no verdict of the server's holds only once it is stored, and is told then.
   */
  settle(settlements: readonly Settlement[]): void {
    this.ports.watch.noteSettled(settlements);
    this.unstored.push(...settlements);
    this.writing = this.writing.then(() => this.write(WRITE_DELAY_MS_BASE));
    for (const settlement of settlements) if (!isOwn(settlement)) this.ports.settled(settlement);
  }

  private async write(delayMs: number): Promise<void> {
    const settlements = this.unstored;
    if (settlements.length === 0 || this.isEnded || this.isWaitingToWrite) return;
    this.unstored = [];
    try {
      if (!(await this.ports.store.settlements.settle(settlements, this.hasFailed))) {
        this.ports.watch.lost(settlements);
        this.ports.standDown();
        this.ports.dispatch({ kind: 'settlementsLost', seqs: settledSeqs(settlements) });
        return;
      }
      this.hasFailed = false;
      // Again: a look that began since they were settled may have read the store before this commit.
      this.ports.watch.noteSettled(settlements);
      this.ports.post({ kind: 'settled', settlements });
      this.ports.dispatch({ kind: 'settlementsStored', seqs: settledSeqs(settlements) });
      const headers = settlements.flatMap((settlement) => (settlement.kind === 'rebased' ? [settlement.header] : []));
      if (headers.length > 0) this.ports.dispatch({ kind: 'headersStored', headers });
      for (const settlement of settlements)
        if (isOwn(settlement) && this.ports.watch.isNews(settlement)) this.ports.settled(settlement);
    } catch (error) {
      this.unstored = [...settlements, ...this.unstored];
      this.hasFailed = true;
      this.ports.report(error);
      // One alarm for all: verdicts that come meanwhile wait for it too.
      this.isWaitingToWrite = true;
      this.ports.alarms.after(delayMs, () => {
        this.isWaitingToWrite = false;
        this.writing = this.writing.then(() => this.write(Math.min(WRITE_DELAY_MS_MAX, 2 * delayMs)));
      });
    }
  }
}

/** Settled by this device, without a verdict that the server would repeat; or what a person may act on once it stands. */
function isOwn(settlement: Settlement): boolean {
  return (
    settlement.kind === 'cancelled' ||
    settlement.kind === 'rebased' ||
    (settlement.kind === 'failed' && settlement.isOwn === true)
  );
}

/** The numbers of those that are settled now. One that was refused is not, and may be by a verdict that is not stored yet. */
function settledSeqs(settlements: readonly Settlement[]): number[] {
  return settlements.flatMap((settlement) => endedBy(settlement)?.seq ?? []);
}
