import {
  type DeadLetter,
  type EditHeader,
  type HeaderFields,
  joinedLeft,
  lanesOf,
  type MutationHeader,
  placeOf,
  type RowLeft,
} from '../mutation/record.ts';
import type { OpenSlot } from '../mutation/slots.ts';
import { addOpenParent, Entry, type EntryView, isInConflict, type Phase, removeOpenParent, WAITING } from './entry.ts';
import { Expiries } from './expiries.ts';
import { Heap } from './heap.ts';
import { keepLatest } from './keep-latest.ts';
import { NearIndex } from './near-index.ts';
import { Lanes } from './lanes.ts';
import type { PackedEntries } from './packed-entries.ts';
import { ParentRows } from './parent-rows.ts';
import { Schedule } from './schedule.ts';
import { SeqMap } from './seq-map.ts';
import { SlotWaiters } from './slot-waiters.ts';
import { Versions } from './versions.ts';
import type { EngineRules } from './verdicts.ts';

/** Every mutation that is not confirmed: who they are, how many of each phase, and up to where all is settled. */
export class Unconfirmed {
  readonly schedule: Schedule = new Schedule(
    (name) => this.unpacked(this.packed?.takeLane(name)),
    (head) => this.unpacked(this.packed?.takeBefore(head, this.readUpToSeq)) !== undefined,
  );
  readonly expiries: Expiries = new Expiries();
  readonly parentRows: ParentRows = new ParentRows(
    (entry) => this.bySeq.get(entry.seq) === entry && entry.phase.kind !== 'failed',
    (seq) => this.packed?.hasCreationBefore(seq) === true,
  );
  readonly versions: Versions;
  readonly slots: SlotWaiters = new SlotWaiters({
    isOpen: (id) => this.has(id) || this.endings.get(id) === 'confirmed',
    mustWait: (entry) => this.versions.mustWait(entry),
  });
  readonly counts: { pending: number; processing: number; failed: number; pendingBytes: number } = {
    pending: 0,
    processing: 0,
    failed: 0,
    pendingBytes: 0,
  };
  /** Waiting for a person, in the order they died. */
  readonly deadLetters: Set<Entry> = new Set();
  /** Pending ones far from the front of a long queue, where the app wants that; the maps below know only the others. */
  readonly packed: PackedEntries | null;
  private changedIds = new Set<string>();
  private readonly byId = new Map<string, Entry>();
  private readonly bySeq = new SeqMap<Entry>();
  /** Those that wait for a mutation, by its id. */
  private readonly childrenOf = new Map<string, Set<Entry>>();
  /** Those whose parent may be dead already; the tab that delivers looks. */
  private readonly suspectedOrphans = new Set<Entry>();
  /** Pending ones of types whose duplicates may differ a little, by `nearKey`. */
  readonly near: NearIndex<Entry> = new NearIndex();
  /** Edits that are held to a version, by lane and row. */
  private readonly edits = new Lanes();
  /** Edits that wait for a person to choose between two versions. */
  readonly openConflicts: Set<Entry> = new Set();
  /** What was lately left of rows, by lane and row; the longest ago first. */
  private readonly rowsLeft = new Map<string, RowLeft & { readonly bySeq: number }>();
  /** Pending ones of low priority, in the order they became known. */
  readonly low: Set<Entry> = new Set();
  /** Those that someone is rewriting. */
  readonly kept: Set<Entry> = new Set();
  /** Settled by this tab, and on its way to storage; with the id where others ask by that for what became of it. */
  private readonly settling = new Map<number, string | null>();
  /** Of those, what became of them, by these ids: nobody can read that in storage yet. */
  private readonly endings = new Map<string, 'confirmed' | 'takenBack'>();
  /** Of those, what stands in storage of the ones that became dead letters. */
  private readonly buried = new Map<number, MutationHeader>();
  /** Ids of what was lately taken back or disposed of, the longest ago first: what names them may just be being stored. */
  private readonly gone = new Set<string>();
  /** Headers on their way to storage, by number: the revision, and what stands there while it has not come. */
  private readonly rewriting = new Map<number, { readonly revision: number; readonly stored: MutationHeader }>();
  /** Every number that may be pending; those that are not any more are dropped when they come up. */
  private readonly pendingSeqs = new Heap<number>((left, right) => left - right);
  private highestSeq = 0;
  /** What is pending is known up to this number. */
  private readUpToSeq = Number.POSITIVE_INFINITY;
  /** Rows whose creation will have no effect, by lane and row, while what stands behind it may not be read yet: the creation's id. */
  private readonly lostRows = new Map<string, string>();
  /** Whether a dead letter of this type holds its lane, as the app says now. */
  readonly mayHoldLane: (type: string) => boolean;

  private readonly mayForget: boolean;
  private readonly policyOf: EngineRules['policyOf'];

  constructor({ onDeadLetter, standingOf, mayForget, policyOf, packing }: EngineRules) {
    this.mayHoldLane = (type) => onDeadLetter(type) !== 'continue';
    this.versions = new Versions(standingOf);
    this.mayForget = mayForget;
    this.policyOf = policyOf;
    this.packed = packing?.open() ?? null;
  }

  /** Until when nothing is sent, since what is about to be rewritten may belong elsewhere then (monotonic); null for now. */
  holdsBackUntilMs(nowMs: number): number | null {
    return this.versions.holdsBackUntilMs(nowMs) ?? this.slots.holdsBackUntilMs(nowMs);
  }

  /** This tab delivers from now on. */
  holdBack(nowMs: number): void {
    this.versions.holdBack(nowMs);
    this.slots.holdBack(nowMs);
  }

  /** The highest number that is known. */
  get lastSeq(): number {
    return this.highestSeq;
  }

  get(id: string): Entry | undefined {
    return this.byId.get(id) ?? this.unpacked(this.packed?.takeId(id));
  }

  /** Also one that has ended, while nobody can read that in storage yet. */
  knows(id: string): boolean {
    return this.has(id) || this.endings.has(id);
  }

  at(seq: number): Entry | undefined {
    return this.bySeq.get(seq) ?? this.unpacked(this.packed?.takeSeq(seq));
  }

  /** Where it stands, if it is known; it stays packed. */
  phaseOf(id: string): Phase['kind'] | undefined {
    return this.byId.get(id)?.phase.kind ?? (this.packed?.hasId(id) === true ? 'waiting' : undefined);
  }

  has(id: string): boolean {
    return this.phaseOf(id) !== undefined;
  }

  /** Those that are not packed, in the order they became known. */
  entries(): Iterable<Entry> {
    return this.byId.values();
  }

  /**
   * All, for whoever only looks at them, in the order they became known, or of their numbers where what waits is packed. `at` has the
   * entry itself; of what is packed, these are not.
   */
  all(): Iterable<EntryView> {
    const entries = this.byId.values();
    return this.packed?.among(entries) ?? entries;
  }

  private unpacked(entry: Entry | undefined): Entry | undefined {
    if (entry === undefined) return undefined;
    this.byId.set(entry.id, entry);
    this.bySeq.set(entry.seq, entry);
    this.pendingSeqs.push(entry.seq);
    this.parentRows.added(entry);
    // It has met nothing, so that it may go at any time.
    this.schedule.insert(entry, 0);
    return entry;
  }

  /** Null: all of it. */
  readUpTo(seq: number | null, nowMs: number): void {
    this.readUpToSeq = seq ?? Number.POSITIVE_INFINITY;
    if (!this.isReading) this.lostRows.clear();
    this.schedule.reconsider(nowMs);
  }

  /** Whether more may be pending than is known. */
  get isReading(): boolean {
    return this.readUpToSeq < Number.POSITIVE_INFINITY;
  }

  /** Whether what is not read yet may stand before it, or decide how it is sent: an edit is rebased on those of its row. */
  isUnsure({ seq, edit }: Entry): boolean {
    return this.isReading && (seq > this.readUpToSeq || edit !== undefined);
  }

  /** Every number up to this one is settled, and that is stored. */
  get acknowledgedFloor(): number {
    // What is not read yet is open.
    return Math.min(this.readUpToSeq, this.knownFloor);
  }

  private get knownFloor(): number {
    let firstOpenSeq = this.oldestPending?.seq ?? this.highestSeq + 1;
    for (const seq of this.settling.keys()) firstOpenSeq = Math.min(firstOpenSeq, seq);
    return firstOpenSeq - 1;
  }

  /** The one with the lowest number of those pending. */
  get oldestPending(): Entry | undefined {
    const firstSeq = this.packed?.firstSeq ?? Number.POSITIVE_INFINITY;
    for (let seq = this.pendingSeqs.peek(); seq !== undefined && seq < firstSeq; seq = this.pendingSeqs.peek()) {
      const entry = this.bySeq.get(seq);
      if (entry !== undefined && entry.phase.kind !== 'failed') return entry;
      this.pendingSeqs.pop();
    }
    return this.at(firstSeq);
  }

  /** What lacks a value cannot have been sent; but it may have been whole before the store lost that with the power. */
  wasNeverWhole({ slots }: HeaderFields): boolean {
    return slots.length > 0 && !this.mayForget;
  }

  /** `heldUntilMs` is when its undo window ends (monotonic); one that still has a part of it before it was never sent. */
  insert(header: MutationHeader, mayHaveBeenSent: boolean, nowMs: number, heldUntilMs: number): void {
    // Rewritten, it would not be.
    if (header.revision === 0 && this.packed?.hasSeq(header.seq) === true) return;
    const known = this.at(header.seq);
    if (known !== undefined) this.amend(known, header, nowMs, heldUntilMs);
    if (known !== undefined || this.settling.has(header.seq)) return;
    // The same id under another number: a dead letter was retried, and the newer one stands.
    const older = this.get(header.id);
    if (older !== undefined) {
      if (older.seq > header.seq) return;
      this.forget(older, nowMs, false);
    }
    // Edited, a dead letter that held its lane makes way for the one that has its place; what stands on its row stays.
    const replaced = header.replaces === null ? undefined : this.get(header.replaces);
    if (replaced !== undefined && placeOf(replaced) === header.place) {
      this.suspectOrphans(this.childrenOf.get(replaced.id) ?? []);
      this.forget(replaced, nowMs, false);
    }
    const entry = new Entry(header, {
      // What lacks a value cannot have been sent.
      mayHaveBeenSent: mayHaveBeenSent && heldUntilMs <= nowMs && !this.wasNeverWhole(header),
      waitingSinceMs: nowMs,
      heldUntilMs,
    });
    entry.lastError = header.attempts.at(-1)?.error ?? null;
    this.dependOn(entry, header.dependsOn);
    if (this.lostRows.size > 0) this.standOnLostRow(entry);
    this.childrenOf.get(header.id)?.forEach((child) => {
      if (child.phase.kind === 'waiting') addOpenParent(child, header.id);
      this.suspectedOrphans.add(child);
    });
    this.highestSeq = Math.max(this.highestSeq, header.seq);
    this.counts.pending += 1;
    this.counts.pendingBytes += header.payloadBytes;
    this.changed(entry);
    // Before it is offered to be sent.
    this.versions.watch(entry, nowMs);
    if (this.packed?.add(entry, this.counts.pending, this.hasOnlyToWait) === true) return;
    this.byId.set(header.id, entry);
    this.bySeq.set(header.seq, entry);
    this.pendingSeqs.push(header.seq);
    this.schedule.insert(entry, nowMs);
    this.parentRows.added(entry);
    this.indexEdit(entry);
    this.expiries.watch(entry);
    if (header.priority === 'low') this.low.add(entry);
    this.listNear(entry);
    this.slots.watch(entry, nowMs);
  }

  /** It is alone in its lane, and nobody has to let it go. */
  private readonly hasOnlyToWait = (entry: Entry): boolean =>
    this.policyOf(entry.type) === null &&
    this.versions.noWayFor(entry) === null &&
    !this.versions.mustWait(entry) &&
    this.schedule.lanes.headOf(entry.lane) === undefined;

  /**
   * Takes a later revision of its header, and lets it go if it was kept back for that: whoever rewrote it has done so.
   * Its number, id and priority are the same in every revision; its lane too, unless a value was filled in that names it.
   */
  amend(entry: Entry, header: MutationHeader, nowMs: number, heldUntilMs: number): void {
    if (header.revision <= entry.revision || entry.phase.kind === 'failed') return;
    this.putHeader(entry, header, nowMs, heldUntilMs);
  }

  private putHeader(entry: Entry, header: MutationHeader, nowMs: number, heldUntilMs: number): void {
    this.counts.pendingBytes += header.payloadBytes - entry.payloadBytes;
    // A window that began anew; else the one that runs is the better measured.
    if (header.createdAtMs !== entry.createdAtMs) entry.heldUntilMs = heldUntilMs;
    this.unlistNear(entry);
    this.unindexEdit(entry);
    const parents = header.dependsOn.filter((id) => !entry.dependsOn.includes(id));
    this.dependOn(entry, parents);
    const { operation } = entry;
    const isStill = lanesOf(header).join('\n') === lanesOf(entry).join('\n');
    if (isStill) entry.header = header;
    else this.schedule.move(entry, header, nowMs);
    if (header.operation !== operation) this.parentRows.added(entry);
    this.versions.watch(entry, nowMs);
    this.indexEdit(entry);
    this.listNear(entry);
    this.slots.watch(entry, nowMs);
    this.changed(entry);
    this.letGo(entry, nowMs);
    this.schedule.freed(entry, nowMs);
  }

  /** Of those not known (yet) too: pending ones become known before dead letters. */
  private dependOn(entry: Entry, ids: readonly string[]): void {
    for (const id of ids) {
      this.childrenOf.set(id, (this.childrenOf.get(id) ?? new Set()).add(entry));
      const parent = this.get(id);
      // One that was retried is wanted without what was taken back.
      const isTakenBack = entry.generation === 0 && (this.endings.get(id) === 'takenBack' || this.gone.has(id));
      if (parent !== undefined || isTakenBack) addOpenParent(entry, id);
      const isBefore = parent !== undefined && placeOf(parent) > placeOf(entry);
      if (parent?.phase.kind === 'failed' || isTakenBack || isBefore) this.suspectedOrphans.add(entry);
    }
  }

  /** Not sent before it is let go. */
  keepBack(entry: Entry, amendId: string): void {
    entry.amendId = amendId;
    this.kept.add(entry);
  }

  letGo(entry: Entry, nowMs: number): void {
    if (!this.kept.delete(entry)) return;
    entry.amendId = null;
    this.schedule.freed(entry, nowMs);
  }

  /** Those that wait for this one, and those behind the creation of their row; they cannot stand without it. */
  dependants(entry: Entry): Entry[] {
    const children = [...(this.childrenOf.get(entry.id) ?? [])];
    if (entry.operation !== 'create') return children;
    const behind = this.schedule.sameEntityBehind(entry);
    // Edited after it may have been sent, it is made once more, and the rest stands on that.
    const again = behind.findIndex(({ operation }) => operation === 'create');
    return [...children, ...(again === -1 ? behind : behind.slice(0, again))];
  }

  /** What this one was to create will not be there: those behind it that are not read yet cannot stand either. */
  noteLostRow(entry: Entry): void {
    if (!this.isReading || entry.operation !== 'create' || entry.entity === null) return;
    const isMadeAgain = this.schedule.sameEntityBehind(entry).some((behind) => behind.operation === 'create');
    if (!isMadeAgain) this.lostRows.set(rowKey(entry), entry.id);
  }

  /** It is only read now, and its row may not come to be; or it makes that row again, and the rest stands on that. */
  private standOnLostRow(entry: Entry): void {
    const key = rowKey(entry);
    const lostWith = this.lostRows.get(key);
    if (lostWith === undefined) return;
    if (entry.operation === 'create') {
      this.lostRows.delete(key);
      return;
    }
    this.dependOn(entry, [lostWith]);
    addOpenParent(entry, lostWith);
    this.suspectedOrphans.add(entry);
  }

  /**
   * How many wait for this one: those behind it in its lane, and those that depend on it. What waits for another dead letter
   * behind it in a lane that it holds, waits for this one first.
   */
  countWaitingFor(entry: Entry): number {
    const dead = this.holdsLane(entry) ? [entry, ...this.schedule.blockersBehind(entry)] : [entry];
    const children = dead.flatMap(({ id }) => [...(this.childrenOf.get(id) ?? [])]);
    return new Set([...this.schedule.behind(entry), ...children.filter(({ phase }) => phase.kind !== 'failed')]).size;
  }

  /** Another tab has made it a dead letter, or the server has forgotten that it was confirmed: what it had let go stands on it again. */
  standAgainOn(parent: Entry): void {
    const children = this.childrenOf.get(parent.id) ?? [];
    for (const child of children) addOpenParent(child, parent.id);
    this.suspectOrphans(children);
  }

  /** Another tab has disposed of the parent; should this one deliver, it has to look at the children. */
  suspectOrphans(children: Iterable<Entry>): void {
    for (const child of children) this.suspectedOrphans.add(child);
  }

  /** Nobody knows it any more, and it has not taken effect: what depends on it cannot stand. */
  parentGone(parentId: string): void {
    this.noteGone(parentId);
    for (const child of this.childrenOf.get(parentId) ?? []) {
      if (child.phase.kind !== 'waiting') continue;
      addOpenParent(child, parentId);
      this.suspectedOrphans.add(child);
      this.changed(child);
    }
  }

  /** Parents that nobody knows (any more), of those that were never retried: confirmed, or disposed of. */
  get unknownParentIds(): readonly string[] {
    return [...this.childrenOf].flatMap(([id, children]) =>
      !this.has(id) && [...children].some(({ generation }) => generation === 0) ? [id] : [],
    );
  }

  /** Those that wait for a parent which is dead or gone, each with its parent's id; they are suspected no longer. */
  takeOrphans(): { readonly orphan: Entry; readonly parentId: string }[] {
    const orphans: { orphan: Entry; parentId: string }[] = [];
    for (const orphan of this.suspectedOrphans) {
      const parentId = [...orphan.openParents].find((id) => {
        const parent = this.get(id);
        // One that was retried stands behind it now, perhaps in the same lane: neither could ever go.
        return parent === undefined || this.isGivenUp(parent) || placeOf(parent) > placeOf(orphan);
      });
      // Looked at again when its rewriting is over, which may have changed its body, when it is known to be there still, or back.
      if (orphan.amendId !== null || this.isUnsure(orphan) || orphan.phase.kind === 'sending') continue;
      this.suspectedOrphans.delete(orphan);
      if (orphan.phase.kind === 'waiting' && parentId !== undefined) orphans.push({ orphan, parentId });
    }
    return orphans;
  }

  /** The parent is confirmed: its children wait for it no longer, unless the server forgets it, and it comes back as a dead letter. */
  release(parentId: string, nowMs: number): void {
    for (const child of this.childrenOf.get(parentId) ?? []) {
      removeOpenParent(child, parentId);
      this.slots.watch(child, nowMs);
      this.changed(child);
      this.schedule.freed(child, nowMs);
    }
  }

  /** Confirmed, or gone: keeps nothing of it. */
  forget(entry: Entry, nowMs: number, isLedgered: boolean): void {
    if (this.deadLetters.delete(entry)) {
      this.counts.failed -= 1;
      this.schedule.unblock(entry, nowMs);
    } else this.leavePending(entry, nowMs, isLedgered);
    this.byId.delete(entry.id);
    this.bySeq.delete(entry.seq);
    this.suspectedOrphans.delete(entry);
  }

  /** Makes a pending one a dead letter. */
  bury({ header, error, failedAtMs, holdsLane }: DeadLetter, nowMs: number, isLedgered: boolean): void {
    const entry = this.at(header.seq);
    if (entry === undefined || entry.phase.kind === 'failed') return;
    if (this.settling.has(header.seq)) this.buried.set(header.seq, entry.header);
    entry.header = header;
    this.leavePending(entry, nowMs, isLedgered);
    entry.phase = { kind: 'failed', error, failedAtMs, holdsLane };
    entry.lastError = error;
    if (this.holdsLane(entry)) this.schedule.block(entry);
    this.deadLetters.add(entry);
    this.counts.failed += 1;
  }

  /** Whether those behind this dead letter, and those that stand on it, wait for someone to decide. */
  holdsLane({ phase, type }: Entry): boolean {
    return phase.kind === 'failed' && phase.holdsLane && this.mayHoldLane(type);
  }

  /** Its lane goes on without it, and what stands on it cannot stand. */
  stopHolding(entry: Entry, nowMs: number): void {
    if (entry.phase.kind !== 'failed' || !this.holdsLane(entry)) return;
    // Only the leader may give up what stands on it, so this is noted as if each had named it.
    for (const dependant of this.dependants(entry)) {
      this.dependOn(dependant, [entry.id]);
      this.changed(dependant);
    }
    entry.phase = { ...entry.phase, holdsLane: false };
    this.schedule.unblock(entry, nowMs);
    this.changed(entry);
  }

  setSending(entry: Entry, batchId: number | null): void {
    if (entry.phase.kind === 'waiting') this.counts.processing += 1;
    entry.phase = { kind: 'sending', batchId };
    entry.awaitsRow = false;
    this.changed(entry);
  }

  setWaiting(entry: Entry): void {
    if (entry.phase.kind !== 'sending') return;
    this.counts.processing -= 1;
    entry.phase = WAITING;
    this.changed(entry);
  }

  /** Whether this tab has settled it, and that is not stored yet. */
  isSettling(seq: number): boolean {
    return this.settling.has(seq);
  }

  settlementBegun(seq: number): void {
    this.settling.set(seq, null);
  }

  /** Until that is stored, nobody can read there what the server returned. */
  confirmationBegun(seq: number, id: string): void {
    this.settling.set(seq, id);
    this.endings.set(id, 'confirmed');
  }

  /** It has had no effect and will have none; until that is stored, only this tab knows. */
  takingBackBegun(entry: Entry): void {
    this.ownSettlementBegun(entry);
    this.settling.set(entry.seq, entry.id);
    this.endings.set(entry.id, 'takenBack');
  }

  /** It has had no effect, and nobody will hear of it again. */
  noteGone(id: string): void {
    this.gone.delete(id);
    this.gone.add(id);
    keepLatest(this.gone, GONE_COUNT);
  }

  /** What the mutation of this id is to return to those that wait for it. */
  slotsOf(parentId: string): readonly OpenSlot[] {
    const children = [...(this.childrenOf.get(parentId) ?? [])];
    return children.flatMap(({ slots }) => slots.filter((slot) => slot.parentId === parentId));
  }

  /**
   * Settled by this device alone, without a verdict that the server would repeat: its lane waits until that is stored,
   * for after a crash before that it is pending again, and must not come after what was behind it.
   */
  ownSettlementBegun(entry: Entry): void {
    this.settlementBegun(entry.seq);
    this.schedule.hold(entry);
  }

  /** Given up by this device, but that is not stored yet: a crash now, or another leader, and it is pending as before. */
  isBeingGivenUp({ seq, phase }: Pick<Entry, 'seq' | 'phase'>): boolean {
    return phase.kind === 'failed' && this.schedule.isHeldFor(seq);
  }

  /** Its header is on its way to storage, and may not be written by anybody else meanwhile. `before` is the one it replaces. */
  rewritingBegun({ seq, revision }: MutationHeader, before: MutationHeader): void {
    this.rewriting.set(seq, { revision, stored: this.rewriting.get(seq)?.stored ?? before });
  }

  /** A header stands in storage; true when it is the latest of its mutation. */
  rewritingEnded({ seq, revision }: Pick<MutationHeader, 'seq' | 'revision'>): boolean {
    return (this.rewriting.get(seq)?.revision ?? 0) <= revision && this.rewriting.delete(seq);
  }

  isBeingRewritten(seq: number): boolean {
    return this.rewriting.has(seq);
  }

  /** What a verdict has made of it stands in storage. */
  settlementStored(seq: number, nowMs: number): void {
    const id = this.settling.get(seq) ?? '';
    if (this.endings.get(id) === 'takenBack') this.noteGone(id);
    this.settlementEnded(seq, nowMs);
  }

  /** It is stored, or will never be: either way nothing waits for it any more. */
  settlementEnded(seq: number, nowMs: number): void {
    const entry = this.bySeq.get(seq);
    // What was being given up is a dead letter now, or is pending again.
    if (entry !== undefined && this.isBeingGivenUp(entry)) this.changed(entry);
    this.endings.delete(this.settling.get(seq) ?? '');
    this.settling.delete(seq);
    this.buried.delete(seq);
    this.schedule.unhold(seq, nowMs);
  }

  /**
   * Leadership was lost: what is not stored is the next leader's to settle again, and pending until then, as it stands in the
   * store. What was confirmed comes back when it is found there; so does a header that came there although nobody heard of it.
   */
  settlementsLost(nowMs: number): void {
    const buried = [...this.buried.values()];
    const rewritten = [...this.rewriting.values()];
    this.buried.clear();
    this.settling.clear();
    this.endings.clear();
    this.rewriting.clear();
    this.schedule.unholdAll(nowMs);
    for (const { revision, stored } of rewritten) {
      const entry = this.at(stored.seq);
      if (entry?.revision === revision && entry.phase.kind !== 'failed')
        this.putHeader(entry, stored, nowMs, entry.heldUntilMs);
    }
    for (const header of buried) {
      const entry = this.at(header.seq);
      if (entry?.phase.kind !== 'failed') continue;
      this.forget(entry, nowMs, false);
      this.insert(header, entry.mayHaveBeenSent, nowMs, entry.heldUntilMs);
    }
  }

  changed(entry: Entry): void {
    this.changedIds.add(entry.id);
  }

  /** Ids that look different since the last call. */
  takeChangedIds(): string[] {
    const ids = [...this.changedIds];
    if (ids.length > 0) this.changedIds = new Set();
    return ids;
  }

  private listNear(entry: Entry): void {
    const { dedupeNear, seq } = entry;
    if (dedupeNear !== null) this.near.add(nearKey(entry), dedupeNear, seq, entry);
  }

  private unlistNear(entry: Entry): void {
    const { dedupeNear } = entry;
    if (dedupeNear !== null) this.near.remove(nearKey(entry), dedupeNear, entry);
  }

  /**
   * The first edit behind it of the same row, in its lane, that was made on top of it and on one of these versions. Those of other
   * tabs that did not know it may stand between them, and others on top of those, which are made on what they are to leave.
   */
  editMadeOn(row: PlacedRow, { sinceVersion, untilVersion }: RowLeft): Entry | undefined {
    const unaware: number[] = [];
    return this.edits.find(rowKey(row), (other) => {
      // Only edits are listed here. One that is held to no version was made on none.
      const madeOn = (other.edit as EditHeader).baseRowVersion ?? Number.NEGATIVE_INFINITY;
      if (placeOf(other) <= placeOf(row) || madeOn < sinceVersion || madeOn > untilVersion) return false;
      const isAware = isOnTopOf(other, row.seq) && !unaware.some((seq) => isOnTopOf(other, seq));
      if (!isAware) unaware.push(other.seq);
      return isAware;
    });
  }

  /** What the last confirmed one has left of its row; null when it left none. */
  noteLeft(row: PlacedRow, left: RowLeft | null): void {
    if (row.entity === null) return;
    const key = rowKey(row);
    const before = this.rowsLeft.get(key);
    this.rowsLeft.delete(key);
    if (left === null) return;
    this.rowsLeft.set(key, { ...joinedLeft(before, left), bySeq: row.seq });
    // Edits that are not read yet may be of any of them.
    if (!this.isReading) keepLatest(this.rowsLeft, ROWS_LEFT_COUNT);
  }

  /** The number of the one that has left this version of a row; undefined where that is not known. */
  leaverOf(row: Pick<PlacedRow, 'lane' | 'entity'>, rowVersion: number): number | undefined {
    const left = this.rowsLeft.get(rowKey(row));
    return left?.rowVersion === rowVersion ? left.bySeq : undefined;
  }

  /** What the one that this edit was made on top of has left. */
  leftOf(header: HeaderFields): RowLeft | null {
    const left = this.rowsLeft.get(rowKey(header));
    return left !== undefined && isOnTopOf(header, left.bySeq) ? left : null;
  }

  private indexEdit(entry: Entry): void {
    if (isInConflict(entry)) this.openConflicts.add(entry);
    if (entry.edit === undefined || entry.entity === null) return;
    this.edits.insert(rowKey(entry), entry);
  }

  private unindexEdit(entry: Entry): void {
    this.openConflicts.delete(entry);
    if (entry.edit !== undefined) this.edits.remove(rowKey(entry), entry);
  }

  private isGivenUp(entry: Entry): boolean {
    return entry.phase.kind === 'failed' && !this.holdsLane(entry);
  }

  private leavePending(entry: Entry, nowMs: number, isLedgered: boolean): void {
    this.setWaiting(entry);
    this.counts.pending -= 1;
    this.counts.pendingBytes -= entry.payloadBytes;
    this.schedule.remove(entry, nowMs, isLedgered);
    this.unindexEdit(entry);
    this.kept.delete(entry);
    entry.amendId = null;
    this.expiries.forget(entry);
    this.parentRows.left(entry);
    this.unlistNear(entry);
    this.slots.forget(entry);
    this.versions.forget(entry);
    this.low.delete(entry);
    for (const id of [...entry.dependsOn, ...entry.openParents]) {
      const children = this.childrenOf.get(id);
      children?.delete(entry);
      if (children?.size === 0) this.childrenOf.delete(id);
    }
    this.changed(entry);
  }
}

/** Exactly equal in duplicates. */
export function nearKey({ lane, type, dedupeKey }: Pick<MutationHeader, 'lane' | 'type' | 'dedupeKey'>): string {
  return JSON.stringify([lane, type, dedupeKey]);
}

/** What was disposed of and is remembered for what is just being stored. */
const GONE_COUNT = 10_000;
/** Rows that are remembered for edits which are just being stored. */
const ROWS_LEFT_COUNT = 200;

/** Its app knew that one; what an earlier version has stored does not say, and knew all. */
function isOnTopOf({ edit }: HeaderFields, seq: number): boolean {
  return (edit?.afterSeq ?? seq) >= seq;
}

/** A row, and where in a lane it is that something changes it. */
export type PlacedRow = Pick<MutationHeader, 'lane' | 'entity' | 'seq' | 'place'>;

/** Mutations of one row in one lane share it. */
export function rowKey({ lane, entity }: Pick<MutationHeader, 'lane' | 'entity'>): string {
  return entity === null ? ` ${lane}` : `${lane.length} ${entity.table.length} ${lane}${entity.table}${entity.id}`;
}
