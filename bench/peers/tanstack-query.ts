import { onlineManager, QueryClient } from '@tanstack/query-core';
import { createAsyncStoragePersister } from '@tanstack/query-async-storage-persister';
import { persistQueryClientRestore, persistQueryClientSubscribe } from '@tanstack/query-persist-client-core';
import { createStore, get, set } from 'idb-keyval';
import { allAtOnce, type Change, type Library, send } from './library.ts';
import { Writes } from './switchable.ts';

/** Paused mutations with a scope, so that they keep their order, saved as a whole at every change: `throttleTime: 0`. */
export const tanstackQuery: Library = {
  name: '@tanstack/query, persisted',
  open: async (store) => {
    onlineManager.setOnline(false);
    const place = createStore(store, 'cache');
    const writes = new Writes();
    const client = new QueryClient();
    client.mount();
    client.setMutationDefaults(['save'], {
      mutationFn: send,
      scope: { id: 'changes' },
      gcTime: Number.POSITIVE_INFINITY,
    });
    const persister = createAsyncStoragePersister({
      throttleTime: 0,
      storage: {
        getItem: (key) => get<string>(key, place),
        setItem: (key, value) => writes.do(() => set(key, value, place)),
        removeItem: () => Promise.resolve(),
      },
    });
    const options = { queryClient: client, persister, maxAge: Number.POSITIVE_INFINITY } as never;
    await persistQueryClientRestore(options);
    const stop = persistQueryClientSubscribe(options);
    const cache = client.getMutationCache();
    const add = async (change: Change): Promise<void> => {
      const isStored = writes.next();
      const mutation = cache.build(client, client.defaultMutationOptions({ mutationKey: ['save'] }));
      void mutation.execute(change as never).catch(() => {});
      await isStored;
    };
    return {
      add,
      addAll: (changes) => allAtOnce({ add }, changes),
      first: async () => {},
      drain: async () => {
        const before = cache.getAll().filter(({ state }) => state.isPaused).length;
        onlineManager.setOnline(true);
        await client.resumePausedMutations();
        return before - cache.getAll().filter(({ state }) => state.isPaused).length;
      },
      close: async () => {
        stop();
        client.unmount();
        client.clear();
      },
    };
  },
};
