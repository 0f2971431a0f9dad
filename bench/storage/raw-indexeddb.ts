import type { RawStore } from './measure-store.ts';

/** One row for each text, `strict`. */
export async function openRawIndexedDb(name: string): Promise<RawStore> {
  const database = await new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => request.result.createObjectStore('rows', { autoIncrement: true });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('not opened'));
  });
  let lastKey: IDBValidKey = 0;
  const within = (mode: IDBTransactionMode, work: (rows: IDBObjectStore) => void): Promise<void> =>
    new Promise((resolve, reject) => {
      const transaction = database.transaction('rows', mode, { durability: 'strict' });
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new Error('aborted'));
      work(transaction.objectStore('rows'));
    });
  let firstKeys: IDBValidKey[] = [];
  return {
    add: (texts) =>
      within('readwrite', (rows) => {
        for (const text of texts) rows.put(text);
      }),
    readFirst: async (limit) => {
      await within('readonly', (rows) => {
        const range = IDBKeyRange.lowerBound(lastKey, true);
        rows.getAll(range, limit);
        rows.getAllKeys(range, limit).onsuccess = ({ target }) => {
          firstKeys = (target as IDBRequest<IDBValidKey[]>).result;
        };
      });
      return firstKeys.length;
    },
    removeFirst: async () => {
      lastKey = firstKeys.at(-1) ?? lastKey;
      await within('readwrite', (rows) => {
        for (const key of firstKeys) rows.delete(key);
      });
    },
    close: async () => database.close(),
  };
}

/** Those of one call in values of so many texts. */
const SEGMENT_COUNT = 30;

/** As `openRawIndexedDb`, with many texts in one value where they come together. */
export async function openBareIndexedDb(name: string): Promise<Pick<RawStore, 'add' | 'close'>> {
  const raw = await openRawIndexedDb(name);
  return {
    add: (texts) => {
      const segments: string[] = [];
      for (let first = 0; first < texts.length; first += SEGMENT_COUNT)
        segments.push(texts.slice(first, first + SEGMENT_COUNT).join('\n'));
      return raw.add(segments);
    },
    close: () => raw.close(),
  };
}
