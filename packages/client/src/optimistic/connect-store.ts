import type { AnyMutationDefinition } from '../mutation/definition.ts';
import type { MutationQueue } from '../queue/mutation-queue.ts';
import { carryOver } from './carry-over.ts';
import { OptimisticStore } from './optimistic-store.ts';
import { PendingMutations } from './pending-mutations.ts';
import { projectionByTypes } from './projection.ts';

/** A store of the app's own: one of zustand, or any other that can be read, written as a whole, and listened to. */
export interface StoreLike<State extends object> {
  readonly getState: () => State;
  readonly setState: (state: State, replace: true) => unknown;
  readonly subscribe: (listener: (state: State) => void) => () => void;
}

export interface ConnectStoreOptions<State extends object> {
  readonly queue: MutationQueue<readonly AnyMutationDefinition[]>;
  /** What it holds now is confirmed. */
  readonly store: StoreLike<State>;
}

/** What a connection gives. */
export interface StoreConnection<State extends object> {
  /**
   * Brings confirmed state up to date: `load` fetches some or all of its fields, and gets what was confirmed before. What was
   * confirmed before the call began is part of what it brings; everything else stays on top. Rejects as `load` does.
   */
  readonly refresh: (load: (base: State) => Promise<Partial<State>>) => Promise<void>;
  /** The confirmed state alone. */
  readonly getBase: () => State;
  /** Ends it: the store holds confirmed state alone again. */
  readonly close: () => void;
}

/**
 * Shows the pending mutations of a queue in a store that the app has: each type's `optimistic` changes a draft of its state.
 * The store holds what is shown. What the app itself changes, down to a field of a row in a list, is confirmed from then on, and
 * what is pending is shown on top of it; all that it leaves as it was shown keeps what was confirmed.
 *
 * ```ts
 * const connection = connectStore({ queue, store: useTasks }); // of zustand
 * await connection.refresh(async () => ({ tasks: await fetchTasks() }));
 * ```
 */
export function connectStore<State extends object>({
  queue,
  store,
}: ConnectStoreOptions<State>): StoreConnection<State> {
  const pending = new PendingMutations(queue);
  const shown = new OptimisticStore<State>({ pending, base: store.getState(), projection: projectionByTypes() });
  /** What the store holds, as far as that has been heard of. */
  let last = store.getState();
  const write = (state: State): void => {
    if (state === store.getState()) return;
    last = state;
    store.setState(state, true);
  };
  const stops = [
    shown.subscribe(() => write(shown.getSnapshot())),
    store.subscribe(() => {
      // A listener of the app may have set something since, in the middle of this being told.
      const state = store.getState();
      if (state === last) return;
      shown.rebase(carryOver(shown.getBase(), last, state) as State);
      last = state;
      write(shown.getSnapshot());
    }),
  ];
  return {
    refresh: (load) => shown.refresh(async (base) => ({ ...base, ...(await load(base)) })),
    getBase: () => shown.getBase(),
    close: () => {
      for (const stop of stops) stop();
      write(shown.getBase());
      shown.close();
      pending.close();
    },
  };
}
