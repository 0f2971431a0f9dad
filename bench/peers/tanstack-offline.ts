import { createCollection, localOnlyCollectionOptions } from '@tanstack/db';
import { IndexedDBAdapter, startOfflineExecutor } from '@tanstack/offline-transactions';
import { allAtOnce, type Change, type Library, send } from './library.ts';
import { Network } from './switchable.ts';

/** An outbox of transactions over a collection, with its own IndexedDB adapter. */
export const tanstackOffline: Library = {
  name: '@tanstack/offline-transactions',
  open: async (store) => {
    const network = new Network();
    const changes = createCollection(localOnlyCollectionOptions<Change, string>({ getKey: ({ id }) => id }));
    const adapter = new IndexedDBAdapter(store, 'outbox');
    const stored = new Map<string, () => void>();
    let sentCount = 0;
    let onSent = (): void => {};
    const executor = startOfflineExecutor({
      collections: { changes: changes as never },
      storage: {
        get: (key) => adapter.get(key),
        delete: (key) => adapter.delete(key),
        keys: () => adapter.keys(),
        clear: () => adapter.clear(),
        set: async (key, value) => {
          await adapter.set(key, value);
          stored.get(key.slice(key.indexOf(':') + 1))?.();
        },
      },
      mutationFns: {
        save: async ({ transaction }) => {
          await send(transaction.mutations[0]?.modified);
          sentCount += 1;
          onSent();
        },
      },
      onlineDetector: {
        isOnline: () => network.isOnline,
        subscribe: (listener) => network.subscribe(listener),
        notifyOnline: () => network.comeBack(),
        dispose: () => {},
      },
      leaderElection: {
        requestLeadership: async () => true,
        releaseLeadership: () => {},
        isLeader: () => true,
        onLeadershipChange: () => () => {},
      },
    });
    await executor.waitForInit();
    const add = async (change: Change): Promise<void> => {
      const transaction = executor.createOfflineTransaction({ mutationFnName: 'save', autoCommit: false });
      const isStored = new Promise<void>((resolve) => stored.set(transaction.id, resolve));
      transaction.mutate(() => void changes.insert(change));
      // It resolves when the server has confirmed.
      void transaction.commit().catch(() => {});
      await isStored;
      stored.delete(transaction.id);
    };
    return {
      add,
      addAll: (all) => allAtOnce({ add }, all),
      first: async () => {},
      drain: async (count) => {
        const done = new Promise<void>((resolve) => {
          onSent = () => {
            if (sentCount >= count) resolve();
          };
        });
        network.comeBack();
        await done;
        while ((await adapter.keys()).length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
        return sentCount;
      },
      close: async () => executor.dispose(),
    };
  },
};
