import { createRxDatabase } from 'rxdb/plugins/core';
import { getRxStorageDexie } from 'rxdb/plugins/storage-dexie';
import { type Change, type Library, send } from './library.ts';

const SCHEMA = {
  version: 0,
  primaryKey: 'place',
  type: 'object',
  properties: {
    place: { type: 'string', maxLength: 12 },
    id: { type: 'string' },
    type: { type: 'string' },
    payload: { type: 'object' },
  },
} as const;

/** A collection on its free storage. */
export const rxdb: Library = {
  name: 'rxdb, dexie storage',
  open: async (store) => {
    const database = await createRxDatabase({ name: store, storage: getRxStorageDexie(), multiInstance: false });
    const { queue } = await database.addCollections({ queue: { schema: SCHEMA } });
    let number = await queue.count().exec();
    const doc = (change: Change): Change & { place: string } => {
      number += 1;
      return { ...change, place: String(number).padStart(12, '0') };
    };
    return {
      add: async (change) => void (await queue.insert(doc(change))),
      addAll: async (changes) => void (await queue.bulkInsert(changes.map(doc))),
      first: async () => void (await queue.findOne({ sort: [{ place: 'asc' }] }).exec()),
      drain: async (count) => {
        let sent = 0;
        while (sent < count) {
          const page = await queue.find({ sort: [{ place: 'asc' }], limit: 100 }).exec();
          if (page.length === 0) break;
          for (const change of page) {
            await send(change);
            await change.remove();
            sent += 1;
          }
        }
        return sent;
      },
      close: async () => void (await database.close()),
    };
  },
};
