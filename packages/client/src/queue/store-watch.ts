import type { Engine } from '../engine/engine.ts';
import type { EngineInput, Settlement } from '../engine/engine-io.ts';
import type { Entry } from '../engine/entry.ts';
import { HoldfastError } from '../mutation/holdfast-error.ts';
import type { DeadLetter, MutationHeader } from '../mutation/record.ts';
import type { WireError } from '../protocol/wire.ts';
import type { Alarms } from './alarms.ts';
import type { Clock } from '../ports/clock.ts';
import type { Ending, Found, QueueStore, Unreadable } from './queue-store.ts';

export interface StoreWatchPorts {
  readonly store: QueueStore;
  readonly engine: Engine;
  readonly dispatch: (input: EngineInput) => void;
  /** Tells the app, whichever tab it happened in. */
  readonly settled: (settlement: Settlement) => void;
  readonly discarded: (ids: readonly string[], ending: Ending) => void;
  readonly report: (error: unknown) => void;
  readonly alarms: Alarms;
  readonly clock: Clock;
  readonly isClosed: () => boolean;
}

/** Up to which number a mutation is neither pending nor a dead letter any more. */
interface Gone {
  readonly pendingSeq: number;
  readonly deadSeq: number;
}

/** What a look at the pending ones, or at the dead letters, has seen. */
interface Seen {
  readonly headers: ReadonlyMap<number, MutationHeader>;
  /** Numbers of what no longer reads. */
  readonly unreadable: ReadonlySet<number>;
}

/** A look that failed is taken again after this, in milliseconds. */
const LOOK_DELAY_MS = 1_000;

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
  private nextLook: Promise<void> | null = null;
  /** What left the store since the look under way began: it may have read it before, and must not bring it back. */
  private readonly gone: Map<string, Gone> = new Map();
  /** Stored by this tab behind others that it has not seen yet: the number of each, by id. */
  private readonly unseen = new Map<string, number>();
  /** Given up by this tab, which lost the lead before that was stored, so that nobody was told; their numbers by id. */
  private readonly untold = new Map<string, number>();

  constructor(ports: StoreWatchPorts) {
    this.ports = ports;
  }

  /** Every number up to this one has been looked at, and the engine knows what of it is pending. */
  get seen(): number {
    return this.seenSeq;
  }

  /** Records that no longer read, as they were found in the store, by their number; they stay there as they are. */
  readonly unreadable: Map<number, string> = new Map();

  /** Resolves when no look is under way. */
  get whenQuiet(): Promise<void> {
    return this.looking;
  }

  /** Just stored by this tab. Those that other tabs have stored in between are looked at first, so that order holds. */
  added(headers: readonly MutationHeader[]): void {
    for (const { id, seq } of headers) this.noteGone(id, seq - 1, seq - 1);
    if (headers[0]?.seq === this.seenSeq + 1) {
      this.seenSeq = headers.at(-1)?.seq ?? this.seenSeq;
      this.ports.dispatch({ kind: 'added', headers });
    } else {
      this.lookFor(headers);
    }
  }

  /** Looks for what other tabs have stored, in order. Calls made while one waits its turn share it. */
  catchUp(): Promise<void> {
    this.nextLook ??= this.look(async () => {
      this.nextLook = null;
      await this.findPending(this.seenSeq);
    });
    return this.nextLook;
  }

  /** Like `catchUp`, for those who cannot wait: what goes wrong is reported, and tried again. */
  catchUpLater(): void {
    this.catchUp().catch((error: unknown) => {
      this.ports.report(error);
      this.ports.alarms.after(LOOK_DELAY_MS, () => this.catchUpLater());
    });
  }

  /**
   * Compares all that this tab believes with the store: a hint may have been missed. What no longer reads there is left
   * alone, since the tab that delivers may know it too; one that takes over (`isTakingOver`) makes dead letters of it.
   */
  reconcile(isTakingOver = false): Promise<void> {
    return this.look(async () => {
      // Only what was believed before the look: what becomes known meanwhile is newer than what it sees.
      const believed = [...this.ports.engine.mutations.all()].map((entry) => ({
        entry,
        isDead: entry.phase.kind === 'failed',
      }));
      const pending = await this.findPending(0);
      const deadLetters = await this.findDeadLetters();
      for (const seq of this.unreadable.keys())
        if (!pending.unreadable.has(seq) && !deadLetters.unreadable.has(seq)) this.unreadable.delete(seq);
      const damaged: MutationHeader[] = [];
      for (const { entry, isDead } of believed) {
        const { id, seq } = entry.header;
        const isStill = this.ports.engine.mutations.get(id) === entry && (entry.phase.kind === 'failed') === isDead;
        const found = isDead ? deadLetters : pending;
        if (!isStill || this.hasJustDied(entry) || found.headers.has(seq)) continue;
        const header = pending.headers.get(seq);
        if (found.unreadable.has(seq)) damaged.push(...(isDead ? [] : [entry.header]));
        else if (header === undefined) await this.settleMissing(entry);
        else this.revive(header);
      }
      if (isTakingOver && damaged.length > 0) await this.bury(damaged);
      if (isTakingOver) await this.findLostParents();
    });
  }

  /** A parent that was disposed of after the tab that delivered had ended: its children are still pending. */
  private async findLostParents(): Promise<void> {
    const ids = this.ports.engine.mutations.unknownParentIds;
    const wereDiscarded = await this.ports.store.wereDiscarded(ids);
    const lost = ids.filter((_, index) => wereDiscarded[index]);
    if (lost.length > 0) this.ports.dispatch({ kind: 'discarded', ids: lost });
  }

  /** This tab is the last to know what they were; their bodies may be well, so that they can be retried. */
  private async bury(damaged: readonly MutationHeader[]): Promise<void> {
    const failedAtMs = this.ports.clock.wallMs();
    const settlements = damaged.map((header) => {
      const holdsLane = this.ports.engine.mutations.mayHoldLane(header.type);
      return { kind: 'failed', deadLetter: { header, error: UNREADABLE, failedAtMs, holdsLane } } as const;
    });
    if (await this.ports.store.settle(settlements, false)) this.settledElsewhere(settlements);
  }

  /** Compares the dead letters that this tab believes in with the store: what people do to them is done in any tab. */
  lookAtDeadLetters(): Promise<void> {
    return this.look(async () => {
      const believed = [...this.ports.engine.mutations.deadLetters];
      const found = await this.findDeadLetters();
      const { mutations } = this.ports.engine;
      const missing = believed.filter(
        (entry) =>
          !found.headers.has(entry.header.seq) && !found.unreadable.has(entry.header.seq) && !this.hasJustDied(entry),
      );
      // Retried in another tab, it is pending again behind others that this tab has not seen.
      if (missing.length > 0) await this.findPending(this.seenSeq);
      for (const entry of missing) if (mutations.deadLetters.has(entry)) await this.settleMissing(entry);
    });
  }

  /** Looks whether the edits that wait for a choice still do: it may have been made in another tab, unheard. */
  async lookAtConflicts(): Promise<void> {
    const open = [...this.ports.engine.mutations.openConflicts].map(({ header }) => header);
    const stored = open.length === 0 ? [] : await this.ports.store.unchanged(open);
    if (stored.includes(null)) await this.reconcile();
  }

  /** This tab has made it a dead letter, and what was read of the store may be older than that. */
  private hasJustDied({ phase, header: { id, seq } }: Entry): boolean {
    if (phase.kind !== 'failed') return false;
    return this.ports.engine.mutations.isSettling(seq) || (this.gone.get(id)?.pendingSeq ?? 0) >= seq;
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
      if (settlement.kind !== 'rebased' || this.isStill(settlement.header)) this.ports.settled(settlement);
    }
  }

  /** Word of what stood in the store may come when it has been rewritten since, or has ended. */
  private isStill({ id, seq, revision }: MutationHeader): boolean {
    const entry = this.ports.engine.mutations.get(id);
    return entry === undefined ? seq > this.seenSeq : entry.header.revision === revision;
  }

  /** Settled by this tab, and not stored, since another one delivers now. */
  lost(settlements: readonly Settlement[]): void {
    for (const settlement of settlements) {
      if (settlement.kind !== 'failed' || settlement.isOwn !== true) continue;
      const { id, seq } = settlement.deadLetter.header;
      this.untold.set(id, seq);
    }
  }

  noteSettled(settlements: readonly Settlement[]): void {
    for (const settlement of settlements) {
      if (settlement.kind === 'completed')
        this.noteGone(settlement.record.id, settlement.record.seq, settlement.record.seq);
      if (settlement.kind === 'failed') {
        const { id, seq } = settlement.deadLetter.header;
        this.noteGone(id, seq, seq - 1);
      }
      if (settlement.kind === 'cancelled')
        this.noteGone(settlement.header.id, settlement.header.seq, settlement.header.seq);
    }
  }

  /** Looks for what this tab has stored behind others. The one who delivers may have settled it before this tab saw it. */
  private lookFor(headers: readonly MutationHeader[]): void {
    for (const { id, seq } of headers) this.unseen.set(id, seq);
    this.catchUp()
      .then(async () => {
        for (const header of headers) {
          if (!this.ports.isClosed() && !this.isKnown(header)) await this.settleUnseen(header);
          this.unseen.delete(header.id);
        }
      })
      .catch((error: unknown) => {
        this.ports.report(error);
        this.ports.alarms.after(LOOK_DELAY_MS, () => this.lookFor(headers));
      });
  }

  private isKnown({ id, seq }: MutationHeader): boolean {
    return this.ports.engine.mutations.get(id) !== undefined || (this.gone.get(id)?.pendingSeq ?? 0) >= seq;
  }

  private async settleUnseen(header: MutationHeader): Promise<void> {
    const { store } = this.ports;
    const deadLetter = await store.deadLetterAt(header.seq);
    if (deadLetter !== null && !this.isKnown(header)) {
      this.settledElsewhere([{ kind: 'failed', deadLetter }]);
      return;
    }
    const record = await store.completed(header.id);
    if (this.isKnown(header)) return;
    if (record !== null) this.settledElsewhere([{ kind: 'completed', record, result: null, wasRepeat: true }]);
    else {
      const [ending = null] = await store.endings([header.id]);
      if (ending !== null) this.ports.discarded([header.id], ending);
    }
  }

  /** Pending in the store, and dead only here: this tab gave it up, and lost the lead before that was stored. */
  private revive(header: MutationHeader): void {
    this.ports.dispatch({ kind: 'discarded', ids: [header.id] });
    this.ports.dispatch({ kind: 'found', headers: [header], deadLetters: [] });
  }

  /** It is neither pending nor a dead letter in the store: another tab has confirmed it, or disposed of it. */
  private async settleMissing(entry: Entry): Promise<void> {
    const { store } = this.ports;
    const { id } = entry.header;
    const record = await store.completed(id);
    const [ending = null] = record === null ? await store.endings([id]) : [];
    // Retried while this was read: it is pending again, under a new number.
    if (this.ports.engine.mutations.get(id) !== entry) return;
    if (record !== null) {
      this.settledElsewhere([{ kind: 'completed', record, result: null, wasRepeat: true }]);
      return;
    }
    this.discarded([id]);
    if (ending !== null) this.ports.discarded([id], ending);
  }

  private look(into: () => Promise<void>): Promise<void> {
    const looked = this.looking.then(async () => {
      this.gone.clear();
      if (!this.ports.isClosed()) await into();
    });
    this.looking = looked.catch(() => {});
    return looked;
  }

  private async findPending(afterSeq: number): Promise<Seen> {
    const bySeq = new Map<number, MutationHeader>();
    const unreadable = new Set<number>();
    // Read before the look: the last numbers may have been settled already, and then no header stands for them.
    const lastSeq = await this.ports.store.readLastSeq();
    for (let from: number | null = afterSeq; from !== null; ) {
      const found: Found<MutationHeader> = await this.ports.store.pendingAfter(from);
      this.reportUnreadable(found.unreadable, unreadable);
      for (const header of found.records) bySeq.set(header.seq, header);
      const foundSeq: number = found.records.at(-1)?.seq ?? from;
      const lostParentIds = await this.lostParentsOf(found.records);
      const headers = found.records.filter(({ id, seq }) => seq > (this.gone.get(id)?.pendingSeq ?? 0));
      if (headers.length > 0) this.ports.dispatch({ kind: 'found', headers, deadLetters: [], lostParentIds });
      this.seenSeq = Math.max(this.seenSeq, foundSeq);
      from = found.hasMore ? foundSeq : null;
    }
    this.seenSeq = Math.max(this.seenSeq, lastSeq);
    return { headers: bySeq, unreadable };
  }

  /** Parents that were disposed of, while another tab, which had not heard of it, added what depends on them. */
  private async lostParentsOf(headers: readonly MutationHeader[]): Promise<readonly string[]> {
    const { mutations } = this.ports.engine;
    // One that was retried is wanted without.
    const ids = new Set(headers.flatMap(({ dependsOn, generation }) => (generation === 0 ? dependsOn : [])));
    const unknown = [...ids].filter((id) => mutations.get(id) === undefined && headers.every((each) => each.id !== id));
    const wereDiscarded = await this.ports.store.wereDiscarded(unknown);
    return unknown.filter((_, index) => wereDiscarded[index]);
  }

  private async findDeadLetters(): Promise<Seen> {
    const bySeq = new Map<number, MutationHeader>();
    const unreadable = new Set<number>();
    for (let from: number | null = 0; from !== null; ) {
      const found: Found<DeadLetter> = await this.ports.store.deadLettersAfter(from);
      this.reportUnreadable(found.unreadable, unreadable);
      for (const { header } of found.records) bySeq.set(header.seq, header);
      // Believed to be pending, or stored by this tab and not seen since: it has missed the verdict.
      const deadLetters = found.records.filter(({ header }) => header.seq > (this.gone.get(header.id)?.deadSeq ?? 0));
      const news = deadLetters.filter(({ header }) => {
        const entry = this.ports.engine.mutations.get(header.id);
        if (entry === undefined) return this.unseen.get(header.id) === header.seq;
        // Another tab has given it up too, and its word may have been lost.
        if (entry.phase.kind === 'failed') return this.untold.get(header.id) === header.seq;
        return entry.header.seq <= header.seq;
      });
      if (deadLetters.length > 0) this.ports.dispatch({ kind: 'found', headers: [], deadLetters });
      for (const { header } of news) this.untold.delete(header.id);
      for (const deadLetter of news) this.ports.settled({ kind: 'failed', deadLetter });
      from = found.hasMore ? (found.records.at(-1)?.header.seq ?? null) : null;
    }
    return { headers: bySeq, unreadable };
  }

  private noteGone(id: string, pendingSeq: number, deadSeq: number): void {
    const before = this.gone.get(id) ?? { pendingSeq: 0, deadSeq: 0 };
    this.gone.set(id, {
      pendingSeq: Math.max(before.pendingSeq, pendingSeq),
      deadSeq: Math.max(before.deadSeq, deadSeq),
    });
  }

  private reportUnreadable(found: readonly Unreadable[], seqs: Set<number>): void {
    for (const { seq, text } of found) {
      seqs.add(seq);
      this.unreadable.set(seq, text);
      this.ports.report(
        new HoldfastError({
          ...UNREADABLE,
          message: `${UNREADABLE.message} It begins with ${JSON.stringify(text.slice(0, 40))}.`,
        }),
      );
    }
  }
}

export const UNREADABLE: WireError = {
  category: 'CORRUPTED',
  code: 'UNREADABLE_RECORD',
  message: 'A stored mutation can no longer be read.',
  hint: 'It is kept as it is and will not be sent; the others go on.',
};
