import { setImmediate } from 'node:timers';
import type { Dice } from './dice.ts';

interface Planned {
  readonly atMs: number;
  /** Drawn from the seed: what happens at the same time happens in any order. */
  readonly tieBreak: number;
  readonly number: number;
  run: (() => void) | null;
}

const TICKS_PER_MS = 1_024;
/** Node runs all promises that follow from one immediate before the next; a turn of its whole event loop for each would cost a system call. */
const TURNS_AT_A_TIME = 64;

/** Virtual time: jumps from event to event, and lets all promises that follow from one run before the next. */
export class Scheduler {
  nowMs = 0;
  private readonly heap: Planned[] = [];
  private readonly dice: Dice;
  private plannedCount = 0;
  private following: (() => void)[] = [];

  constructor(dice: Dice) {
    this.dice = dice.of('order');
  }

  /** Calls back once; returns what calls it off. */
  at(delayMs: number, run: () => void): () => void {
    // On a grid that floating point holds exactly, so that no wait ends before it is over.
    const atMs = Math.ceil((this.nowMs + Math.max(0, delayMs)) * TICKS_PER_MS) / TICKS_PER_MS;
    this.plannedCount += 1;
    const planned: Planned = { atMs, tieBreak: this.dice.next(), number: this.plannedCount, run };
    this.push(planned);
    return () => {
      planned.run = null;
    };
  }

  /** Calls back once all that follows from the present event has run. */
  afterThis(run: () => void): void {
    this.following.push(run);
  }

  /** Runs until `isDone` says so, or the time is up, or nothing is left to happen. */
  runUntil(untilMs: number, isDone: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      let isOver = false;
      const turn = (): void => {
        if (isOver) return;
        try {
          if (this.following.length > 0) for (const follow of this.following.splice(0)) follow();
          if (!isDone() && this.runNext(untilMs)) return;
          if (!isDone()) this.nowMs = Math.max(this.nowMs, untilMs);
          resolve();
        } catch (error) {
          reject(error as Error);
        }
        isOver = true;
      };
      const begin = (): void => {
        for (let count = 1; count < TURNS_AT_A_TIME; count += 1) setImmediate(turn);
        setImmediate(() => {
          turn();
          if (!isOver) begin();
        });
      };
      begin();
    });
  }

  /** False when nothing is left to happen until then. */
  private runNext(untilMs: number): boolean {
    for (;;) {
      const next = this.heap[0];
      if (next === undefined || next.atMs > untilMs) return false;
      this.pop();
      if (next.run === null) continue;
      this.nowMs = next.atMs;
      next.run();
      return true;
    }
  }

  private push(planned: Planned): void {
    const { heap } = this;
    let index = heap.length;
    heap.push(planned);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent] as Planned;
      if (!isBefore(planned, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = planned;
  }

  private pop(): void {
    const { heap } = this;
    const last = heap.pop() as Planned;
    if (heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Planned, heap[child] as Planned)) child += 1;
      if (!isBefore(heap[child] as Planned, last)) break;
      heap[index] = heap[child] as Planned;
      index = child;
    }
    heap[index] = last;
  }
}

function isBefore(left: Planned, right: Planned): boolean {
  if (left.atMs !== right.atMs) return left.atMs < right.atMs;
  return left.tieBreak === right.tieBreak ? left.number < right.number : left.tieBreak < right.tieBreak;
}
