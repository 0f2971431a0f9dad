import type { Entry } from './entry.ts';
import { Heap } from './heap.ts';

interface Expiry {
  readonly atMs: number;
  readonly entry: Entry;
}

/** Wall clock and monotonic clock may drift apart by this much before an alarm is set anew, in milliseconds. */
const DRIFT_MS = 1_000;

/**
 * Those that are not to be sent after a time of their own, the soonest first. That time is one of the wall clock, which
 * people change: set forward, it makes dead letters early, and nothing is lost by that; set back, late ones.
 */
export class Expiries {
  private heap = newHeap();
  /** Past their time, but on their way, being rewritten or not known to be there still: what comes of that is waited for. */
  private readonly overdue = new Set<Entry>();
  /** Those in the heap that still wait; the others are dropped when they come up, or are too many. */
  private readonly open = new Set<Entry>();
  /** What the wall clock was ahead of the monotonic one when the alarm was set. */
  private offsetMs = 0;

  get size(): number {
    return this.heap.size + this.overdue.size;
  }

  watch(entry: Entry): void {
    const { expiresAtMs } = entry;
    if (expiresAtMs === null || entry.mayHaveBeenSent) return;
    this.open.add(entry);
    this.heap.push({ atMs: expiresAtMs, entry });
  }

  /** It is pending no longer. */
  forget(entry: Entry): void {
    this.overdue.delete(entry);
    if (!this.open.delete(entry) || this.heap.size < 2 * this.open.size + 64) return;
    this.heap = newHeap();
    for (const each of this.open) this.watch(each);
  }

  /** Those whose time has passed without their having been sent; each once. */
  takeDue(wallMs: number, isUnsure: (entry: Entry) => boolean): Entry[] {
    for (let next = this.heap.peek(); next !== undefined && next.atMs <= wallMs; next = this.heap.peek()) {
      this.heap.pop();
      if (this.open.delete(next.entry)) this.overdue.add(next.entry);
    }
    const due: Entry[] = [];
    for (const entry of this.overdue) {
      const isOpen = entry.phase.kind !== 'waiting' || entry.amendId !== null || isUnsure(entry);
      if (!entry.mayHaveBeenSent && isOpen) continue;
      this.overdue.delete(entry);
      if (!entry.mayHaveBeenSent) due.push(entry);
    }
    return due;
  }

  /** When the next one expires, by the monotonic clock. */
  nextAtMs({ nowMs, wallMs }: { readonly nowMs: number; readonly wallMs: number }): number | null {
    for (let next = this.heap.peek(); next !== undefined; next = this.heap.peek()) {
      if (this.open.has(next.entry) && !next.entry.mayHaveBeenSent) {
        const offsetMs = wallMs - nowMs;
        // Kept while it holds, so that the alarm need not be set anew at every turn; exact when it is about to ring.
        if (Math.abs(offsetMs - this.offsetMs) > DRIFT_MS || next.atMs - this.offsetMs <= nowMs)
          this.offsetMs = offsetMs;
        return Math.max(nowMs, next.atMs - this.offsetMs);
      }
      this.heap.pop();
      this.open.delete(next.entry);
    }
    return null;
  }
}

function newHeap(): Heap<Expiry> {
  return new Heap((left, right) => left.atMs - right.atMs);
}
