import { lanesOf, type MutationHeader, placeOf } from '../mutation/record.ts';
import { dueAtMs, type Entry, hasOpenParents, isDue } from './entry.ts';
import { Heap } from './heap.ts';
import { Lanes } from './lanes.ts';

/** For how many settlements it waits, and the last place of those since it began to. */
interface HeldLane {
  readonly count: number;
  readonly lastPlace: number;
}

/** Which lanes may send now, and which later. Costs the logarithm of the number of lanes, whatever the queue's length. */
export class Schedule {
  readonly lanes: Lanes;
  /** Whether one that is not known here yet goes before this head, or before none; it is known from then on. */
  private readonly fetchBefore: (head: Entry | undefined) => boolean;
  /** Heads of lanes, each at most once. */
  private readonly ready = new Heap<Entry>(
    (left, right) => left.listedRankMs - right.listedRankMs || left.seq - right.seq,
    (head, index) => {
      head.listedAt = index;
    },
  );
  private readonly later = new Heap<{ readonly atMs: number; readonly head: Entry }>(
    (left, right) => left.atMs - right.atMs,
  );

  /** Lanes that wait for a settlement of this device to be stored, by its number. */
  private readonly holds = new Map<number, readonly string[]>();
  private readonly heldLanes = new Map<string, HeldLane>();
  /** Dead letters that a person must decide on before anything behind them goes, by lane, in the order of their places. */
  private readonly blockers = new Map<string, readonly [Entry, ...Entry[]]>();
  /** Whether a policy keeps it from being sent now. */
  isHeldBack: (entry: Entry) => boolean = () => false;
  /** Whether what is not read yet may stand before it, or change it. */
  isUnsure: (entry: Entry) => boolean = () => false;
  /** Heads that only a policy, or what is not read yet, keeps from being ready. */
  private readonly heldBack = new Set<Entry>();

  /** `fetchLane`: see `Lanes`. */
  constructor(
    fetchLane?: (name: string) => Entry | undefined,
    fetchBefore: (head: Entry | undefined) => boolean = () => false,
  ) {
    this.lanes = new Lanes(fetchLane);
    this.fetchBefore = fetchBefore;
  }

  /**
   * The last one before it in its lanes that the server is known to have settled. One that comes back because its verdict
   * was not stored has been settled itself, and names nobody.
   */
  settledBefore(entry: Entry): number | null {
    const before = lanesOf(entry).map((name) => {
      const settled = this.lanes.settledOf(name);
      // Never a higher number, which only one that was retried in its place has: the server may have answered that by what
      // it knew of an earlier number, and then has no row for this one, nor a floor that could ever reach it.
      const isNamed = settled !== null && settled.place < placeOf(entry) && settled.seq < entry.seq;
      return isNamed ? settled.seq : 0;
    });
    return Math.max(...before) || null;
  }

  /** The dead letter that holds a lane of this one, before it. */
  blockerOf(entry: Entry): Entry | undefined {
    if (this.blockers.size === 0) return undefined;
    const firsts = lanesOf(entry).map((name) => this.blockers.get(name)?.[0]);
    return firsts.find((first) => first !== undefined && placeOf(first) < placeOf(entry));
  }

  /**
   * The newest that stands in a lane; none where a dead letter that holds the lane stands behind it, or one whose end is not
   * stored yet: with another leader that would be pending as before, and what was merged past it would overtake it.
   */
  newestOf(name: string): Entry | undefined {
    const newest = this.lanes.tailOf(name);
    if (newest === undefined) return undefined;
    const blocker = this.blockers.get(name)?.at(-1);
    const lastPlace = Math.max(blocker === undefined ? 0 : placeOf(blocker), this.heldLanes.get(name)?.lastPlace ?? 0);
    return lastPlace > placeOf(newest) ? undefined : newest;
  }

  get isHeld(): boolean {
    return this.blockers.size > 0;
  }

  /** Of each lane that is held by dead letters, its name and the first of them. */
  *heldBy(): Iterable<readonly [string, Entry]> {
    for (const [name, blockers] of this.blockers) yield [name, blockers[0]];
  }

  /** Those behind it in its lanes; looks at the whole of them. */
  behind(entry: Entry): readonly Entry[] {
    return lanesOf(entry).flatMap((name) => this.lanes.after(name, placeOf(entry)));
  }

  /** Other dead letters that hold the lanes of this one, which holds them too, behind it. */
  blockersBehind(entry: Entry): readonly Entry[] {
    const blockers = lanesOf(entry).flatMap((name) => this.blockers.get(name) as readonly Entry[]);
    return blockers.filter((each) => placeOf(each) > placeOf(entry));
  }

  /** Nothing behind this dead letter goes before it is unblocked. */
  block(entry: Entry): void {
    for (const name of lanesOf(entry)) {
      const blockers: [Entry, ...Entry[]] = [entry, ...(this.blockers.get(name) ?? [])];
      blockers.sort((left, right) => placeOf(left) - placeOf(right));
      this.blockers.set(name, blockers);
    }
  }

  unblock(entry: Entry, nowMs: number): void {
    for (const name of lanesOf(entry)) {
      const [first, ...more] = (this.blockers.get(name) ?? []).filter((each) => each !== entry);
      if (first === undefined) this.blockers.delete(name);
      else this.blockers.set(name, [first, ...more]);
    }
    this.freed(entry, nowMs);
  }

  /** Those behind it in its lane that are about the same row. */
  sameEntityBehind(entry: Entry): Entry[] {
    const { entity } = entry;
    if (entity === null) return [];
    return this.behind(entry).filter(({ entity: other }) => other?.table === entity.table && other.id === entity.id);
  }

  insert(entry: Entry, nowMs: number): void {
    for (const name of lanesOf(entry)) this.lanes.insert(name, entry);
    this.freed(entry, nowMs);
  }

  /** The first one before it, in whichever of its lanes it is not the head. */
  ahead(entry: Entry): Entry | undefined {
    return lanesOf(entry)
      .map((name) => this.lanes.headOf(name))
      .find((head) => head !== undefined && head !== entry);
  }

  /** Takes out a settled entry; the next of its lane may go. `isLedgered`: the server surely keeps the verdict under its number. */
  remove(entry: Entry, nowMs: number, isLedgered: boolean): void {
    const place = placeOf(entry);
    // Of one that was retried the server may have told the verdict on an earlier number, and have no row for this one.
    const { seq, generation } = entry;
    const settled = generation === 0 ? { seq, place } : null;
    this.heldBack.delete(entry);
    for (const name of lanesOf(entry)) {
      this.lanes.remove(name, entry);
      if (isLedgered && place >= (this.lanes.settledOf(name)?.place ?? 0)) this.lanes.noteSettled(name, settled);
    }
    this.freed(entry, nowMs);
  }

  /** Takes over a header with another lane: there it stands by its number, before what was added after it. */
  move(entry: Entry, header: MutationHeader, nowMs: number): void {
    this.remove(entry, nowMs, false);
    entry.header = header;
    this.insert(entry, nowMs);
  }

  /** The head is not to be tried before this time. */
  delay(entry: Entry, untilMs: number, nowMs: number): void {
    entry.backoffUntilMs = untilMs;
    this.freed(entry, nowMs);
  }

  /** Nothing of its lanes goes before `unhold` is called with its number. */
  hold(entry: Entry): void {
    if (this.holds.has(entry.seq)) return;
    const names = lanesOf(entry);
    this.holds.set(entry.seq, names);
    for (const name of names) {
      const { count, lastPlace } = this.heldLanes.get(name) ?? { count: 0, lastPlace: 0 };
      this.heldLanes.set(name, { count: count + 1, lastPlace: Math.max(lastPlace, placeOf(entry)) });
    }
  }

  unhold(seq: number, nowMs: number): void {
    const names = this.holds.get(seq) ?? [];
    this.holds.delete(seq);
    for (const name of names) {
      const { count, lastPlace } = this.heldLanes.get(name) as HeldLane;
      if (count > 1) this.heldLanes.set(name, { count: count - 1, lastPlace });
      else this.heldLanes.delete(name);
      this.offer(this.lanes.headOf(name), nowMs);
    }
  }

  /** Whether a lane waits for the settlement of this number. */
  isHeldFor(seq: number): boolean {
    return this.holds.has(seq);
  }

  unholdAll(nowMs: number): void {
    for (const seq of [...this.holds.keys()]) this.unhold(seq, nowMs);
  }

  /** It may go now, as far as it is itself concerned: it was on its way and waits again, or its parents are confirmed. */
  freed(entry: Entry, nowMs: number): void {
    for (const name of lanesOf(entry)) this.offer(this.lanes.headOf(name), nowMs);
  }

  /** Policies may let go more than before, or more is read. */
  reconsider(nowMs: number): void {
    for (const head of [...this.heldBack]) {
      if (this.isUnsure(head)) continue;
      this.heldBack.delete(head);
      this.freed(head, nowMs);
    }
  }

  /** Whether a policy holds it back. One of high priority takes with it all that stand before it in its lane. */
  holdsBack(entry: Entry): boolean {
    return this.isHeldBack(entry) && !lanesOf(entry).some((name) => this.lanes.levelOf(name) === 0);
  }

  /** Forgets backoffs: someone asked to drain now. */
  hurry(nowMs: number): void {
    const delayed: Entry[] = [];
    for (let next = this.later.pop(); next !== undefined; next = this.later.pop()) delayed.push(next.head);
    for (const head of delayed) {
      head.alarmAtMs = null;
      head.backoffUntilMs = 0;
      this.freed(head, nowMs);
    }
  }

  /**
   * The heads that go next, the most urgent first; at most `maxCount`, and `maxBytes` unless one alone is larger.
   * `claim` marks each as on its way before the next is looked for.
   */
  take(maxCount: number, maxBytes: number, nowMs: number, claim: (entry: Entry) => void): Entry[] {
    const taken: Entry[] = [];
    let bytes = 0;
    while (taken.length < maxCount) {
      const head = this.firstReady(nowMs);
      const isSuspect = head !== undefined && head.suspicionCount > 0;
      if (head === undefined || (taken.length > 0 && (isSuspect || bytes + head.payloadBytes > maxBytes))) break;
      this.ready.pop();
      claim(head);
      taken.push(head);
      bytes += head.payloadBytes;
      // What may kill its server goes alone, so that it takes nothing with it.
      if (isSuspect) break;
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
      if (due.head.alarmAtMs === due.atMs) due.head.alarmAtMs = null;
      this.freed(due.head, nowMs);
    }
    for (;;) {
      const head = this.ready.peek();
      if (this.fetchBefore(head)) continue;
      if (head === undefined || this.isReady(head, nowMs)) return head;
      this.ready.pop();
      this.freed(head, nowMs);
    }
  }

  /** The first of each of its lanes, and nothing holds any of them. */
  private isReady(head: Entry, nowMs: number): boolean {
    return this.isFree(head, nowMs) && !this.isUnsure(head) && !this.holdsBack(head);
  }

  /** As far as policies do not matter. */
  private isFree(head: Entry, nowMs: number): boolean {
    return (
      isDue(head, nowMs) &&
      this.blockerOf(head) === undefined &&
      lanesOf(head).every((name) => this.lanes.headOf(name) === head && !this.heldLanes.has(name))
    );
  }

  /** Puts the head of a lane where it belongs now: among the ready ones, or among those that are due later. */
  private offer(head: Entry | undefined, nowMs: number): void {
    if (head === undefined || head.phase.kind !== 'waiting') return;
    if (this.isReady(head, nowMs)) {
      const rankMs = this.lanes.rankMsOf(head);
      const isListed = head.listedAt >= 0;
      if (isListed && head.listedRankMs === rankMs) return;
      head.listedRankMs = rankMs;
      if (isListed) this.ready.moved(head.listedAt);
      else this.ready.push(head);
    } else if (this.isFree(head, nowMs)) {
      this.heldBack.add(head);
    } else if (
      !hasOpenParents(head) &&
      dueAtMs(head) > nowMs &&
      dueAtMs(head) < (head.alarmAtMs ?? Number.POSITIVE_INFINITY)
    ) {
      head.alarmAtMs = dueAtMs(head);
      this.later.push({ atMs: head.alarmAtMs, head });
    }
  }
}
