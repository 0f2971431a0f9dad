// Runs in the page: the same measurements, on IndexedDB and on OPFS, both beside raw IndexedDB.
import { browserKeys, indexedDbStorage, type OpenStorage, workerStorage } from 'holdfast';
import { measureStore, type World } from './measure-store.ts';
import type { Measurement } from '../measurement.ts';
import { openRawIndexedDb } from './raw-indexeddb.ts';

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
  openRaw: openRawIndexedDb,
  storage: (store) => () => openers[name](store),
  keys: () => browserKeys(),
  bytes: async () => (await navigator.storage.estimate()).usage ?? 0,
  nowMs: () => performance.now(),
  cpuMs: null,
  heapBytes: () => globalThis.heapBytes(),
});

globalThis.measure = async (name, n) => {
  const told: Promise<void>[] = [];
  await measureStore(worldOf(name), n, (measurement) => void told.push(globalThis.report(measurement)));
  await Promise.all(told);
};
