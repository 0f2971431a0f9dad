import { describe, expect, test } from 'vitest';
import type { Storage } from '../ports/storage.ts';
import { browserKeys } from './browser-keys.ts';
import { compressedStorage } from './compressed-storage.ts';
import { indexedDbStorage } from './indexeddb-storage.ts';
import { sealedStorage } from './sealed-storage.ts';
import { storageContract } from './storage-contract.ts';
import { aesGcmKey } from './system-aes-gcm.ts';

const run = Math.random().toString(36).slice(2);
let count = 0;

function newName(): string {
  count += 1;
  return `keys-${run}-${count}`;
}

const isClear = (): boolean => false;

async function put(storage: Storage, key: string, value: string): Promise<void> {
  expect(await storage.commit({ expect: [], changes: [{ kind: 'put', key, value }] })).toEqual({ kind: 'committed' });
}

describe('IndexedDB, sealed with keys of the browser, and compressed', () => {
  const cases = storageContract({
    open: compressedStorage(
      sealedStorage(indexedDbStorage(), { keys: browserKeys({ databaseName: newName() }), isClear }),
      100,
    ),
    capabilities: { durability: 'strict', keepsAfterClose: true, hasSeveralWriters: true },
    namePrefix: `sealed-${run}`,
  });
  for (const { name, skip, run: check } of cases) test.skipIf(skip !== null)(name, check);
});

/** The keys as they stand in the browser. */
function storedKeys(databaseName: string): Promise<readonly CryptoKey[]> {
  // Of the database of the keys.
  return ask(databaseName, (keys) => keys.getAll() as IDBRequest<CryptoKey[]>);
}

function storedIds(databaseName: string): Promise<readonly IDBValidKey[]> {
  return ask(databaseName, (keys) => keys.getAllKeys());
}

async function ask<Result>(databaseName: string, what: (keys: IDBObjectStore) => IDBRequest<Result>): Promise<Result> {
  const database = await new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open(databaseName, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore('keys');
      request.result.createObjectStore('current');
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('not opened'));
  });
  try {
    return await new Promise<Result>((resolve) => {
      const request = what(database.transaction('keys').objectStore('keys'));
      request.onsuccess = () => resolve(request.result);
    });
  } finally {
    database.close();
  }
}

test('S4 · sec-E9: the bytes of a key cannot be had, not even by the page itself', async () => {
  const databaseName = newName();
  const storage = await sealedStorage(indexedDbStorage(), { keys: browserKeys({ databaseName }), isClear })(newName());
  await put(storage, 'a', 'x');

  const [key, ...others] = await storedKeys(databaseName);

  expect(others).toEqual([]);
  if (key === undefined) throw new Error('There is no key.');
  expect(key.extractable).toBe(false);
  await expect(crypto.subtle.exportKey('raw', key)).rejects.toThrow();
  await expect(crypto.subtle.exportKey('jwk', key)).rejects.toThrow();
  await storage.close();
});

test('S4 · a page that is loaded again has the same key, and two tabs that begin at once share one', async () => {
  const [databaseName, name] = [newName(), newName()];
  const openTab = () => sealedStorage(indexedDbStorage(), { keys: browserKeys({ databaseName }), isClear })(name);
  const [one, other] = await Promise.all([openTab(), openTab()]);
  await put(one, 'a', '1');
  await put(other, 'b', '2');
  await one.close();
  await other.close();

  const again = await openTab();

  expect(await again.read(['a', 'b'])).toEqual(['1', '2']);
  expect(await storedKeys(databaseName)).toHaveLength(1);
  await again.close();
});

test('S4 · sec-E5: rotated, everything is sealed anew while both tabs go on, and the old key is destroyed', async () => {
  const [databaseName, name] = [newName(), newName()];
  const keys = browserKeys({ databaseName });
  const open = (tabKeys = keys) => sealedStorage(indexedDbStorage(), { keys: tabKeys, isClear })(name);
  const one = await open();
  const other = await open(browserKeys({ databaseName }));
  for (let index = 0; index < 250; index += 1) await put(one, `p/${index}`, String(index));
  const before = await storedIds(databaseName);

  await keys.rotate();
  await put(one, 'a', '1');
  await put(other, 'b', '2');
  await other.close();
  while ((await storedKeys(databaseName)).length > 1) await new Promise((resolve) => requestAnimationFrame(resolve));

  expect(before).toHaveLength(1);
  expect(await storedIds(databaseName)).not.toEqual(before);
  expect(await one.read(['p/0', 'p/249', 'a', 'b'])).toEqual(['0', '249', '1', '2']);
  await one.close();
});

test('S4 · sec-E8: keys of the browser are renewed by themselves before they have sealed too much, and two tabs agree on them', async () => {
  // given: two tabs, and a count of what each key encrypts
  const [databaseName, name] = [newName(), newName()];
  const keyUses = { renewAfter: 40, max: 80, step: 10 };
  const openTab = () =>
    sealedStorage(indexedDbStorage({ durability: 'relaxed' }), {
      keys: browserKeys({ databaseName }),
      isClear,
      keyUses,
    })(name);
  const counts = new Map<CryptoKey, number>();
  const encrypt = Reflect.get(SubtleCrypto.prototype, 'encrypt') as SubtleCrypto['encrypt'];
  SubtleCrypto.prototype.encrypt = function counted(this: SubtleCrypto, ...args: Parameters<typeof encrypt>) {
    counts.set(args[1], (counts.get(args[1]) ?? 0) + 1);
    return encrypt.apply(this, args);
  };

  // when
  const tabs = [await openTab(), await openTab()] as const;
  for (let index = 0; index < 120; index += 1) await put(tabs[index % 2] ?? tabs[0], `p/${index % 30}`, String(index));
  await tabs[0].close();
  await tabs[1].close();
  SubtleCrypto.prototype.encrypt = encrypt;

  // then
  expect(counts.size).toBeGreaterThan(2);
  expect(Math.max(...counts.values())).toBeLessThanOrEqual(keyUses.max);
  const again = await openTab();
  expect(await again.read(['p/0', 'p/29'])).toEqual(['90', '119']);
  await again.close();
});

test('S4 · sec-E6: keys that the browser has thrown away lock the store, and no new one is made', async () => {
  const [databaseName, name] = [newName(), newName()];
  const storage = await sealedStorage(indexedDbStorage(), { keys: browserKeys({ databaseName }), isClear })(name);
  await put(storage, 'a', 'x');
  await storage.close();
  await new Promise<void>((resolve, reject) => {
    const request = indexedDB.deleteDatabase(databaseName);
    request.onsuccess = () => resolve();
    request.onerror = () => reject(request.error ?? new Error('not deleted'));
  });

  const open = sealedStorage(indexedDbStorage(), { keys: browserKeys({ databaseName }), isClear });

  await expect(open(name)).rejects.toMatchObject({ code: 'STORAGE_LOCKED' });
  expect(await storedKeys(databaseName)).toEqual([]);
});

test('S4 · sec-E11: only keys of 256 bits for AES-GCM that do both are taken', async () => {
  const usages: KeyUsage[] = ['encrypt', 'decrypt'];
  const short = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 128 }, false, usages);
  const other = await crypto.subtle.generateKey({ name: 'AES-CBC', length: 256 }, false, usages);
  const half = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt']);

  for (const key of [short, other, half]) expect(() => aesGcmKey('k', key)).toThrow(/256 bits/);
});
