import type { Clock } from '../ports/clock.ts';

/** One run of the app in one tab. Once it has ended, nothing that it began comes back to it, as after a crash. */
export class AppRun {
  private isOver = false;
  private readonly endings = new Set<() => void>();

  get isAlive(): boolean {
    return !this.isOver;
  }

  /** Called when the run ends; returns what calls it off. */
  onEnd(ending: () => void): () => void {
    this.endings.add(ending);
    return () => this.endings.delete(ending);
  }

  end(): void {
    if (this.isOver) return;
    this.isOver = true;
    for (const ending of this.endings) ending();
    this.endings.clear();
  }

  /** The same promise for as long as the run lasts; afterwards it never settles. */
  guard<Value>(promise: Promise<Value>): Promise<Value> {
    return new Promise((resolve, reject) => {
      promise.then(
        (value) => {
          if (!this.isOver) resolve(value);
        },
        (error: unknown) => {
          if (!this.isOver) reject(error as Error);
        },
      );
    });
  }

  /** A clock whose alarms do not ring after the end. */
  clockOf(clock: Clock): Clock {
    return {
      wallMs: () => clock.wallMs(),
      nowMs: () => clock.nowMs(),
      schedule: (delayMs, callback) => {
        if (this.isOver) return () => {};
        const cancel = clock.schedule(delayMs, () => {
          forget();
          callback();
        });
        const forget = this.onEnd(cancel);
        return () => {
          forget();
          cancel();
        };
      },
    };
  }
}
