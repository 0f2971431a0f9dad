// Runs in the page: the same measurements, on IndexedDB and on OPFS, both beside raw IndexedDB.
import { browserKeys, indexedDbStorage, type OpenStorage, workerStorage } from 'holdfast';
import { measureStore, type World } from './measure-store.ts';
import type { Measurement } from '../measurement.ts';
import { openBareOpfs } from './bare-opfs.ts';
import { openBareIndexedDb, openRawIndexedDb } from './raw-indexeddb.ts';

declare global {
  var measure: ((world: 'indexeddb' | 'opfs', n: number, measures: readonly string[]) => Promise<void>) | undefined;
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
  bare:
    name === 'opfs'
      ? { name: 'raw/opfs, appended', open: openBareOpfs }
      : { name: 'raw/indexeddb, in segments', open: openBareIndexedDb },
  storage: (store) => () => openers[name](store),
  keys: () => browserKeys(),
  cipherKeys: null,
  bytes: restingUsage,
  nowMs: () => performance.now(),
  cpuMs: null,
  heapBytes: () => globalThis.heapBytes(),
});

/** What all that is stored takes, once the browser has put it in order: until then it shrinks and grows by itself. */
async function restingUsage(): Promise<number> {
  let usage = (await navigator.storage.estimate()).usage ?? 0;
  for (let look = 0; look < LOOKS_MAX; look += 1) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    const before = usage;
    usage = (await navigator.storage.estimate()).usage ?? 0;
    if (usage === before) break;
  }
  return usage;
}

const LOOKS_MAX = 20;
const LOOK_MS = 400;

globalThis.measure = async (name, n, measures) => {
  const told: Promise<void>[] = [];
  await measureStore(worldOf(name), n, measures, (measurement) => void told.push(globalThis.report(measurement)));
  await Promise.all(told);
};
