import type { Settlement } from '../../engine/engine-io.ts';
import { deadLetterOf, type Entry } from '../../engine/entry.ts';
import { HoldfastError } from '../../mutation/holdfast-error.ts';
import type { CompletedRecord, DeadLetter, MutationHeader } from '../../mutation/record.ts';
import { withMark } from '../../mutation/sensitive.ts';
import type { WireError } from '../../protocol/wire.ts';
import { AGAIN_MS } from '../delivering/alarms.ts';
import type { Ending } from './history.ts';
import { OPENED_BY_NEWER } from './queue-store.ts';
import type { Found } from './record-pages.ts';
import type { Unreadable } from './quarantine.ts';
import { FAILED, PENDING } from './record-keys.ts';
import { endedBy } from '../delivering/settlement-changes.ts';
import type { PartPorts } from '../part-ports.ts';

export interface StoreWatchPorts
  extends Pick<PartPorts, 'store' | 'engine' | 'definitions' | 'dispatch' | 'settled' | 'report' | 'alarms' | 'clock'> {
  readonly discarded: (ids: readonly string[], ending: Ending) => void;
  readonly isClosed: () => boolean;
}

/** Up to which number a mutation is neither pending nor a dead letter any more. */
interface Gone {
  readonly pendingSeq: number;
  readonly deadSeq: number;
}

/** What a look at the pending ones, or at the dead letters, has seen: numbers. */
interface Seen {
  readonly seqs: ReadonlySet<number>;
  /** Of what no longer reads. */
  readonly unreadable: ReadonlySet<number>;
}

interface PendingPage extends Seen {
  /** All that is pending up to this number is known. */
  readonly upToSeq: number;
  readonly hasMore: boolean;
  readonly retriedSeq: number;
}

/** Over when another one has overtaken it: what it has read counts no longer. */
interface Look {
  readonly isOver: boolean;
}

interface Comparison extends Look {
  readonly isTakingOver: boolean;
  readonly onPage: () => void;
  isOver: boolean;
}

const WHOLE_LOOK: Look = { isOver: false };

/** `overtaken`: it has made way for a look that sees everything, or the queue has ended. */
type LookEnd = 'whole' | 'overtaken';

/** Enough for a batch. */
const FIRST_PAGE_COUNT = 100;

/** Pending, as this tab believes; of what is packed only the number. */
type Believed = Pick<Entry, 'seq'>;

/**
 * Finds out what other tabs have stored and settled, and tells the engine, in order. Messages between tabs are hints that
 * may be lost, late or doubled; what stands in the store is the truth, and looks at it may themselves be overtaken.
 */
export class StoreWatch {
  private readonly ports: StoreWatchPorts;
  /** Every number up to this one has been looked at in the store. */
  private seenSeq = 0;
  /** Looks into the store happen one after the other, so that mutations become known in their order. */
  private looking: Promise<void> = Promise.resolve();
  private nextLook: Promise<unknown> | null = null;
  /** A comparison that is shared, and waits its turn. */
  private nextComparison: Promise<void> | null = null;
  /** Looks for taking over that wait their turn; the last that was asked for. */
  private takeOverCount = 0;
  private takingOver: Promise<LookEnd | null> = Promise.resolve(null);
  /** Ends the comparison under way. */
  private overtake: () => void = () => {};
  /** What left the store since the look under way began: it may have read it before, and must not bring it back. */
  private readonly gone: Map<string, Gone> = new Map();
  /** What this tab looks for, by id: it has stored them behind others that it has not seen yet, or before it was opened anew. */
  readonly unseen: Map<string, MutationHeader> = new Map();
  /** Given up by this tab, which lost the lead before that was stored, so that nobody was told; their numbers by id. */
  private readonly untold = new Map<string, number>();

  constructor(ports: StoreWatchPorts) {
    this.ports = ports;
  }

  /** Every number up to this one has been looked at, and the engine knows what of it is pending. */
  get seen(): number {
    return this.seenSeq;
  }

  /** Records that no longer read, as they stand in the store, by their number; the tab that delivers moves them into quarantine. */
  readonly unreadable: Map<number, Unreadable> = new Map();
  /** What became of those that were found in this run. */
  readonly recovered: { removedCount: number; restoredCount: number } = { removedCount: 0, restoredCount: 0 };

  /** What is pending and does not read may have been sent, or not: its number must not pass for a settled one. */
  get firstUnreadableSeq(): number | null {
    const seqs = [...this.unreadable.values()].flatMap(({ key, seq }) => (key.startsWith(PENDING) ? [seq] : []));
    return seqs.length === 0 ? null : Math.min(...seqs);
  }

  /** Resolves when no look is under way. */
  get whenQuiet(): Promise<void> {
    return this.looking;
  }

  /** Just stored by this tab. Those that other tabs have stored in between are looked at first, so that order holds. */
  added(headers: readonly MutationHeader[]): void {
    // Nobody ever had one that is new under another number.
    for (const { id, seq, generation } of headers) if (generation > 0) this.noteGone(id, seq - 1, seq - 1);
    if (headers[0]?.seq === this.seenSeq + 1) {
      this.seenSeq = headers.at(-1)?.seq ?? this.seenSeq;
      this.ports.dispatch({ kind: 'added', headers });
    } else {
      this.lookFor(headers);
    }
  }

  /** Looks for what other tabs have stored, in order. Calls made while one waits its turn share it. */
  async catchUp(): Promise<void> {
    this.nextLook ??= this.look(async () => {
      this.nextLook = null;
      await this.findPending(this.seenSeq);
    });
    await this.nextLook;
  }

  /** Like `catchUp`, for those who cannot wait: what goes wrong is reported, and tried again. */
  catchUpLater(): void {
    this.ports.alarms.insist(() => this.catchUp(), this.ports.report);
  }

  /**
   * Compares all that this tab believes with the store: a hint may have been missed. What no longer reads there is left
   * alone, since the tab that delivers may know it too. A look for taking over sees all that this one would, and comes first.
   * `onPage`: called when a page is known; `onTurn`: when nothing has been read yet, and it is its turn.
   */
  async reconcile(onPage: () => void = () => {}, onTurn: () => void = () => {}): Promise<void> {
    const compare = (): Promise<LookEnd> => {
      onTurn();
      return this.compareAll(false, onPage);
    };
    for (;;) {
      if ((await this.look(compare)) !== 'overtaken') return;
      if ((await this.takingOver.catch(() => 'failed')) === 'whole') return;
    }
  }

  /** The same for those who ask about one that nobody knows, which may be many at once: calls made while one waits its turn share it. */
  reconcileTogether(): Promise<void> {
    if (this.nextComparison !== null) return this.nextComparison;
    const comparison = this.reconcile(undefined, () => {
      if (this.nextComparison === comparison) this.nextComparison = null;
    });
    this.nextComparison = comparison;
    return comparison;
  }

  /**
   * The same for a tab that takes over, which makes dead letters of what no longer reads. Resolves when the first page is
   * known: delivery may begin, and the engine is told how far the rest is read. That goes on by itself, and again where it fails.
   */
  takeOver(): Promise<void> {
    this.takeOverCount += 1;
    this.overtake();
    return new Promise((resolve, reject) => {
      let mayDeliver = false;
      const begin = (): void => {
        mayDeliver = true;
        resolve();
      };
      const taking = this.look(() => {
        this.takeOverCount -= 1;
        return this.compareAll(true, begin);
      });
      this.takingOver = taking;
      taking.then(begin, (error: unknown) => {
        if (mayDeliver) this.takeOverLater(error);
        else reject(error);
      });
    });
  }

  /**
   * Resolves when a tab that takes over has read all, and so knows of each whether it is still there; rejects when that failed
   * just now.
   */
  async whenRead(): Promise<void> {
    while (this.ports.engine.mutations.isReading && !this.ports.isClosed()) {
      if ((await this.takingOver) !== 'overtaken') return;
    }
  }

  /** Delivery has begun, and not all was read: what is not known to be there waits until it is. */
  takeOverLater(error: unknown): void {
    this.ports.report(error);
    this.ports.alarms.after(AGAIN_MS, () => this.ports.alarms.insist(() => this.takeOver(), this.ports.report));
  }

  /** Ends at once when it is overtaken, whatever it still waits for. */
  private compareAll(isTakingOver: boolean, onPage: () => void): Promise<LookEnd> {
    const comparison = { isTakingOver, onPage, isOver: !isTakingOver && this.takeOverCount > 0 };
    return new Promise((resolve, reject) => {
      this.overtake = () => {
        comparison.isOver = true;
        resolve('overtaken');
      };
      this.compare(comparison).then(resolve, reject);
    });
  }

  /** Dead letters come first, so that what is pending is known together with all that stands in its way. */
  private async compare(comparison: Comparison): Promise<LookEnd> {
    if (comparison.isOver) return 'overtaken';
    const { isTakingOver, onPage } = comparison;
    const { engine, dispatch } = this.ports;
    // Only what was believed before the look: what becomes known meanwhile is newer than what it sees.
    const believed = [...engine.mutations.entries()].map((entry) => ({ entry, isDead: entry.phase.kind === 'failed' }));
    const pending: Believed[] = believed.flatMap(({ entry, isDead }) => (isDead ? [] : [entry]));
    for (const place of engine.mutations.packed?.places() ?? []) pending.push(place);
    pending.sort((left, right) => left.seq - right.seq);
    if (isTakingOver) dispatch({ kind: 'reading', upToSeq: 0 });
    const deadLetters = await this.findDeadLetters();
    const missing = await this.compareDead(
      believed.flatMap(({ entry, isDead }) => (isDead ? [entry] : [])),
      deadLetters,
    );
    const unreadable = new Set(deadLetters.unreadable);
    let comparedCount = 0;
    let missingSoFar: readonly Believed[] = [];
    const end = await this.findPending(0, comparison, async (page) => {
      const onPageFrom = comparedCount;
      while ((pending[comparedCount]?.seq ?? Number.NaN) <= page.upToSeq) comparedCount += 1;
      // One that was retried may go before others that were read long before it.
      const isSure = page.upToSeq >= page.retriedSeq;
      const believedHere = [...missingSoFar, ...pending.slice(onPageFrom, comparedCount)];
      missingSoFar = await this.comparePending(believedHere, page, comparison);
      if (comparison.isOver) return;
      for (const seq of page.unreadable) unreadable.add(seq);
      if (isTakingOver && isSure && page.hasMore) dispatch({ kind: 'reading', upToSeq: page.upToSeq });
      if (page.hasMore) onPage();
    });
    if (end === 'overtaken') return end;
    for (const entry of missing)
      if (engine.mutations.deadLetters.has(entry)) await this.settleMissing(entry, comparison);
    if (comparison.isOver) return 'overtaken';
    for (const seq of this.unreadable.keys()) if (!unreadable.has(seq)) this.unreadable.delete(seq);
    if (isTakingOver) {
      // A disk that is full holds up nobody: it is tried again by the next tab that delivers, or by `recover`.
      await this.setAside(true).catch((error: unknown) => this.ports.report(error));
      await this.findLostParents();
      dispatch({ kind: 'reading', upToSeq: null });
    }
    onPage();
    return end;
  }

  /**
   * Those that were believed dead. Says which are so no longer: retried, they are found among the pending ones, and until then
   * what stands behind them waits; else they are gone.
   */
  private async compareDead(believed: readonly Entry[], found: Seen): Promise<readonly Entry[]> {
    const missing = believed.filter((entry) => this.isMissing(entry, found));
    const pending = await this.ports.store.pendingAt(missing.map(({ seq }) => seq));
    return missing.filter((entry, index) => {
      const stored = pending[index] ?? null;
      if (stored !== null && this.ports.engine.mutations.deadLetters.has(entry)) this.revive(stored.header);
      return stored === null;
    });
  }

  /**
   * Those of one page that were believed pending: settled, damaged, or pending as before. Says which are not there, while it is not
   * known whether they have died and were retried, and stand on a page to come.
   */
  private async comparePending(
    believed: readonly Believed[],
    page: PendingPage,
    comparison: Comparison,
  ): Promise<readonly Believed[]> {
    const isSure = page.upToSeq >= page.retriedSeq;
    const damaged: MutationHeader[] = [];
    const missing: Entry[] = [];
    for (const each of believed) {
      const { seq } = each;
      if (page.seqs.has(seq)) continue;
      const entry = this.ports.engine.mutations.at(seq);
      const isStill = entry !== undefined && (entry === each || !('id' in each)) && entry.phase.kind !== 'failed';
      if (!isStill) continue;
      if (page.unreadable.has(seq)) damaged.push(entry.header);
      else if (isSure) await this.settleMissing(entry, comparison);
      else missing.push(entry);
    }
    // One that is on its way or waits its turn is sent from memory; one that waits for a choice must be read to be chosen about.
    const { engine } = this.ports;
    const isPastReading = ({ edit }: MutationHeader): boolean =>
      comparison.isTakingOver || (engine.isLeader && (edit?.conflict ?? null) !== null);
    const past = damaged.filter(isPastReading);
    if (past.length > 0) await this.bury(past);
    return missing;
  }

  /** A parent that was disposed of after the tab that delivered had ended: its children are still pending. */
  private async findLostParents(): Promise<void> {
    const { store, engine } = this.ports;
    const lost = await store.history.disposedAmong(engine.mutations.unknownParentIds);
    if (lost.length > 0) this.ports.dispatch({ kind: 'discarded', ids: lost });
  }

  /**
   * Moves what does not read into quarantine. A dead letter that this tab knows is written anew instead. Without a tab that
   * delivers (`isLeader` false), which may know more, only what has not changed since it was read is moved.
   */
  async setAside(isLeader: boolean): Promise<void> {
    const { store, engine, clock } = this.ports;
    const known = new Map([...engine.mutations.deadLetters].map((entry) => [entry.seq, entry]));
    const unknown: Unreadable[] = [];
    for (const found of this.unreadable.values()) {
      const entry = found.key.startsWith(FAILED) ? known.get(found.seq) : undefined;
      const [deadLetter] = entry === undefined ? [] : deadLetterOf(entry);
      if (deadLetter === undefined) {
        unknown.push(found);
      } else if (await store.deadLetters.rewrite(found, deadLetter)) {
        this.unreadable.delete(found.seq);
        this.recovered.restoredCount += 1;
      }
    }
    if (unknown.length === 0) return;
    for (const { seq } of await store.quarantineAll(unknown, clock.wallMs(), isLeader)) {
      this.unreadable.delete(seq);
      this.recovered.removedCount += 1;
    }
  }

  /** This tab is the last to know what they were; their bodies may be well, so that they can be retried. */
  private async bury(damaged: readonly MutationHeader[]): Promise<void> {
    const settlements = damaged.map((header) => ({ kind: 'failed', deadLetter: this.deadLetterOf(header) }) as const);
    if (!(await this.ports.store.settlements.settle(settlements, false))) return;
    this.settledElsewhere(settlements);
    for (const { seq } of damaged) this.unreadable.delete(seq);
  }

  private deadLetterOf(header: MutationHeader): DeadLetter {
    const holdsLane = this.ports.engine.mutations.mayHoldLane(header.type);
    return { header, error: UNREADABLE, failedAtMs: this.ports.clock.wallMs(), holdsLane };
  }

  /** Compares the dead letters that this tab believes in with the store: what people do to them is done in any tab. */
  async lookAtDeadLetters(): Promise<void> {
    await this.look(async () => {
      const believed = [...this.ports.engine.mutations.deadLetters];
      const found = await this.findDeadLetters();
      const { mutations } = this.ports.engine;
      const missing = believed.filter((entry) => this.isMissing(entry, found));
      // Retried in another tab, it is pending again behind others that this tab has not seen.
      if (missing.length > 0) await this.findPending(this.seenSeq);
      for (const entry of missing) if (mutations.deadLetters.has(entry)) await this.settleMissing(entry);
    });
  }

  /**
   * Looks whether the edits that wait for a choice still do: it may have been made in another tab, unheard. Of one whose payload is
   * damaged nobody can say what there is to choose from: the tab that delivers makes a dead letter of it.
   */
  async lookAtConflicts(): Promise<void> {
    const { store, engine, dispatch } = this.ports;
    const open = [...engine.mutations.openConflicts].map(({ header }) => header);
    const stored = open.length === 0 ? [] : await store.unchanged(open);
    if (stored.includes(null)) {
      await this.reconcile();
      return;
    }
    const seqs = open.length === 0 ? [] : await store.unreadableAmong(open.map(({ seq }) => seq));
    if (seqs.length > 0) dispatch({ kind: 'givenUp', seqs, error: UNREADABLE });
  }

  /** Not among the dead letters in the store; but where this tab has just made it one, what was read may be older than that. */
  private isMissing({ phase, id, seq }: Entry, found: Seen): boolean {
    if (found.seqs.has(seq) || found.unreadable.has(seq)) return false;
    const mayBeOlder = this.ports.engine.mutations.isSettling(seq) || (this.gone.get(id)?.pendingSeq ?? 0) >= seq;
    return phase.kind !== 'failed' || !mayBeOlder;
  }

  /** Neither pending nor dead letters any more, whoever did it. */
  discarded(ids: readonly string[]): void {
    for (const id of ids) this.noteGone(id, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
    this.ports.dispatch({ kind: 'discarded', ids });
  }

  settledElsewhere(settlements: readonly Settlement[]): void {
    this.noteSettled(settlements);
    this.ports.dispatch({ kind: 'settledElsewhere', settlements });
    for (const settlement of settlements) {
      if (settlement.kind === 'failed') this.untold.delete(settlement.deadLetter.header.id);
      if (this.isNews(settlement)) this.ports.settled(settlement);
    }
  }

  /** Word of what was rewritten may come when it has been rewritten once more since, or has ended. */
  isNews(settlement: Settlement): boolean {
    if (settlement.kind !== 'rebased') return true;
    const { id, seq, revision } = settlement.header;
    const entry = this.ports.engine.mutations.get(id);
    return entry === undefined ? seq > this.seenSeq : entry.revision === revision;
  }

  /** Settled by this tab, and not known to be stored, since another one delivers now. */
  lost(settlements: readonly Settlement[]): void {
    const cancelled: MutationHeader[] = [];
    for (const settlement of settlements) {
      if (settlement.kind === 'cancelled') {
        cancelled.push(settlement.header);
        // Should a look find it as a dead letter before, that is news here.
        this.unseen.set(settlement.header.id, settlement.header);
      }
      if (settlement.kind !== 'failed' || settlement.isOwn !== true) continue;
      const { id, seq } = settlement.deadLetter.header;
      this.untold.set(id, seq);
    }
    // Nobody was told; stored although that failed for this tab, they are gone, and this tab has forgotten them. Not at once: the page
    // may be on its way to be frozen.
    if (cancelled.length > 0) this.ports.alarms.after(AGAIN_MS, () => this.lookFor(cancelled));
  }

  noteSettled(settlements: readonly Settlement[]): void {
    for (const settlement of settlements) {
      const ended = endedBy(settlement);
      // A dead letter stands there under its number.
      if (ended !== null) this.noteGone(ended.id, ended.seq, settlement.kind === 'failed' ? ended.seq - 1 : ended.seq);
    }
  }

  /**
   * Looks for what this tab has stored behind others, or before it was opened anew. The one who delivers may have settled it before this
   * tab saw it.
   */
  lookFor(headers: readonly MutationHeader[]): void {
    for (const header of headers) this.unseen.set(header.id, header);
    const look = async (): Promise<void> => {
      await this.catchUp();
      for (const header of headers) {
        // Whoever opens it anew goes on.
        if (this.ports.isClosed()) return;
        const isEnded = this.isKnown(header) || (await this.settleUnseen(header));
        // Neither pending nor ended, as far as can be read: should it turn out to be a dead letter, that is told.
        if (isEnded || this.isKnown(header)) this.unseen.delete(header.id);
      }
    };
    this.ports.alarms.insist(look, this.ports.report);
  }

  private isKnown({ id, seq }: MutationHeader): boolean {
    return this.ports.engine.mutations.has(id) || (this.gone.get(id)?.pendingSeq ?? 0) >= seq;
  }

  /** Whether its end was found. */
  private async settleUnseen(header: MutationHeader): Promise<boolean> {
    const { store } = this.ports;
    const deadLetter = await store.deadLetters.at(header.seq);
    if (deadLetter !== null && !this.isKnown(header)) {
      this.foundDead(deadLetter);
      return true;
    }
    const record = await store.history.completed(header.id);
    if (this.isKnown(header)) return true;
    if (record !== null) {
      this.foundCompleted(record);
      return true;
    }
    const [disposal = null] = await store.history.disposals([header.id]);
    if (disposal !== null) {
      this.ports.discarded([header.id], disposal.ending);
      return true;
    }
    if (!this.isKnown(header)) await this.settleDamaged(header);
    return false;
  }

  /** Stored by this tab, and not to be found: its record was damaged before anyone had seen it, so that only this tab knows what it was. */
  private async settleDamaged(header: MutationHeader): Promise<void> {
    const { store, engine, dispatch } = this.ports;
    const deadLetter = this.deadLetterOf(header);
    if (await store.deadLetters.reclaim(deadLetter)) this.foundDead(deadLetter);
    else if (this.unreadable.get(header.seq)?.key.startsWith(PENDING) !== true) return;
    // It is not sent late: what stands behind it in its lane may have gone.
    else if (engine.isLeader) await this.bury([header]);
    // The tab that delivers may have read it before. Known as pending, it goes the way of all those that do not read any more.
    else dispatch({ kind: 'found', headers: [header], deadLetters: [] });
  }

  /** Pending in the store, and dead only here: this tab gave it up, and lost the lead before that was stored. */
  private revive(header: MutationHeader): void {
    this.ports.dispatch({ kind: 'discarded', ids: [header.id] });
    this.ports.dispatch({ kind: 'found', headers: [header], deadLetters: [] });
  }

  /** It is neither pending nor a dead letter in the store: another tab has confirmed it, or disposed of it. */
  private async settleMissing(entry: Entry, look: Look = WHOLE_LOOK): Promise<void> {
    const { store } = this.ports;
    const { id, seq } = entry;
    // It may have died since the dead letters were read.
    const stored = entry.phase.kind === 'failed' ? null : await store.deadLetters.at(seq);
    const record = await store.history.completed(id);
    const [disposal = null] = record === null ? await store.history.disposals([id]) : [];
    // Retried while this was read: it is pending again, under a new number.
    if (look.isOver || this.ports.engine.mutations.get(id) !== entry) return;
    if (stored !== null) {
      if (entry.phase.kind !== 'failed') this.foundDead(stored);
      return;
    }
    if (record !== null) {
      this.foundCompleted(record);
      return;
    }
    if (disposal === null && entry.phase.kind !== 'failed') {
      // Another tab may have set it aside, which did not know what it was; and yet another have been quicker to say what it is.
      const own = this.deadLetterOf(entry.header);
      const deadLetter = (await store.deadLetters.reclaim(own)) ? own : await store.deadLetters.at(seq);
      if (look.isOver || this.ports.engine.mutations.get(id) !== entry) return;
      if (deadLetter !== null) {
        this.foundDead(deadLetter);
        return;
      }
    }
    this.discarded([id]);
    if (disposal !== null) this.ports.discarded([id], disposal.ending);
  }

  private foundDead(deadLetter: DeadLetter): void {
    this.settledElsewhere([{ kind: 'failed', deadLetter }]);
  }

  private foundCompleted(record: CompletedRecord): void {
    this.settledElsewhere([{ kind: 'completed', record, result: null, wasRepeat: true }]);
  }

  /** Null from a queue that has ended. */
  private look<Result>(into: () => Promise<Result>): Promise<Result | null> {
    const looked = this.looking.then(async () => {
      this.gone.clear();
      return this.ports.isClosed() ? null : into();
    });
    this.looking = looked.then(
      () => {},
      () => {},
    );
    return looked;
  }

  /** Tells of what is pending behind a number, page by page. */
  private async findPending(
    afterSeq: number,
    look: Look = WHOLE_LOOK,
    compare: (page: PendingPage) => Promise<void> = async () => {},
  ): Promise<LookEnd> {
    // Read before the look: the last numbers may have been settled already, and then no header stands for them.
    const { lastSeq, retriedSeq } = await this.ports.store.readMarks();
    // Delivery waits for the first page, and then reads bodies while the next ones are read: they grow.
    let count = FIRST_PAGE_COUNT;
    for (let from: number | null = afterSeq; from !== null; count *= 2) {
      const { pageCount } = this.ports.store;
      const found: Found<MutationHeader> = await this.ports.store.pendingAfter(from, Math.min(count, pageCount));
      const lostParentIds = await this.lostParentsOf(found.records);
      if (look.isOver || this.ports.isClosed()) return 'overtaken';
      const seqs = new Set(found.records.map(({ seq }) => seq));
      const unreadable = new Set<number>();
      this.reportUnreadable(found.unreadable, { seqs, unreadable });
      const foundSeq: number = found.records.at(-1)?.seq ?? from;
      const headers = found.records
        .filter(({ id, seq }) => seq > (this.gone.get(id)?.pendingSeq ?? 0))
        .map((header) => withMark(this.ports.definitions, header));
      if (headers.length > 0) this.ports.dispatch({ kind: 'found', headers, deadLetters: [], lostParentIds });
      this.seenSeq = Math.max(this.seenSeq, foundSeq);
      const { hasMore } = found;
      const upToSeq = hasMore ? foundSeq : Number.POSITIVE_INFINITY;
      await compare({ seqs, unreadable, upToSeq, hasMore, retriedSeq });
      from = hasMore ? foundSeq : null;
    }
    this.seenSeq = Math.max(this.seenSeq, lastSeq);
    return 'whole';
  }

  /** Parents that were disposed of, while another tab, which had not heard of it, added what depends on them. */
  private async lostParentsOf(headers: readonly MutationHeader[]): Promise<readonly string[]> {
    const { mutations } = this.ports.engine;
    // One that was retried is wanted without.
    const ids = new Set(headers.flatMap(({ dependsOn, generation }) => (generation === 0 ? dependsOn : [])));
    const unknown = [...ids].filter((id) => !mutations.has(id) && headers.every((each) => each.id !== id));
    return this.ports.store.history.disposedAmong(unknown);
  }

  private async findDeadLetters(): Promise<Seen> {
    const seqs = new Set<number>();
    const unreadable = new Set<number>();
    for (let from: number | null = 0; from !== null; ) {
      const found: Found<DeadLetter> = await this.ports.store.deadLetters.after(from);
      this.reportUnreadable(found.unreadable, { seqs, unreadable });
      for (const { header } of found.records) seqs.add(header.seq);
      // Believed to be pending, or stored by this tab and not seen since: it has missed the verdict.
      const deadLetters = found.records.filter(({ header }) => header.seq > (this.gone.get(header.id)?.deadSeq ?? 0));
      const news = deadLetters.filter(({ header }) => {
        const entry = this.ports.engine.mutations.get(header.id);
        if (entry === undefined) return this.unseen.get(header.id)?.seq === header.seq;
        // Another tab has given it up too, and its word may have been lost.
        if (entry.phase.kind === 'failed') return this.untold.get(header.id) === header.seq;
        return entry.seq <= header.seq;
      });
      if (deadLetters.length > 0) this.ports.dispatch({ kind: 'found', headers: [], deadLetters });
      for (const { header } of news) this.untold.delete(header.id);
      for (const deadLetter of news) this.ports.settled({ kind: 'failed', deadLetter });
      from = found.hasMore ? (found.records.at(-1)?.header.seq ?? null) : null;
    }
    return { seqs, unreadable };
  }

  private noteGone(id: string, pendingSeq: number, deadSeq: number): void {
    const before = this.gone.get(id) ?? { pendingSeq: 0, deadSeq: 0 };
    this.gone.set(id, {
      pendingSeq: Math.max(before.pendingSeq, pendingSeq),
      deadSeq: Math.max(before.deadSeq, deadSeq),
    });
  }

  /** What a newer version has written is there, as it was; nobody here can say in which lane it stands. */
  private reportUnreadable(
    found: readonly Unreadable[],
    { seqs, unreadable }: { readonly seqs: Set<number>; readonly unreadable: Set<number> },
  ): void {
    for (const each of found) {
      const { seq, text, isNewer } = each;
      if (isNewer) {
        seqs.add(seq);
        this.ports.dispatch({ kind: 'upgradeRequired', error: OPENED_BY_NEWER });
        continue;
      }
      unreadable.add(seq);
      const isNews = this.unreadable.get(seq)?.text !== text;
      this.unreadable.set(seq, each);
      if (!isNews) continue;
      this.ports.report(
        new HoldfastError({
          ...UNREADABLE,
          message: `${UNREADABLE.message} It begins with ${JSON.stringify(text.slice(0, 40))}.`,
        }),
      );
    }
  }
}

/** The store has it and cannot read it, again and again, while it reads others. */
export const NOT_READ: WireError = {
  category: 'CORRUPTED',
  code: 'UNREADABLE_RECORD',
  message: 'The storage of this device cannot read a stored mutation, although it reads others.',
  hint: 'It is kept where it is, and was not sent from there; the others go on. Should it read again, send it with `retry`.',
};

export const UNREADABLE: WireError = {
  category: 'CORRUPTED',
  code: 'UNREADABLE_RECORD',
  message: 'A stored mutation can no longer be read.',
  hint: 'It is kept as it is (`listQuarantine`) and will not be sent; the others go on.',
};
