import { create } from 'mutative';
import type { AnyMutationDefinition, OwnEffect } from '../mutation/definition.ts';
import { HoldfastError } from '../mutation/holdfast-error.ts';
import type { JsonObject } from '../protocol/wire.ts';
import type { MutationQueue } from '../queue/mutation-queue.ts';
import type { StoredEvent } from '../queue/queue-events.ts';
import { Emitter } from '../telemetry/emitter.ts';

export interface OptimisticStoreOptions<State extends object> {
  readonly queue: MutationQueue<readonly AnyMutationDefinition[]>;
  /** The confirmed state to begin with, before the first `refresh`. */
  readonly base: State;
}

/** A mutation whose effect is shown on top of the confirmed state. */
interface Shown {
  readonly id: string;
  /** Effects are replayed in this order, whichever order they became known in. */
  readonly seq: number;
  readonly definition: AnyMutationDefinition;
  readonly payload: JsonObject;
  /** What this run of the app gave for this mutation alone. */
  readonly own: OwnEffect;
  /** It failed, or was taken back: what its rollback does is shown instead, until fresh data has come. */
  isRolledBack: boolean;
  /** Its effect threw, and that was told. */
  hasThrown: boolean;
  /** Number of the refresh that will contain its effect: the first to begin after the confirmation; null while unconfirmed. */
  containedFrom: number | null;
}

/**
 * What the user sees: the confirmed state, and on top of it the effects of the mutations that are not in it yet,
 * replayed in the order they were added. Nothing of it is stored: after a restart it is built again from the queue.
 *
 * A mutation that fails simply is not replayed any more, so the ones after it stay. The effect of a confirmed one stays
 * shown until a `refresh` that began after the confirmation has arrived, so nothing flickers in between.
 */
export class OptimisticStore<State extends object> {
  private readonly queue: MutationQueue<readonly AnyMutationDefinition[]>;
  private readonly changes: Emitter<void>;
  private readonly stops: readonly (() => void)[];
  private base: State;
  private view: State;
  private shown: Shown[] = [];
  /** The revision that is shown, by id; kept when the verdict is in. */
  private readonly known = new Map<string, number>();
  private refreshNumber = 0;
  private installedNumber = 0;

  constructor({ queue, base }: OptimisticStoreOptions<State>) {
    this.queue = queue;
    this.base = base;
    this.view = base;
    this.changes = new Emitter((error) => queue.report(error));
    this.stops = [
      queue.on('stored', (stored) => this.show(stored)),
      queue.on('amended', (stored) => this.show(stored)),
      queue.on('change', ({ ids }) => void this.findPending(ids)),
      queue.on('settled', ({ id, status }) => this.settled(id, status === 'completed')),
    ];
    void this.findPending();
  }

  /** The confirmed state with the pending effects on top. The object stays the same until something in it changes. */
  getSnapshot(): State {
    return this.view;
  }

  /** The confirmed state alone. */
  getBase(): State {
    return this.base;
  }

  subscribe(listener: () => void): () => void {
    return this.changes.on(listener);
  }

  /**
   * Brings the confirmed state up to date: `load` fetches it anew, or makes it from the last one and what has changed since.
   * Effects confirmed before this call began are part of what it brings, and their mutations count as `observed`. Of
   * refreshes that overtake each other the one that began last stands. Rejects as `load` does, and then nothing changes.
   */
  async refresh(load: (base: State) => Promise<State>): Promise<void> {
    this.refreshNumber += 1;
    const number = this.refreshNumber;
    const base = await load(this.base);
    if (number < this.installedNumber) return;
    this.installedNumber = number;
    this.base = base;
    const contained = this.shown.filter(({ containedFrom }) => containedFrom !== null && containedFrom <= number);
    this.shown = this.shown.filter((each) => !contained.includes(each));
    this.replay();
    const observed = contained.filter(({ isRolledBack }) => !isRolledBack);
    if (observed.length > 0) this.queue.markObserved(observed.map(({ id }) => id));
  }

  close(): void {
    for (const stop of this.stops) stop();
  }

  /** Shows what is pending and not shown yet: all of it after a restart, or what another tab has added. */
  private async findPending(ids?: readonly string[]): Promise<void> {
    if (ids !== undefined) void this.findEnded(ids);
    const news = ids?.filter((id) => (this.known.get(id) ?? -1) < (this.queue.peekStatus(id)?.revision ?? 0));
    if (news?.length === 0) return;
    // A queue that cannot be read has said so itself; there is nothing to show then.
    for (const pending of await this.queue.readPending(news).catch(() => [])) {
      // Taken back, or disposed of, while its payload was read: nobody would take its effect away again.
      if (this.queue.peekStatus(pending.id) !== undefined) this.show(pending);
    }
  }

  /**
   * The queue may find that one is gone and not know any more how it ended: it ended unheard, and so long ago that history does
   * not say. Fresh data does.
   */
  private async findEnded(ids: readonly string[]): Promise<void> {
    const isGone = (id: string): boolean => this.queue.peekStatus(id) === undefined;
    const gone = this.shown.filter(({ id, containedFrom }) => containedFrom === null && ids.includes(id) && isGone(id));
    if (gone.length === 0) return;
    // Most endings are told just after the change.
    await Promise.resolve();
    for (const each of gone) {
      if (each.containedFrom !== null || !this.shown.includes(each)) continue;
      // A queue that cannot be read has said so itself.
      const status = await this.queue.getMutationStatus(each.id).catch(() => null);
      // Retried meanwhile, it is shown anew, as another one.
      if (status === undefined) each.containedFrom ??= this.refreshNumber + 1;
    }
  }

  private show({ id, seq, type, payload, revision, own = {} }: StoredEvent): void {
    const definition = this.queue.definitions.get(type);
    if (definition === undefined || revision <= (this.known.get(id) ?? -1)) return;
    const before = this.shown.find((each) => each.id === id);
    const effect = before === undefined || before.isRolledBack ? own : before.own;
    if ((effect.optimisticUpdate ?? definition.optimistic) === undefined) return;
    // The verdict may have come while the payload was read or the commit returned: nobody will tell of it again.
    const status = this.queue.peekStatus(id)?.status;
    if (status === 'failed') return;
    const isAmended = this.known.has(id);
    this.known.set(id, revision);
    // Fresh data has its effect already.
    if (isAmended && before === undefined) return;
    const containedFrom = status === 'completed' ? this.refreshNumber + 1 : null;
    const state = { containedFrom, isRolledBack: false, hasThrown: false };
    const shown: Shown = { id, seq, definition, payload, own: effect, ...state };
    if (before !== undefined) {
      const since = before.isRolledBack ? null : before.containedFrom;
      this.shown[this.shown.indexOf(before)] = { ...shown, containedFrom: since ?? containedFrom };
      this.replay();
      return;
    }
    const index = this.shown.findIndex((each) => each.seq > seq);
    if (index < 0) {
      this.shown.push(shown);
      this.apply(this.view, [shown]);
      return;
    }
    // Another tab has added it earlier: those after it are replayed on top of it.
    this.shown.splice(index, 0, shown);
    this.replay();
  }

  private settled(id: string, isCompleted: boolean): void {
    const shown = this.shown.find((each) => each.id === id);
    if (shown === undefined || shown.isRolledBack) return;
    if (isCompleted) {
      shown.containedFrom ??= this.refreshNumber + 1;
      return;
    }
    this.known.delete(id);
    if ((shown.own.rollback ?? shown.definition.rollback) === undefined) {
      this.shown = this.shown.filter((each) => each !== shown);
    } else {
      shown.isRolledBack = true;
      shown.containedFrom = this.refreshNumber + 1;
    }
    this.replay();
  }

  private replay(): void {
    this.apply(this.base, this.shown);
  }

  private apply(from: State, shown: readonly Shown[]): void {
    const view = withEffects(from, shown, (each, error) => this.effectThrew(each, error));
    if (view === this.view) return;
    this.view = view;
    this.changes.emit();
  }

  /** Told once: it is replayed at every change. */
  private effectThrew(shown: Shown, cause: unknown): void {
    if (shown.hasThrown) return;
    shown.hasThrown = true;
    this.queue.report(
      new HoldfastError({
        code: 'EFFECT_FAILED',
        message: `The effect of ${shown.id} (${shown.definition.type}) cannot be shown: ${cause instanceof Error ? cause.message : String(cause)}.`,
        hint: 'Let `optimistic` and `rollback` take any state, also one without the row. Delivery is not affected.',
        cause,
      }),
    );
  }
}

/** Replays the effects on one draft; if one of them throws, again one by one, without those that throw. */
function withEffects<State extends object>(
  base: State,
  shown: readonly Shown[],
  threw: (shown: Shown, error: unknown) => void,
): State {
  if (shown.length === 0) return base;
  try {
    return create(base, (draft) => {
      for (const each of shown) perform(each, draft);
    });
  } catch (error) {
    const [only] = shown;
    if (only !== undefined && shown.length === 1) {
      // An effect that does not fit the state (its row is gone, say) is not shown; delivery is none of its business.
      threw(only, error);
      return base;
    }
    return shown.reduce((state, each) => withEffects(state, [each], threw), base);
  }
}

/** What was given for this mutation alone goes before what its type says. */
function perform({ own, definition, payload, isRolledBack }: Shown, draft: object): void {
  if (isRolledBack) (own.rollback ?? definition.rollback)?.(draft, payload);
  else (own.optimisticUpdate ?? definition.optimistic)?.(draft, payload);
}

/** Makes a store that shows pending mutations at once; see `OptimisticStore`. */
export function createOptimisticStore<State extends object>(
  options: OptimisticStoreOptions<State>,
): OptimisticStore<State> {
  return new OptimisticStore(options);
}
