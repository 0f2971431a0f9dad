import { QueueStore } from 'workbox-background-sync/QueueStore.js';
import { StorableRequest } from 'workbox-background-sync/StorableRequest.js';
import { allAtOnce, type Change, type Library, send } from './library.ts';

/** The store of its background sync, in a page; a service worker and the sync it asks for would come on top. */
export const workbox: Library = {
  name: 'workbox',
  open: async (store) => {
    const queue = new QueueStore(store);
    const add = async (change: Change): Promise<void> => {
      const request = new Request('/save', { method: 'POST', body: JSON.stringify(change) });
      const requestData = (await StorableRequest.fromRequest(request)).toObject();
      await queue.pushEntry({ requestData, timestamp: Date.now() });
    };
    return {
      add,
      addAll: (changes) => allAtOnce({ add }, changes),
      first: async () => {
        const entry = await queue.shiftEntry();
        if (entry !== undefined) await queue.unshiftEntry(entry);
      },
      drain: async (count) => {
        let sent = 0;
        for (; sent < count; sent += 1) {
          const entry = await queue.shiftEntry();
          if (entry === undefined) break;
          await send(new StorableRequest(entry.requestData).toRequest());
        }
        return sent;
      },
      close: async () => {},
    };
  },
};
