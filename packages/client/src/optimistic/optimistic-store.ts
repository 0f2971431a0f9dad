import { type AnyMutationDefinition, describeMutation } from '../mutation/definition.ts';
import { HoldfastError, messageOf } from '../mutation/holdfast-error.ts';
import type { MutationQueue } from '../queue/mutation-queue.ts';
import type { StoredEvent } from '../queue/queue-events.ts';
import { Emitter } from '../telemetry/emitter.ts';
import { KnownRevisions } from './known-revisions.ts';
import { BEING_STORED, PendingMutations } from './pending-mutations.ts';
import { type Projection, projectionByTypes, type ShownMutation } from './projection.ts';

export interface OptimisticStoreOptions<State extends object> {
  readonly queue: MutationQueue<readonly AnyMutationDefinition[]>;
  /** The confirmed state to begin with, before the first `refresh`. */
  readonly base: State;
}

/** Options of a store that an adapter makes. */
export interface AdaptedStoreOptions<State extends object> {
  readonly pending: PendingMutations;
  readonly base: State;
  readonly projection: Projection<State>;
}

/** A mutation whose effect is shown on top of the confirmed state. */
interface Shown extends ShownMutation {
  /** Effects are replayed in this order, whichever order they became known in. */
  readonly seq: number;
  /** Number of the refresh that will contain its effect: the first to begin after the confirmation; null while unconfirmed. */
  readonly containedFrom: number | null;
}

/**
 * What the user sees: the confirmed state, and on top of it the effects of the mutations that are not in it yet,
 * replayed in the order they were added. Nothing of it is stored: after a restart it is built again from the queue.
 *
 * An effect is shown from the call of `add` on, before it is stored, and taken away again if it cannot be.
 * A mutation that fails simply is not replayed any more, so the ones after it stay. The effect of a confirmed one stays
 * shown until a `refresh` that began after the confirmation has arrived, so nothing flickers in between.
 */
export class OptimisticStore<State extends object> {
  private readonly queue: MutationQueue<readonly AnyMutationDefinition[]>;
  private readonly projection: Projection<State>;
  private readonly changes: Emitter<void>;
  private readonly stops: readonly (() => void)[];
  private base: State;
  private view: State;
  private shown: Shown[] = [];
  /** What has to be done before the view is what it should be: nothing, to add these on top, or all of it anew. */
  private due: 'nothing' | 'all' | Shown[] = 'nothing';
  /** The listeners have not been told of the view yet. */
  private isUntold = false;
  /** What is shown, and what fresh data contains. */
  private readonly known = new KnownRevisions();
  /** Ids of those whose effect threw: told once, for it is replayed at every change. */
  private readonly thrown = new Set<string>();
  private refreshNumber = 0;
  private installedNumber = 0;
  private settledNumber = 0;

  constructor(options: OptimisticStoreOptions<State> | AdaptedStoreOptions<State>) {
    const pending = 'pending' in options ? options.pending : new PendingMutations(options.queue);
    this.queue = pending.queue;
    this.projection = 'projection' in options ? options.projection : projectionByTypes();
    this.base = options.base;
    this.view = options.base;
    this.changes = new Emitter((error) => this.queue.report(error));
    const stop = pending.listen({
      stored: (stored) => this.show(stored),
      notStored: (id) => this.notStored(id),
      settled: (id, isCompleted) => this.settled(id, isCompleted),
    });
    this.stops = [stop, ...('pending' in options ? [] : [() => pending.close()])];
  }

  /** The confirmed state with the pending effects on top. The object stays the same until something in it changes. */
  getSnapshot(): State {
    const { due } = this;
    this.due = 'nothing';
    if (due === 'all') this.see(this.base, this.shown);
    else if (due !== 'nothing') this.see(this.view, due);
    return this.view;
  }

  /** The confirmed state alone. */
  getBase(): State {
    return this.base;
  }

  /** A mutation that is shown here has settled since the last refresh began: the confirmed state is not the newest. */
  get isBehind(): boolean {
    return this.settledNumber > this.installedNumber;
  }

  /** Calls back after the view has changed, once for all that changes together. Returns an unsubscribe. */
  subscribe(listener: () => void): () => void {
    return this.changes.on(listener);
  }

  /**
   * Brings the confirmed state up to date: `load` fetches it anew, or makes it from the last one and what has changed since.
   * Effects confirmed before this call began are part of what it brings, and their mutations count as `observed`. Of
   * refreshes that overtake each other the one that began last stands. Rejects as `load` does, and then nothing changes.
   */
  async refresh(load: (base: State) => Promise<State>): Promise<void> {
    const install = this.beginRefresh();
    install(await load(this.base));
  }

  /** The same in two steps, for data that someone else fetches: call it when that begins, and what it returns with what came. */
  beginRefresh(): (base: State) => void {
    this.refreshNumber += 1;
    const number = this.refreshNumber;
    return (base) => {
      if (number < this.installedNumber) return;
      this.installedNumber = number;
      const contained = this.shown.filter(({ containedFrom }) => containedFrom !== null && containedFrom <= number);
      const gone = new Set(contained);
      this.shown = this.shown.filter((each) => !gone.has(each));
      for (const { id } of contained) {
        this.known.end(id);
        this.thrown.delete(id);
      }
      this.rebase(base);
      const observed = contained.filter(({ isRolledBack }) => !isRolledBack);
      if (observed.length > 0) this.queue.markObserved(observed.map(({ id }) => id));
    };
  }

  /** Puts another confirmed state under what is pending, one that need not contain what was confirmed lately. */
  rebase(base: State): void {
    this.base = base;
    this.replay();
  }

  close(): void {
    for (const stop of this.stops) stop();
  }

  private show({ id, seq, type, payload, revision, own = {} }: StoredEvent): void {
    const definition = this.queue.definitions.get(type);
    const knownRevision = this.known.get(id);
    if (definition === undefined || (knownRevision !== undefined && revision <= knownRevision)) return;
    const before = this.shown.find((each) => each.id === id);
    const { operation, entity } = describeMutation(definition, payload);
    const mutation = { id, seq, type, operation, entity, payload, definition, own };
    const shown: Shown = { ...mutation, isRolledBack: false, containedFrom: null };
    if (before === undefined && !this.projection.concerns(shown)) return;
    this.known.set(id, revision);
    if (before !== undefined) {
      const containedFrom = before.isRolledBack ? null : before.containedFrom;
      const from = this.shown.indexOf(before);
      this.shown.splice(from, 1);
      const isWhereItWas = this.insert({ ...shown, containedFrom }) === from;
      // Of what was being stored and is stored now, there is nothing else to be seen.
      const isTheSame = isWhereItWas && before.payload === payload && !before.isRolledBack;
      if (!isTheSame) this.replay();
      return;
    }
    // Fresh data has its effect already.
    if (knownRevision !== undefined) return;
    if (this.insert(shown) === this.shown.length - 1) this.append(shown);
    // Added earlier, by another tab, or by a call that took longer to check: those after it are replayed on top of it.
    else this.replay();
  }

  /** Returns where it stands. Nearly always last. */
  private insert(shown: Shown): number {
    let index = this.shown.length;
    while ((this.shown[index - 1]?.seq ?? 0) > shown.seq) index -= 1;
    this.shown.splice(index, 0, shown);
    return index;
  }

  /** As if it had never been called. */
  private notStored(id: string): void {
    if (this.known.get(id) !== BEING_STORED) return;
    this.known.delete(id);
    const index = this.shown.findIndex((each) => each.id === id);
    if (index < 0) return;
    this.shown.splice(index, 1);
    this.replay();
  }

  private settled(id: string, isCompleted: boolean): void {
    if (!isCompleted) {
      this.known.delete(id);
      this.thrown.delete(id);
    }
    const index = this.shown.findIndex((each) => each.id === id);
    const shown = this.shown[index];
    if (shown === undefined || shown.isRolledBack) return;
    const containedFrom = this.refreshNumber + 1;
    this.settledNumber = containedFrom;
    if (isCompleted) {
      this.shown[index] = { ...shown, containedFrom: shown.containedFrom ?? containedFrom };
      return;
    }
    if (this.projection.hasRollback(shown)) this.shown[index] = { ...shown, isRolledBack: true, containedFrom };
    else this.shown.splice(index, 1);
    this.replay();
  }

  private append(shown: Shown): void {
    if (!this.projection.isIncremental) this.replay();
    else if (this.due === 'nothing') this.becomeDue([shown]);
    else if (this.due !== 'all') this.due.push(shown);
  }

  private replay(): void {
    this.becomeDue('all');
  }

  /** What changes in one go is shown, and told, at once. */
  private becomeDue(due: 'all' | Shown[]): void {
    this.due = due;
    if (this.isUntold) return;
    this.isUntold = true;
    const before = this.view;
    void Promise.resolve().then(() => {
      this.isUntold = false;
      if (this.getSnapshot() !== before) this.changes.emit();
    });
  }

  private see(from: State, shown: readonly Shown[]): void {
    this.view = this.projection.project(from, shown, (mutation, error) => this.effectThrew(mutation, error));
  }

  private effectThrew({ id, definition }: ShownMutation, cause: unknown): void {
    if (this.thrown.has(id)) return;
    this.thrown.add(id);
    this.queue.report(
      new HoldfastError({
        code: 'EFFECT_FAILED',
        message: `The effect of ${id} (${definition.type}) cannot be shown: ${messageOf(cause)}.`,
        hint: 'Let `optimistic` and `rollback` take any state, also one without the row. Delivery is not affected.',
        cause,
      }),
    );
  }
}

/** Makes a store that shows pending mutations at once; see `OptimisticStore`. */
export function createOptimisticStore<State extends object>(
  options: OptimisticStoreOptions<State>,
): OptimisticStore<State> {
  return new OptimisticStore(options);
}
