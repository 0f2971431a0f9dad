import { create } from 'mutative';
import type { AnyMutationDefinition } from '../mutation/definition.ts';
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
    // Surfaces as an unhandled rejection, and does not keep the other listeners from hearing.
    this.changes = new Emitter((error) => void Promise.reject(error));
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
    if (contained.length > 0) this.queue.markObserved(contained.map(({ id }) => id));
  }

  close(): void {
    for (const stop of this.stops) stop();
  }

  /** Shows what is pending and not shown yet: all of it after a restart, or what another tab has added. */
  private async findPending(ids?: readonly string[]): Promise<void> {
    const news = ids?.filter((id) => (this.known.get(id) ?? -1) < (this.queue.peekStatus(id)?.revision ?? 0));
    if (news?.length === 0) return;
    // A queue that cannot be read has said so itself; there is nothing to show then.
    for (const pending of await this.queue.readPending(news).catch(() => [])) {
      // Taken back, or disposed of, while its payload was read: nobody would take its effect away again.
      if (this.queue.peekStatus(pending.id) !== undefined) this.show(pending);
    }
  }

  private show({ id, seq, type, payload, revision }: StoredEvent): void {
    const definition = this.queue.definitions.get(type);
    if (definition?.optimistic === undefined || revision <= (this.known.get(id) ?? -1)) return;
    // The verdict may have come while the payload was read or the commit returned: nobody will tell of it again.
    const status = this.queue.peekStatus(id)?.status;
    if (status === 'failed') return;
    const isAmended = this.known.has(id);
    this.known.set(id, revision);
    const before = this.shown.find((each) => each.id === id);
    // Fresh data has its effect already.
    if (isAmended && before === undefined) return;
    const containedFrom = status === 'completed' ? this.refreshNumber + 1 : null;
    const shown: Shown = { id, seq, definition, payload, containedFrom };
    if (before !== undefined) {
      this.shown[this.shown.indexOf(before)] = { ...shown, containedFrom: before.containedFrom ?? containedFrom };
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
    if (shown === undefined) return;
    if (isCompleted) {
      shown.containedFrom ??= this.refreshNumber + 1;
      return;
    }
    this.known.delete(id);
    this.shown = this.shown.filter((each) => each !== shown);
    this.replay();
  }

  private replay(): void {
    this.apply(this.base, this.shown);
  }

  private apply(from: State, shown: readonly Shown[]): void {
    const view = withEffects(from, shown);
    if (view === this.view) return;
    this.view = view;
    this.changes.emit();
  }
}

/** Replays the effects on one draft; if one of them throws, again one by one, without those that throw. */
function withEffects<State extends object>(base: State, shown: readonly Shown[]): State {
  if (shown.length === 0) return base;
  try {
    return create(base, (draft) => {
      for (const { definition, payload } of shown) definition.optimistic?.(draft, payload);
    });
  } catch (error) {
    if (shown.length === 1) {
      // An effect that does not fit the state (its row is gone, say) is not shown; delivery is none of its business.
      void Promise.reject(error);
      return base;
    }
    return shown.reduce((state, each) => withEffects(state, [each]), base);
  }
}

/** Makes a store that shows pending mutations at once; see `OptimisticStore`. */
export function createOptimisticStore<State extends object>(
  options: OptimisticStoreOptions<State>,
): OptimisticStore<State> {
  return new OptimisticStore(options);
}
