import * as v from 'valibot';
import { expect, test } from 'vitest';
import { defineMutation } from '../mutation/definition.ts';
import type { Change, Storage } from '../ports/storage.ts';
import { createQueue } from '../queue/create-queue.ts';
import { soloTabs } from '../tabs/solo-tabs.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { indexedDbStorage } from './indexeddb-storage.ts';

const run = Math.random().toString(36).slice(2);
// In other engines, which take longer for it, a sample must do: what differs between them is in the contract.
const isSample = !navigator.userAgent.includes('Chrome/');
const put = (key: string, value: string): Change => ({ kind: 'put', key, value });
const keyOf = (folder: string, index: number): string => `${folder}/${String(index).padStart(5, '0')}`;
const added = (first: number, count: number): readonly Change[] =>
  Array.from({ length: count }, (_, index) => [
    put(keyOf('p', first + index), `header ${first + index}`),
    put(keyOf('b', first + index), `body ${first + index} ${'x'.repeat(300)}`),
  ]).flat();

test('S3 · records that are stored together cost a put for many of them, and are addressed singly', async () => {
  const storage = await indexedDbStorage()(`shelf-${run}-cost`);
  const puts = countPuts();

  await storage.commit({ expect: [], changes: [put('meta/seq', '500'), ...added(0, 500)] });

  expect(puts.stop()).toBeLessThan(25);
  expect(await storage.read([keyOf('p', 321), keyOf('b', 0), 'meta/seq', keyOf('p', 500)])).toEqual([
    'header 321',
    `body 0 ${'x'.repeat(300)}`,
    '500',
    null,
  ]);
  await storage.close();
});

test('S3 · one record at a time costs a put each, and no look at what others share', async () => {
  const storage = await indexedDbStorage()(`shelf-${run}-single`);
  await storage.commit({ expect: [], changes: [put('meta/seq', '99'), ...added(0, 100)] });
  const [puts, looks] = [countCalls('put'), countCalls('getAll')];

  await storage.commit({
    expect: [{ key: 'meta/seq', value: '99' }],
    changes: [put('meta/seq', '100'), ...added(100, 1)],
  });

  expect([puts.stop(), looks.stop()]).toEqual([3, 0]);
  await storage.close();
});

test('S3 · a queue in the browser asks for the same at each add, however many are queued, and no payload to open', async () => {
  const name = `costs-${run}`;
  const note = defineMutation({ type: 'note', payload: v.object({ text: v.string() }), operation: 'custom' });
  const open = () =>
    createQueue({
      name,
      identity: { userId: 'ann', workspaceId: 'home' },
      mutations: [note],
      transport: { send: () => new Promise(() => {}) },
      network: {
        isOnline: () => false,
        onHint: () => () => {},
        probe: async () => ({ kind: 'notReached', reason: '' }),
      },
      tabs: soloTabs,
      queueCapCount: Number.POSITIVE_INFINITY,
    });
  const queue = open();
  await queue.ready;
  const add = (text: string) => queue.add({ type: 'note', payload: { text } });
  const costOfAdding = async (): Promise<readonly number[]> => {
    const counts = (['put', 'get', 'getAll', 'getAllKeys', 'delete'] as const).map((method) => countCalls(method));
    for (let index = 0; index < 20; index += 1) await add(`one by one ${index} ${Math.random()}`);
    return counts.map(({ stop }) => stop());
  };
  await add('first');
  const first = await costOfAdding();
  await Promise.all(Array.from({ length: 2_000 }, (_, index) => add(`payload ${index}`)));

  expect(await costOfAdding()).toEqual(first);
  await queue.close();

  const read: unknown[] = [];
  const looks = countCalls('getAll', (request) => {
    request.addEventListener('success', () => read.push(request.result));
  });
  const again = open();
  await again.ready;
  looks.stop();
  expect(again.getSnapshot().pendingCount).toBe(2_041);
  const texts = JSON.stringify(read);
  expect(texts).toContain('bodyChecksum');
  expect(texts).not.toContain('payload 1999');
  await again.close();
});

test('S3 · settling records that share segments writes few of them anew, and the last one takes its segment along', async () => {
  const name = `shelf-${run}-drain`;
  const storage = await indexedDbStorage()(name);
  await storage.commit({ expect: [], changes: added(0, 500) });
  const [puts, deletes] = [countCalls('put'), countCalls('delete')];

  for (let first = 0; first < 500; first += 100) {
    const changes = Array.from({ length: 100 }, (_, index): Change[] => [
      { kind: 'delete', key: keyOf('p', first + index) },
      { kind: 'delete', key: keyOf('b', first + index) },
    ]).flat();
    await storage.commit({ expect: [], changes });
  }

  expect(puts.stop() + deletes.stop()).toBeLessThan(60);
  expect(await storage.scan({ prefix: '', limit: 10 })).toEqual([]);
  expect(await countIn(name, 'segments')).toBe(0);
  await storage.close();
});

test('S3 · whatever is put, put again, removed and looked for, in whichever order, two connections agree with a plain map', async () => {
  for (let seed = 1; seed <= (isSample ? 3 : 12); seed += 1) {
    const random = seededRandom(seed);
    const below = (limit: number): number => Math.floor(random() * limit);
    const name = `shelf-${run}-${seed}`;
    const storages = [await indexedDbStorage()(name), await indexedDbStorage()(name)] as const;
    const model = new Map<string, string>();
    const someKey = (): string => keyOf(['a', 'b', 'b/00300', 'c'][below(4)] ?? 'a', below(600));

    for (let round = 0; round < 30; round += 1) {
      const storage: Storage = storages[below(2)] ?? storages[0];
      const [folder, first] = [['a', 'b', 'b/00300', 'c'][below(4)] ?? 'a', below(500)];
      // Puts alone are asked for before it is known whether what is expected holds.
      const isPuts = random() < 0.4;
      const several = Array.from({ length: below(4) === 0 ? 200 : below(40) }, (_, index): Change => {
        const key = keyOf(folder, first + index);
        if (!isPuts && random() < 0.2) return { kind: 'delete', key };
        return put(key, `${round} ${'y'.repeat(random() < 0.05 ? 5_000 : below(200))}`);
      });
      const few = Array.from(
        { length: below(5) },
        (): Change => (isPuts || random() < 0.5 ? put(someKey(), `few ${round}`) : { kind: 'delete', key: someKey() }),
      );
      const changes = below(3) === 0 ? few : [...several, ...few];
      // Also of keys that the batch itself changes.
      const present = random() < 0.5 ? [...model.keys()] : [];
      const expectations = Array.from({ length: below(12) }, () => {
        const key = below(2) === 0 ? someKey() : (changes[below(changes.length)]?.key ?? someKey());
        const known = present.length === 0 || model.has(key) ? key : (present[below(present.length)] ?? key);
        return { key: known, value: model.get(known) ?? null };
      });
      const standing = present[below(present.length)];
      const wrong = standing === undefined ? { key: someKey(), value: 'never' } : { key: standing, value: null };
      const refused = await storage.commit({ expect: [...expectations, wrong], changes });
      expect(refused, `seed ${seed}, round ${round}`).toEqual({
        kind: 'mismatch',
        key: wrong.key,
        actual: model.get(wrong.key) ?? null,
      });
      const result = await storage.commit({ expect: expectations, changes });
      expect(result, `seed ${seed}, round ${round}`).toEqual({ kind: 'committed' });
      for (const change of changes) {
        if (change.kind === 'put') model.set(change.key, change.value);
        else model.delete(change.key);
      }

      const other: Storage = storages[below(2)] ?? storages[0];
      const keys = Array.from({ length: below(30) }, someKey);
      expect(await other.read(keys), `seed ${seed}, round ${round}`).toEqual(keys.map((key) => model.get(key) ?? null));
      const query = { prefix: ['', 'b/', 'b/002', 'a/0031', 'b/00300/', 'c/'][below(6)] ?? '', limit: 1 + below(150) };
      const after = random() < 0.5 ? someKey() : undefined;
      const wanted = [...model]
        .map(([key, value]) => ({ key, value }))
        .filter(({ key }) => key.startsWith(query.prefix) && (after === undefined || key > after))
        .sort((left, right) => (left.key < right.key ? -1 : 1))
        .slice(0, query.limit);
      const found = await other.scan(after === undefined ? query : { ...query, after });
      expect(found, `seed ${seed}, round ${round}, ${JSON.stringify({ ...query, after })}`).toEqual(wanted);
    }
    for (const storage of storages) await storage.close();
  }
});

test('S3, S10 · a damaged character in a segment costs its record, and at most the one beside it, or whose key it makes', async () => {
  // given: twelve records in one segment
  const name = `shelf-${run}-damaged`;
  const storage = await indexedDbStorage()(name);
  const entries = Array.from({ length: 12 }, (_, index) => ({ key: keyOf('p', index), value: `"value" ${index}\n` }));
  await storage.commit({ expect: [], changes: entries.map(({ key, value }) => put(key, value)) });
  const id = keyOf('p', 11);
  const text = await segment(name, id);

  for (let at = 0; at < text.length; at += isSample ? 7 : 1) {
    const flipped = String.fromCharCode(text.charCodeAt(at) ^ 1);
    await segment(name, id, `${text.slice(0, at)}${flipped}${text.slice(at + 1)}`);
    const found = new Map((await storage.scan({ prefix: '', limit: 100 })).map(({ key, value }) => [key, value]));
    const wrong = entries.filter(({ key, value }) => found.get(key) !== value);
    expect(wrong.length, `at ${at}`).toBeLessThanOrEqual(2);
  }
  await storage.close();
});

test('S12 · a database that an earlier version has left, without segments, holds all that it held', async () => {
  const name = `shelf-${run}-before`;
  const before = await new Promise<IDBDatabase>((resolve) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => request.result.createObjectStore('records').put('1', 'p/1');
    request.onsuccess = () => resolve(request.result);
  });
  before.close();

  const storage = await indexedDbStorage()(name);

  expect(await storage.scan({ prefix: '', limit: 10 })).toEqual([{ key: 'p/1', value: '1' }]);
  await storage.close();
});

/** Calls of a method of any object store from now on. */
function countCalls(
  method: 'put' | 'delete' | 'get' | 'getAll' | 'getAllKeys',
  onCall: (request: IDBRequest) => void = () => {},
): { readonly stop: () => number } {
  const original = Reflect.get(IDBObjectStore.prototype, method) as (...args: unknown[]) => IDBRequest;
  let count = 0;
  const counted = function counted(this: IDBObjectStore, ...args: unknown[]): IDBRequest {
    count += 1;
    const request = original.apply(this, args);
    onCall(request);
    return request;
  };
  Reflect.set(IDBObjectStore.prototype, method as string, counted);
  return {
    stop: () => {
      Reflect.set(IDBObjectStore.prototype, method as string, original);
      return count;
    },
  };
}

const countPuts = (): { readonly stop: () => number } => countCalls('put');

/** The text of a segment; with one to put in its stead, that. */
async function segment(name: string, id: string, text?: string): Promise<string> {
  const database = await new Promise<IDBDatabase>((resolve) => {
    const request = indexedDB.open(name);
    request.onsuccess = () => resolve(request.result);
  });
  const transaction = database.transaction('segments', 'readwrite');
  const store = transaction.objectStore('segments');
  const request = (text === undefined ? store.get(id) : store.put(text, id)) as IDBRequest<unknown>;
  await new Promise<void>((resolve) => {
    transaction.oncomplete = () => resolve();
  });
  database.close();
  return String(request.result);
}

async function countIn(name: string, store: string): Promise<number> {
  const database = await new Promise<IDBDatabase>((resolve) => {
    const request = indexedDB.open(name);
    request.onsuccess = () => resolve(request.result);
  });
  const count = await new Promise<number>((resolve) => {
    const request = database.transaction(store).objectStore(store).count();
    request.onsuccess = () => resolve(request.result);
  });
  database.close();
  return count;
}
