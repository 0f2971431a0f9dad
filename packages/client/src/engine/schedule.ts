import type { Entry } from './entry.ts';
import { Heap } from './heap.ts';
import { Lane } from './lane.ts';

/** Which lanes may send now, and which later. Costs the logarithm of the number of lanes, whatever the queue's length. */
export class Schedule {
  private readonly lanes = new Map<string, Lane>();
  private readonly ready = new Heap<{ readonly seq: number; readonly lane: Lane }>((left, right) => left.seq - right.seq);
  private readonly later = new Heap<{ readonly atMs: number; readonly lane: Lane }>((left, right) => left.atMs - right.atMs);

  lane(name: string): Lane | undefined {
    return this.lanes.get(name);
  }

  insert(entry: Entry, nowMs: number): void {
    let lane = this.lanes.get(entry.header.lane);
    if (lane === undefined) {
      lane = new Lane(entry.header.lane);
      this.lanes.set(lane.name, lane);
    }
    lane.insert(entry);
    this.offer(lane, nowMs);
  }

  /** Takes out a settled entry; the next of its lane may go. */
  remove(entry: Entry, nowMs: number, isServersVerdict: boolean): void {
    const lane = this.lanes.get(entry.header.lane);
    if (lane === undefined) return;
    if (isServersVerdict) lane.settledSeq = Math.max(lane.settledSeq ?? 0, entry.header.seq);
    if (lane.head === entry) lane.dueAtMs = 0;
    lane.remove(entry);
    if (lane.size === 0) this.lanes.delete(lane.name);
    else this.offer(lane, nowMs);
  }

  /** The head is not to be tried before this time. */
  delay(entry: Entry, untilMs: number): void {
    const lane = this.lanes.get(entry.header.lane);
    if (lane === undefined) return;
    lane.dueAtMs = untilMs;
    this.later.push({ atMs: untilMs, lane });
  }

  /** A head that was on its way waits again. */
  returned(entry: Entry, nowMs: number): void {
    const lane = this.lanes.get(entry.header.lane);
    if (lane !== undefined) this.offer(lane, nowMs);
  }

  /** Forgets delays: someone asked to drain now. */
  hurry(nowMs: number): void {
    for (let next = this.later.pop(); next !== undefined; next = this.later.pop()) {
      next.lane.dueAtMs = 0;
      this.offer(next.lane, nowMs);
    }
  }

  /** The heads that go next, in the order they were added; at most `maxCount`, and `maxBytes` unless one alone is larger. */
  take(maxCount: number, maxBytes: number, nowMs: number): Entry[] {
    const taken: Entry[] = [];
    let bytes = 0;
    while (taken.length < maxCount) {
      const head = this.firstReady(nowMs);
      if (head === undefined || (taken.length > 0 && bytes + head.header.payloadBytes > maxBytes)) break;
      this.unlist();
      taken.push(head);
      bytes += head.header.payloadBytes;
    }
    return taken;
  }

  /** Whether anything could be taken now. */
  hasReady(nowMs: number): boolean {
    return this.firstReady(nowMs) !== undefined;
  }

  get nextDueAtMs(): number | null {
    return this.later.peek()?.atMs ?? null;
  }

  /** The head that goes next. Listings that no longer hold are dropped on the way, each once. */
  private firstReady(nowMs: number): Entry | undefined {
    for (let due = this.later.peek(); due !== undefined && due.atMs <= nowMs; due = this.later.peek()) {
      this.later.pop();
      this.offer(due.lane, nowMs);
    }
    for (let listing = this.ready.peek(); listing !== undefined; listing = this.ready.peek()) {
      const head = listing.lane.head;
      if (head?.header.seq === listing.seq && isReady(listing.lane, nowMs)) return head;
      this.unlist();
      this.offer(listing.lane, nowMs);
    }
    return undefined;
  }

  private unlist(): void {
    const listing = this.ready.pop();
    if (listing?.seq === listing?.lane.listedSeq && listing !== undefined) listing.lane.listedSeq = null;
  }

  private offer(lane: Lane, nowMs: number): void {
    if (!isReady(lane, nowMs)) return;
    const seq = lane.head?.header.seq;
    if (seq === undefined || seq === lane.listedSeq) return;
    lane.listedSeq = seq;
    this.ready.push({ seq, lane });
  }
}

function isReady(lane: Lane, nowMs: number): boolean {
  return lane.head?.phase.kind === 'waiting' && lane.dueAtMs <= nowMs;
}
