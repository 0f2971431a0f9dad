// Runs in the page: the same measurements, on IndexedDB and on OPFS, both beside raw IndexedDB.
import { browserKeys, indexedDbStorage, type OpenStorage, workerStorage } from 'holdfast';
import { measureStore, type RawStore, type World } from './measure-store.ts';
import type { Measurement } from '../measurement.ts';

declare global {
  var measure: ((world: 'indexeddb' | 'opfs', n: number) => Promise<void>) | undefined;
  function report(measurement: Measurement): Promise<void>;
  function heapBytes(): Promise<number>;
}

const openers: Readonly<Record<'indexeddb' | 'opfs', OpenStorage>> = {
  indexeddb: indexedDbStorage(),
  opfs: workerStorage({ worker: () => new Worker('/opfs-worker.js', { type: 'module' }) }),
};

const worldOf = (name: 'indexeddb' | 'opfs'): World => ({
  name,
  rawName: 'raw/indexeddb',
  openRaw,
  storage: (store) => () => openers[name](store),
  keys: () => browserKeys(),
  bytes: async () => (await navigator.storage.estimate()).usage ?? 0,
  nowMs: () => performance.now(),
  heapBytes: () => globalThis.heapBytes(),
});

globalThis.measure = async (name, n) => {
  const told: Promise<void>[] = [];
  await measureStore(worldOf(name), n, (measurement) => void told.push(globalThis.report(measurement)));
  await Promise.all(told);
};

async function openRaw(name: string): Promise<RawStore> {
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
