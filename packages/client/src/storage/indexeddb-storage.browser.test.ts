import { afterEach, describe, expect, test } from 'vitest';
import type { Change } from '../ports/storage.ts';
import { SCRATCH_SUFFIX } from './indexeddb-log.ts';
import { ROOM_SUFFIX } from './indexeddb-room.ts';
import { indexedDbStorage } from './indexeddb-storage.ts';
import { storageContract } from './storage-contract.ts';

const run = Math.random().toString(36).slice(2);
const OWN = Object.getOwnPropertyDescriptor(window, 'indexedDB') as PropertyDescriptor;
let nameCount = 0;

function newName(): string {
  nameCount += 1;
  return `idb-${run}-${nameCount}`;
}

function put(key: string, value: string): Change {
  return { kind: 'put', key, value };
}

for (const durability of ['strict', 'relaxed'] as const) {
  describe(`IndexedDB, ${durability}`, () => {
    const cases = storageContract({
      open: indexedDbStorage({ durability }),
      capabilities: { durability, keepsAfterClose: true, hasSeveralWriters: true },
      namePrefix: `contract-${run}-${durability}`,
    });
    for (const { name, skip, run: check } of cases) test.skipIf(skip !== null)(name, check);
  });
}

describe('IndexedDB, when the browser does not do what was asked', () => {
  afterEach(() => useIndexedDb(null));

  // Only Chromium has buckets, whose quota it enforces.
  test.each('storageBuckets' in navigator ? [{ quota: 8_000_000 }] : [])(
    'S1 · a full disk rejects with STORAGE_FULL, and stores nothing of the batch',
    async ({ quota }) => {
      // given: a store in a bucket, and a record in it
      useIndexedDb(await factoryWithQuota(quota));
      const storage = await indexedDbStorage()(newName());
      await storage.commit({ expect: [], changes: [put('a', '1')] });

      // when
      const commit = storage.commit({ expect: [], changes: [put('a', '2'), put('b', noise(6_000_000))] });

      // then
      await expect(commit).rejects.toMatchObject({ code: 'STORAGE_FULL', category: 'STORAGE_ERROR' });
      expect(await storage.scan({ prefix: '', limit: 10 })).toEqual([{ key: 'a', value: '1' }]);
      expect(await storage.read(['a', 'b'])).toEqual(['1', null]);
      await storage.close();
    },
  );

  test('S13 · a connection that the browser has closed is opened again, and nothing is lost', async () => {
    // given: a store with a record, and every connection the page opens within reach
    const { connections, stop } = watchConnections();
    const storage = await indexedDbStorage()(newName());
    await storage.commit({ expect: [], changes: [put('a', '1')] });

    // when: the connection dies without the store being told
    for (const connection of connections()) connection.close();

    // then: reading, writing and scanning go on
    expect(await storage.read(['a'])).toEqual(['1']);
    for (const connection of connections()) connection.close();
    await storage.commit({ expect: [{ key: 'a', value: '1' }], changes: [put('a', '2')] });
    for (const connection of connections()) connection.close();
    expect(await storage.scan({ prefix: '', limit: 10 })).toEqual([{ key: 'a', value: '2' }]);
    expect(connections().length).toBe(4);
    stop();
    await storage.close();
  });

  test('S13 · a connection closed with an event is opened again too', async () => {
    const { connections, stop } = watchConnections();
    const storage = await indexedDbStorage()(newName());
    await storage.commit({ expect: [], changes: [put('a', '1')] });

    for (const connection of connections()) {
      connection.close();
      connection.dispatchEvent(new Event('close'));
    }

    expect(await storage.read(['a'])).toEqual(['1']);
    stop();
    await storage.close();
  });

  test('S13 · a transaction aborted after its requests have succeeded is a rejection, and nothing is stored', async () => {
    // given: a browser that aborts at the last moment, when all requests have succeeded
    const storage = await indexedDbStorage()(newName());
    await storage.commit({ expect: [], changes: [put('a', '1')] });
    const stop = abortAfterSuccess();

    // when
    const commit = storage.commit({ expect: [], changes: [put('a', '2'), put('b', '3')] });

    // then
    await expect(commit).rejects.toMatchObject({ code: 'STORAGE_FAILED', category: 'STORAGE_ERROR' });
    stop();
    expect(await storage.read(['a', 'b'])).toEqual(['1', null]);
    await storage.close();
  });

  test('S13 · another page that deletes or upgrades the database is not blocked by an open store', async () => {
    const name = newName();
    const storage = await indexedDbStorage()(name);
    await storage.commit({ expect: [], changes: [put('a', '1')] });

    await new Promise<void>((resolve, reject) => {
      const request = indexedDB.deleteDatabase(name);
      request.onsuccess = () => resolve();
      request.onblocked = () => reject(new Error('blocked'));
    });

    expect(await storage.read(['a'])).toEqual([null]);
    await storage.close();
  });

  test('S12 · the log that is begun anew at opening leaves no database behind; room is kept in one of its own', async () => {
    const name = newName();
    const storage = await indexedDbStorage()(name);
    await storage.commit({ expect: [], changes: [put('a', '1')] });

    const standing = async (): Promise<readonly string[]> =>
      (await indexedDB.databases()).map((each) => String(each.name)).filter((each) => each.startsWith(name));
    const kept = navigator.userAgent.includes('Chrome/') ? [name, name + ROOM_SUFFIX] : [name];
    await expect.poll(async () => new Set(await standing())).toEqual(new Set(kept));
    await storage.close();
  });

  test('S13 · a store closed while it was being opened again keeps no connection', async () => {
    // given: a store whose connection has died, and a read that opens it anew
    const name = newName();
    const { connections, stop } = watchConnections();
    const storage = await indexedDbStorage()(name);
    for (const connection of connections()) {
      connection.close();
      connection.dispatchEvent(new Event('close'));
    }
    const reading = storage.read(['a']);

    // when
    await storage.close();

    // then: the read rejects, and the database can be deleted at once, since nobody holds it
    await expect(reading).rejects.toMatchObject({ category: 'STORAGE_ERROR' });
    await new Promise<void>((resolve, reject) => {
      const request = indexedDB.deleteDatabase(name);
      request.onsuccess = () => resolve();
      request.onblocked = () => reject(new Error('blocked'));
    });
    // Chromium refuses transactions on a connection that is closed.
    for (const connection of connections()) expect(() => connection.transaction('records')).toThrow();
    stop();
  });

  test('S1 · a browser without IndexedDB rejects with STORAGE_UNAVAILABLE', async () => {
    useIndexedDb(undefined);

    await expect(indexedDbStorage()(newName())).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
  });

  test('S1 · a database of a version that this app does not know rejects with STORAGE_UNAVAILABLE and is left alone', async () => {
    const name = newName();
    const newer = await new Promise<IDBDatabase>((resolve) => {
      const request = indexedDB.open(name, 7);
      request.onsuccess = () => resolve(request.result);
    });
    newer.close();

    await expect(indexedDbStorage()(name)).rejects.toMatchObject({
      code: 'STORAGE_UNAVAILABLE',
      category: 'STORAGE_ERROR',
    });

    const databases = await indexedDB.databases();
    expect(databases.find((each) => each.name === name)?.version).toBe(7);
  });
});

/** What `indexedDB` means from now on; null gives the browser's own back. */
function useIndexedDb(factory: IDBFactory | undefined | null): void {
  Object.defineProperty(window, 'indexedDB', factory === null ? OWN : { configurable: true, value: factory });
}

/** A factory whose databases share this many bytes, by the Storage Buckets API of Chromium. */
async function factoryWithQuota(quota: number): Promise<IDBFactory> {
  interface Buckets {
    open(name: string, options: { readonly quota: number }): Promise<{ readonly indexedDB: IDBFactory }>;
  }
  const { storageBuckets } = navigator as Navigator & { readonly storageBuckets: Buckets };
  const bucket = await storageBuckets.open(newName(), { quota });
  return bucket.indexedDB;
}

/** Text that cannot be stored in less than its size. */
function noise(unitCount: number): string {
  const units = new Uint16Array(unitCount);
  for (let first = 0; first < unitCount; first += 32_768) crypto.getRandomValues(units.subarray(first, first + 32_768));
  return Array.from(units, (unit) => String.fromCharCode(0x4e00 + (unit % 20_000))).join('');
}

/** Every connection that the page opens from now on, in order; a browser closes them when its storage breaks. */
function watchConnections(): { readonly connections: () => readonly IDBDatabase[]; readonly stop: () => void } {
  const connections: IDBDatabase[] = [];
  const original = Reflect.get(IDBFactory.prototype, 'open') as IDBFactory['open'];
  IDBFactory.prototype.open = function open(this: IDBFactory, ...args: [string, number?]) {
    const request = original.apply(this, args);
    if (![SCRATCH_SUFFIX, ROOM_SUFFIX].some((suffix) => args[0].endsWith(suffix)))
      request.addEventListener('success', () => connections.push(request.result));
    return request;
  };
  return {
    connections: () => connections,
    stop: () => {
      IDBFactory.prototype.open = original;
    },
  };
}

/** Aborts each transaction that writes, once its last request has succeeded and before it is complete. */
function abortAfterSuccess(): () => void {
  const original = Reflect.get(IDBDatabase.prototype, 'transaction') as IDBDatabase['transaction'];
  IDBDatabase.prototype.transaction = function transaction(this: IDBDatabase, ...args: Parameters<typeof original>) {
    const made = original.apply(this, args);
    if (args[1] !== 'readwrite') return made;
    const put = Reflect.get(IDBObjectStore.prototype, 'put') as IDBObjectStore['put'];
    let waitingCount = 0;
    const store = made.objectStore('records');
    // A browser that could not do it when it was told to.
    made.commit = () => {};
    store.put = (value: unknown, key?: IDBValidKey) => {
      const request = put.call(store, value, key);
      waitingCount += 1;
      request.addEventListener('success', () => {
        waitingCount -= 1;
        if (waitingCount === 0) made.abort();
      });
      return request;
    };
    return made;
  };
  return () => {
    IDBDatabase.prototype.transaction = original;
  };
}
