// @ts-expect-error: it brings no types
import PouchDB from 'pouchdb-browser';
import { type Change, type Library, send } from './library.ts';

/** Documents whose ids are in order. */
export const pouchdb: Library = {
  name: 'pouchdb',
  open: async (store) => {
    const database = new PouchDB(store, { auto_compaction: true });
    let number: number = (await database.info()).update_seq;
    const doc = (change: Change): object => {
      number += 1;
      return { ...change, _id: String(number).padStart(12, '0') };
    };
    return {
      add: async (change) => void (await database.put(doc(change))),
      addAll: async (changes) => void (await database.bulkDocs(changes.map(doc))),
      first: async () => void (await database.allDocs({ limit: 1, include_docs: true })),
      drain: async (count) => {
        let sent = 0;
        for (let startkey = ''; sent < count; ) {
          const { rows } = await database.allDocs({ limit: 100, include_docs: true, startkey });
          if (rows.length === 0) break;
          for (const row of rows) {
            await send(row.doc);
            await database.remove(row.doc);
            startkey = `${row.id}\uffff`;
            sent += 1;
          }
        }
        return sent;
      },
      close: () => database.close(),
    };
  },
};
