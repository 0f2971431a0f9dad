import type { Clock } from '../../ports/clock.ts';

/** What failed is tried again after this, in milliseconds. */
export const AGAIN_MS = 1_000;

/** Alarms of one run of a queue: after it has ended, none rings. */
export class Alarms {
  private readonly clock: Clock;
  private readonly cancels = new Set<() => void>();
  private isEnded = false;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Calls back after the delay, in milliseconds; returns what calls it off. */
  after(delayMs: number, callback: () => void): () => void {
    const cancel = this.clock.schedule(delayMs, () => {
      this.cancels.delete(cancel);
      if (!this.isEnded) callback();
    });
    this.cancels.add(cancel);
    return () => {
      this.cancels.delete(cancel);
      cancel();
    };
  }

  /** Does this until it succeeds: what goes wrong is reported, and it is done again after a second. */
  insist(work: () => Promise<unknown>, report: (error: unknown) => void): void {
    work().catch((error: unknown) => {
      report(error);
      this.after(AGAIN_MS, () => this.insist(work, report));
    });
  }

  /** Whether it has resolved when the time is over, in milliseconds. */
  within(timeoutMs: number, promise: Promise<unknown>): Promise<boolean> {
    return new Promise((resolve) => {
      const stop = this.after(timeoutMs, () => resolve(false));
      const end = (hasResolved: boolean): void => {
        stop();
        resolve(hasResolved);
      };
      promise.then(
        () => end(true),
        () => end(false),
      );
    });
  }

  end(): void {
    this.isEnded = true;
    for (const cancel of this.cancels) cancel();
    this.cancels.clear();
  }
}
