import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from '../../ports/clock.ts';

interface Timer {
  readonly atMs: number;
  readonly number: number;
  readonly callback: () => void;
}

/** A clock that stands still until it is told to move. Nothing waits for real time. */
export class FakeClock implements Clock {
  /** What the device believes; may be set to anything. */
  wallOffsetMs = 1_700_000_000_000;
  private elapsedMs = 0;
  private timerCount = 0;
  private timers: Timer[] = [];

  wallMs(): number {
    return this.wallOffsetMs + this.elapsedMs;
  }

  nowMs(): number {
    return this.elapsedMs;
  }

  schedule(delayMs: number, callback: () => void): () => void {
    this.timerCount += 1;
    const timer: Timer = { atMs: this.elapsedMs + Math.max(0, delayMs), number: this.timerCount, callback };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((each) => each !== timer);
    };
  }

  /** Timers that are waiting. */
  get waitingCount(): number {
    return this.timers.length;
  }

  /** Lets everything happen that needs no time: every promise that can settle has settled. */
  async settle(): Promise<void> {
    for (let round = 0; round < 5; round += 1) await turn();
  }

  /** Lets this much time pass, every timer at its time and with all that follows from it. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.elapsedMs + ms;
    await this.settle();
    for (let next = this.firstDue(untilMs); next !== undefined; next = this.firstDue(untilMs)) {
      const { atMs, callback } = next;
      this.timers = this.timers.filter((each) => each !== next);
      this.elapsedMs = Math.max(this.elapsedMs, atMs);
      callback();
      await this.settle();
    }
    this.elapsedMs = untilMs;
  }

  private firstDue(untilMs: number): Timer | undefined {
    return this.timers
      .filter(({ atMs }) => atMs <= untilMs)
      .toSorted((left, right) => left.atMs - right.atMs || left.number - right.number)[0];
  }
}
