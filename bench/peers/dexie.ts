import { Dexie, type Table } from 'dexie';
import { type Change, type Library, send } from './library.ts';

/** A table with a key that counts; one removal for each that was sent. */
export const dexie: Library = {
  name: 'dexie',
  open: async (store) => {
    const database = new Dexie(store);
    database.version(1).stores({ queue: '++number' });
    await database.open();
    const queue: Table<Change & { number?: number }, number> = database.table('queue');
    return {
      add: async (change) => void (await queue.add(change)),
      addAll: async (changes) => void (await queue.bulkAdd([...changes])),
      first: async () => void (await queue.orderBy(':id').first()),
      drain: async (count) => {
        let sent = 0;
        for (let after = 0; sent < count; ) {
          const page = await queue.where(':id').above(after).limit(100).toArray();
          if (page.length === 0) break;
          for (const change of page) {
            await send(change);
            await queue.delete(change.number ?? 0);
            after = change.number ?? after;
            sent += 1;
          }
        }
        return sent;
      },
      close: async () => database.close(),
    };
  },
};
