import type { Clock } from '../ports/clock.ts';
import { turn } from './system-turn.ts';

interface Timer {
  readonly atMs: number;
  readonly number: number;
  readonly callback: () => void;
}

/** In this many turns in a row nothing may happen, before all counts as settled. */
const QUIET_TURNS = 5;
/** More turns than this without rest means that something calls itself again and again. */
const TURNS_MAX = 100_000;
/** `until` gives up after this much virtual time. */
const UNTIL_MS = 30 * 24 * 3_600_000;

/**
 * Virtual time. It stands still until it is told to move, and then jumps from one alarm to the next, so that an hour takes
 * as long as what happens in it. Only the simulators' own delays (latency, a slow disk) pass by themselves.
 */
export class FakeClock implements Clock {
  /** What devices believe the date is, at the start of virtual time; may be set to anything at any time. @default 2026-01-01 */
  wallOffsetMs: number = Date.UTC(2026, 0, 1);
  /** Whether latency and slow disks pass by themselves. With false, only `advance` and `until` move time. */
  isSelfAdvancing = true;
  private readonly explanations = new Set<() => readonly string[]>();
  private elapsedMs = 0;
  private timerCount = 0;
  private readonly timers = new Set<Timer>();
  /** Grows with everything that happens, so that `settle` can tell when nothing does. */
  private signCount = 0;
  private delayCount = 0;
  private isFlowing = false;
  private moveCount = 0;
  private moving: Promise<void> = Promise.resolve();

  wallMs(): number {
    return this.wallOffsetMs + this.elapsedMs;
  }

  nowMs(): number {
    return this.elapsedMs;
  }

  schedule(delayMs: number, callback: () => void): () => void {
    this.timerCount += 1;
    this.signCount += 1;
    const timer: Timer = { atMs: this.elapsedMs + Math.max(0, delayMs), number: this.timerCount, callback };
    this.timers.add(timer);
    return () => {
      this.timers.delete(timer);
    };
  }

  /** Has it told what is still waited for, a line each, where `until` gives up. Returns what takes it back. */
  explainBy(explain: () => readonly string[]): () => void {
    this.explanations.add(explain);
    return () => this.explanations.delete(explain);
  }

  /** Alarms that are set. */
  get waitingCount(): number {
    return this.timers.size;
  }

  /** A delay of the simulated world, such as latency: it passes by itself once nothing else happens. */
  async delay(delayMs: number): Promise<void> {
    this.signCount += 1;
    if (delayMs <= 0) return;
    this.delayCount += 1;
    const over = new Promise<void>((resolve) => this.schedule(delayMs, resolve));
    this.flow();
    await over;
    this.delayCount -= 1;
  }

  /** Lets everything happen that needs no time: every promise that can settle has settled. */
  async settle(): Promise<void> {
    let quietTurns = 0;
    for (let turns = 0; quietTurns < QUIET_TURNS; turns += 1) {
      if (turns > TURNS_MAX) throw new Error('The clock cannot settle: something happens again and again at no time.');
      const before = this.signCount;
      await turn();
      quietTurns = this.signCount === before ? quietTurns + 1 : 0;
    }
  }

  /** Lets this much time pass, in milliseconds: every alarm at its time, with all that follows from it. */
  async advance(ms: number): Promise<void> {
    await this.move(async () => {
      const untilMs = this.elapsedMs + ms;
      await this.settle();
      while (this.ring(untilMs)) await this.settle();
      this.elapsedMs = Math.max(this.elapsedMs, untilMs);
    });
  }

  /**
   * Lets time pass until the promise settles, or the function says true, and gives the promise's value. Rejects when that
   * has not happened after `limitMs` of virtual time (30 days), or when nothing is left that could make it happen, and says
   * what the mutations of each app wait for.
   */
  until<Value>(goal: Promise<Value>, options?: { readonly limitMs?: number }): Promise<Value>;
  until(goal: () => boolean, options?: { readonly limitMs?: number }): Promise<void>;
  async until<Value>(
    goal: Promise<Value> | (() => boolean),
    { limitMs = UNTIL_MS }: { readonly limitMs?: number } = {},
  ): Promise<Value | void> {
    let isSettled = false;
    const promise = typeof goal === 'function' ? undefined : goal;
    const end = (): void => {
      isSettled = true;
    };
    promise?.then(end, end);
    const isReached = typeof goal === 'function' ? goal : () => isSettled;
    await this.move(async () => {
      const untilMs = this.elapsedMs + limitMs;
      await this.settle();
      while (!isReached()) {
        if (!this.ring(untilMs)) {
          const why =
            this.timers.size === 0
              ? 'It never happens: nothing is under way and no alarm is set.'
              : `It has not happened within ${limitMs} ms of virtual time.`;
          throw new Error([why, ...new Set([...this.explanations].flatMap((explain) => explain()))].join('\n'));
        }
        await this.settle();
      }
    });
    return promise;
  }

  /** Rings the next alarm that is due by then; false when there is none. */
  private ring(untilMs: number): boolean {
    let next: Timer | undefined;
    for (const timer of this.timers) {
      if (timer.atMs > untilMs) continue;
      if (next === undefined || timer.atMs < next.atMs || (timer.atMs === next.atMs && timer.number < next.number))
        next = timer;
    }
    if (next === undefined) return false;
    this.timers.delete(next);
    this.elapsedMs = Math.max(this.elapsedMs, next.atMs);
    next.callback();
    return true;
  }

  /** Those who move time take turns. */
  private move(work: () => Promise<void>): Promise<void> {
    this.moveCount += 1;
    const moved = this.moving.then(work).finally(() => {
      this.moveCount -= 1;
      this.flow();
    });
    this.moving = moved.catch(() => {});
    return moved;
  }

  /** Moves time to the next alarm, again and again, while the world has a delay and nobody else moves it. */
  private flow(): void {
    if (this.isFlowing || !this.isSelfAdvancing || this.delayCount === 0 || this.moveCount > 0) return;
    this.isFlowing = true;
    const step = async (): Promise<void> => {
      await this.settle();
      if (this.delayCount > 0 && this.moveCount === 0 && this.isSelfAdvancing) this.ring(Number.POSITIVE_INFINITY);
    };
    void step().finally(() => {
      this.isFlowing = false;
      this.flow();
    });
  }
}
