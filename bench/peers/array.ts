import { createStore, get, set } from 'idb-keyval';
import { allAtOnce, type Change, type Library, send } from './library.ts';

/** What many apps write by hand: the queue as one text under one key, written anew at each change. */
export const array: Library = {
  name: 'array in idb-keyval',
  open: async (store) => {
    const place = createStore(store, 'queue');
    const queue: Change[] = JSON.parse((await get<string>('queue', place)) ?? '[]');
    const save = (): Promise<void> => set('queue', JSON.stringify(queue), place);
    const add = async (change: Change): Promise<void> => {
      queue.push(change);
      await save();
    };
    return {
      add,
      addAll: (changes) => allAtOnce({ add }, changes),
      first: async () => {},
      drain: async (count) => {
        let sent = 0;
        for (; sent < count && queue.length > 0; sent += 1) {
          await send(queue[0]);
          queue.shift();
          await save();
        }
        return sent;
      },
      close: async () => {},
    };
  },
};
