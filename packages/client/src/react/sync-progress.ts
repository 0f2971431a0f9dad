import type { AnyQueue } from './queue-context.ts';

/** How far what is pending has come. */
export interface SyncProgress {
  /** Something is on its way. */
  readonly isSyncing: boolean;
  /** Answered by the server since something was pending for the first time; those added meanwhile count in. */
  readonly doneCount: number;
  /** Of those, the ones that it has confirmed. */
  readonly confirmedCount: number;
  /** What is answered, and what is pending; what was taken back is none of them. */
  readonly totalCount: number;
  /** `doneCount / totalCount`: 1 when nothing is pending. */
  readonly doneShare: number;
  readonly failedCount: number;
}

export const ALL_DONE: SyncProgress = {
  isSyncing: false,
  doneCount: 0,
  confirmedCount: 0,
  totalCount: 0,
  doneShare: 1,
  failedCount: 0,
};

/** Counts what settles while something is pending, and begins anew when something is pending again. */
export class ProgressCounter {
  private readonly queue: AnyQueue;
  private snapshot = ALL_DONE;
  private doneCount = 0;
  private confirmedCount = 0;
  private wasDone = true;

  constructor(queue: AnyQueue) {
    this.queue = queue;
    this.look();
  }

  getSnapshot = (): SyncProgress => this.snapshot;

  subscribe = (listener: () => void): (() => void) => {
    const tell = (): void => {
      if (this.look()) listener();
    };
    const stops = [
      this.queue.on('settled', ({ status }) => {
        if (status !== 'cancelled') this.doneCount += 1;
        if (status === 'completed') this.confirmedCount += 1;
        tell();
      }),
      this.queue.subscribe(tell),
    ];
    // What has happened between rendering and now.
    tell();
    return () => {
      for (const stop of stops) stop();
    };
  };

  private look(): boolean {
    const { pendingCount, processingCount, failedCount } = this.queue.getSnapshot();
    if (pendingCount > 0 && this.wasDone) this.doneCount = this.confirmedCount = 0;
    this.wasDone = pendingCount === 0;
    const totalCount = this.doneCount + pendingCount;
    const next: SyncProgress = {
      isSyncing: processingCount > 0,
      doneCount: this.doneCount,
      confirmedCount: this.confirmedCount,
      totalCount,
      doneShare: totalCount === 0 ? 1 : this.doneCount / totalCount,
      failedCount,
    };
    const isSame = (Object.keys(next) as (keyof SyncProgress)[]).every((key) => next[key] === this.snapshot[key]);
    if (!isSame) this.snapshot = next;
    return !isSame;
  }
}
