import type { Entry } from './entry.ts';
import { Heap } from './heap.ts';
import { Lane } from './lane.ts';

interface Listing {
  readonly seq: number;
  readonly lane: Lane;
}

/** Which lanes may send now, and which later. Costs the logarithm of the number of lanes, whatever the queue's length. */
export class Schedule {
  private readonly lanes = new Map<string, Lane>();
  private readonly ready = new Heap<Listing>((left, right) => left.seq - right.seq);
  private readonly later = new Heap<{ readonly atMs: number; readonly lane: Lane }>(
    (left, right) => left.atMs - right.atMs,
  );

  lane(name: string): Lane | undefined {
    return this.lanes.get(name);
  }

  /**
   * The last one before it in its lane that the server is known to have settled. One that comes back because its verdict
   * was not stored has been settled itself, and names nobody.
   */
  settledBefore({ lane, seq }: Entry['header']): number | null {
    const settledSeq = this.lanes.get(lane)?.settledSeq ?? null;
    return settledSeq !== null && settledSeq < seq ? settledSeq : null;
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
    const lane = this.laneOf(entry);
    if (isServersVerdict) lane.settledSeq = Math.max(lane.settledSeq ?? 0, entry.header.seq);
    if (lane.head === entry) lane.dueAtMs = 0;
    lane.remove(entry);
    if (lane.size === 0) this.lanes.delete(lane.name);
    else this.offer(lane, nowMs);
  }

  /** The head is not to be tried before this time. */
  delay(entry: Entry, untilMs: number): void {
    const lane = this.laneOf(entry);
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

  /**
   * The heads that go next, in the order they were added; at most `maxCount`, and `maxBytes` unless one alone is larger.
   * `claim` marks each as on its way before the next is looked for: a lane may stand in the heap more than once, when one
   * with a lower number became known late.
   */
  take(maxCount: number, maxBytes: number, nowMs: number, claim: (entry: Entry) => void): Entry[] {
    const taken: Entry[] = [];
    let bytes = 0;
    while (taken.length < maxCount) {
      const head = this.firstReady(nowMs);
      if (head === undefined || (taken.length > 0 && bytes + head.header.payloadBytes > maxBytes)) break;
      this.unlist();
      claim(head);
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
      const { head } = listing.lane;
      if (head?.header.seq === listing.seq && isReady(head, listing.lane, nowMs)) return head;
      this.unlist();
      this.offer(listing.lane, nowMs);
    }
    return undefined;
  }

  private unlist(): void {
    // Only ever called after a look at it.
    const { seq, lane } = this.ready.pop() as Listing;
    if (seq === lane.listedSeq) lane.listedSeq = null;
  }

  private laneOf(entry: Entry): Lane {
    // From being inserted to being removed an entry keeps its lane there.
    return this.lanes.get(entry.header.lane) as Lane;
  }

  private offer(lane: Lane, nowMs: number): void {
    const { head } = lane;
    if (head === undefined || !isReady(head, lane, nowMs) || head.header.seq === lane.listedSeq) return;
    lane.listedSeq = head.header.seq;
    this.ready.push({ seq: lane.listedSeq, lane });
  }
}

function isReady(head: Entry, lane: Lane, nowMs: number): boolean {
  return head.phase.kind === 'waiting' && lane.dueAtMs <= nowMs;
}
