import { describe, expect, test } from 'vitest';
import type { Change, StorageBatch } from '../ports/storage.ts';
import { note, TestDevice } from '../queue/testing-queue/test-device.ts';
import { asyncStorage, type AsyncStorageLike } from './async-storage.ts';
import { storageContract } from './storage-contract.ts';

const put = (key: string, value: string): Change => ({ kind: 'put', key, value });
const bytesOf = (text: string): number => Buffer.byteLength(text);

const ROW_BYTES_MAX = 2 * 1024 * 1024;
const TOTAL_BYTES_MAX = 6 * 1024 * 1024;

/** AsyncStorage of Android before version 3: a larger row is written and cannot be read, and there is room for 6 MB in all. */
class ModelOfAndroid implements AsyncStorageLike {
  readonly rows = new Map<string, string>();

  async getItem(key: string): Promise<string | null> {
    const value = this.rows.get(key) ?? null;
    if (bytesOf(key) + bytesOf(value ?? '') > ROW_BYTES_MAX) throw new Error('Row too big to fit into CursorWindow');
    return value;
  }

  async setItem(key: string, value: string): Promise<void> {
    let bytes = bytesOf(key) + bytesOf(value);
    for (const [each, text] of this.rows) if (each !== key) bytes += bytesOf(each) + bytesOf(text);
    if (bytes > TOTAL_BYTES_MAX) throw new Error('database or disk is full (code 13 SQLITE_FULL)');
    this.rows.set(key, value);
  }

  async removeItem(key: string): Promise<void> {
    this.rows.delete(key);
  }

  async getAllKeys(): Promise<readonly string[]> {
    return [...this.rows.keys()];
  }

  async multiGet(keys: readonly string[]): Promise<readonly (readonly [string, string | null])[]> {
    return Promise.all(keys.map(async (key) => [key, await this.getItem(key)] as const));
  }
}

describe('a model of AsyncStorage on Android', () => {
  const stores = new Map<string, ModelOfAndroid>();
  const cases = storageContract({
    open: async (name) => {
      const store = stores.get(name) ?? new ModelOfAndroid();
      stores.set(name, store);
      return openOf(store)(name);
    },
    capabilities: { durability: 'relaxed', keepsAfterClose: true, hasSeveralWriters: true },
  });
  const openers = new Map<ModelOfAndroid, ReturnType<typeof asyncStorage>>();
  function openOf(store: ModelOfAndroid): ReturnType<typeof asyncStorage> {
    const opener = openers.get(store) ?? asyncStorage(store);
    openers.set(store, opener);
    return opener;
  }
  for (const { name, skip, run } of cases) test.skipIf(skip !== null)(name, run);

  test('control: a row over 2 MB is written, and cannot be read', async () => {
    const store = new ModelOfAndroid();
    await store.setItem('k', 'x'.repeat(ROW_BYTES_MAX));

    await expect(store.getItem('k')).rejects.toThrow('Row too big');
  });

  test.each([-1, 0, 1])('S2 · a value of 2 MB and %i bytes is read as it was, after a restart too', async (more) => {
    const store = new ModelOfAndroid();
    const storage = await asyncStorage(store)('large');
    const value = 'x'.repeat(ROW_BYTES_MAX + more);

    await storage.commit({ expect: [], changes: [put('large', value)] });

    expect(await storage.read(['large'])).toEqual([value]);
    await storage.close();
    expect(await (await asyncStorage(store)('large')).read(['large'])).toEqual([value]);
  });

  test('S2 · text of which each character takes three bytes stays within a row, whole characters in each piece', async () => {
    const store = new ModelOfAndroid();
    const storage = await asyncStorage(store)('wide');
    const value = `a${'鍵\u{1f511}'.repeat(200_000)}`;

    await storage.commit({ expect: [], changes: [put('wide', value)] });
    await storage.close();

    expect(await (await asyncStorage(store)('wide')).read(['wide'])).toEqual([value]);
    for (const row of store.rows.values()) {
      expect(bytesOf(row)).toBeLessThan(ROW_BYTES_MAX);
      expect(Buffer.from(row).toString()).toBe(row);
    }
  });

  test('S2 · filled to the last byte, it refuses loudly, keeps everything, and takes what frees room', async () => {
    // given: a store that takes no more, not even a few bytes
    const store = new ModelOfAndroid();
    const storage = await asyncStorage(store)('full');
    const stored: string[] = [];
    for (let size = 100_000; size >= 1; size = Math.floor(size / 2)) {
      for (;;) {
        const key = `p/${String(stored.length).padStart(5, '0')}`;
        const result = await storage.commit({ expect: [], changes: [put(key, 'x'.repeat(size))] }).then(
          () => null,
          (error: unknown) => error,
        );
        if (result !== null) {
          expect(result).toMatchObject({ code: 'STORAGE_FULL' });
          break;
        }
        stored.push(key);
      }
    }
    expect((await storage.scan({ prefix: 'p/', limit: 10_000 })).map(({ key }) => key)).toEqual(stored);

    // when: what is there is settled, a few at a time, with a little that is kept of each
    for (let first = 0; first < stored.length; first += 10) {
      const changes = stored
        .slice(first, first + 10)
        .flatMap((key): Change[] => [{ kind: 'delete', key }, put(key.replace('p/', 'c/'), 'confirmed')]);
      await storage.commit({ expect: [], changes });
    }

    // then
    expect(await storage.scan({ prefix: 'p/', limit: 10_000 })).toEqual([]);
    expect(await storage.scan({ prefix: 'c/', limit: 10_000 })).toHaveLength(stored.length);
    await storage.commit({ expect: [], changes: [put('large', 'x'.repeat(100_000))] });
  }, 60_000);
});

test('S12 · filled to the last byte, it takes that another one delivers now, at each start of the app', async () => {
  const store = new ModelOfAndroid();
  const storage = await asyncStorage(store)('full');
  const taken = (from: number): StorageBatch => ({
    expect: [{ key: 'meta/epoch', value: String(from) }],
    changes: [put('meta/epoch', String(from + 1))],
  });
  await storage.commit({ expect: [], changes: [put('meta/epoch', '10')] });
  for (let [size, count] = [100_000, 0]; size >= 1; count += 1) {
    await storage.commit({ expect: [], changes: [put(`p/${count}`, 'x'.repeat(size))] }).catch(() => {
      size = Math.floor(size / 2);
    });
  }
  await storage.close();

  for (let epoch = 10; epoch < 15; epoch += 1) {
    const again = await asyncStorage(store)('full');
    // Made together with one that must wait for room.
    const [lead, added] = await Promise.allSettled([
      again.commit(taken(epoch)),
      again.commit({ expect: [], changes: [put('p/more', 'x'.repeat(1_000))] }),
    ]);
    expect(lead).toEqual({ status: 'fulfilled', value: { kind: 'committed' } });
    expect(added).toMatchObject({ status: 'rejected', reason: { code: 'STORAGE_FULL' } });
    await again.close();
  }
}, 60_000);

test('S10 · a commit of its journal that was damaged is in quarantine, with what it still says', async () => {
  const device = new TestDevice();
  const model = new ModelOfAndroid();
  await device.goOffline();
  const queue = await device.open({ storage: asyncStorage(model) });
  for (const id of ['a', 'b', 'c']) await queue.add(note(id));
  await queue.close();
  const journal = [...model.rows.keys()].filter((each) => each.includes('/j/')).toSorted();
  const key = journal.at(-2) ?? '';
  model.rows.set(key, (model.rows.get(key) ?? '').slice(0, 400));

  const again = await device.open({ storage: asyncStorage(model) });

  const { counts } = await again.getStatus();
  expect(counts.pending + counts.corrupted).toBe(3);
  const [found] = await again.listQuarantine();
  expect(found).toMatchObject({ part: 'log', id: null, seq: 0 });
  await again.discardQuarantined([found?.key ?? ''], 'seen', { actor: 'Olga' });
  await again.close();
  const third = await device.open({ storage: asyncStorage(model) });
  expect(await third.listQuarantine()).toEqual([]);
  await third.close();
});
