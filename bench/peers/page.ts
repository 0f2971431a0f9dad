// Runs in the page: what other libraries take for the same work, beside raw IndexedDB.
import type { Measurement } from '../measurement.ts';
import { openRawIndexedDb } from '../storage/raw-indexeddb.ts';
import { array } from './array.ts';
import { dexie } from './dexie.ts';
import type { Library } from './library.ts';
import { measurePeer } from './measure-peer.ts';
import { pouchdb } from './pouchdb.ts';
import { rxdb } from './rxdb.ts';
import { tanstackOffline } from './tanstack-offline.ts';
import { tanstackQuery } from './tanstack-query.ts';
import { workbox } from './workbox.ts';

declare global {
  var measure: ((library: string, n: number) => Promise<void>) | undefined;
  function report(measurement: Measurement): Promise<void>;
  function stopped(what: string): Promise<void>;
  function heapBytes(): Promise<number>;
}

const LIBRARIES: readonly Library[] = [dexie, pouchdb, rxdb, workbox, tanstackOffline, tanstackQuery, array];

globalThis.measure = async (name, n) => {
  const library = LIBRARIES.find((each) => each.name === name);
  if (library === undefined) throw new Error(`There is no ${name}.`);
  const told: Promise<void>[] = [];
  await measurePeer(library, n, {
    openRaw: openRawIndexedDb,
    nowMs: () => performance.now(),
    heapBytes: () => globalThis.heapBytes(),
    usedBytes: async () => (await navigator.storage.estimate()).usage ?? 0,
    report: (measurement) => void told.push(globalThis.report(measurement)),
    stopped: (what) => void told.push(globalThis.stopped(what)),
  });
  await Promise.all(told);
};
