import { describe, expect, test } from 'vitest';
import type { OpenStorage, Storage } from '../ports/storage.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { compressedStorage } from './compressed-storage.ts';
import { memoryStorage } from './memory-storage.ts';
import { sealedStorage } from './sealed-storage.ts';
import { TestKeys } from './testing-keys/test-keys.ts';
import { TextCache } from './text-cache.ts';

describe('S6 · a cache of what was decoded', () => {
  test('S6 · it never holds more bytes than it may, and lets go first of what was used longest ago', () => {
    const cache = new TextCache(10_000);
    for (const key of ['a', 'b', 'c', 'd']) cache.keep(key, `stored ${key}`.padEnd(600), key.padEnd(500));
    expect(cache.textOf('a', 'stored a'.padEnd(600))).toBe('a'.padEnd(500));

    cache.keep('e', 'stored e'.padEnd(600), 'e'.padEnd(500));

    const held = ['a', 'b', 'c', 'd', 'e'].filter((key) => cache.storedOf(key, key.padEnd(500)) !== null);
    expect(held).toEqual(['a', 'c', 'd', 'e']);
    expect(cache.sizeBytes).toBeLessThanOrEqual(10_000);
  });

  test('S6 · whatever is kept, replaced and forgotten, its bytes are those of what it holds', () => {
    const random = seededRandom(6);
    const below = (limit: number): number => Math.floor(random() * limit);
    const cache = new TextCache(20_000);
    for (let round = 0; round < 5_000; round += 1) {
      const key = `key ${below(40)}`;
      if (random() < 0.2) cache.forget(key);
      else cache.keep(key, 's'.repeat(below(3_000)), 't'.repeat(below(3_000)));
      expect(cache.sizeBytes).toBeLessThanOrEqual(20_000);
    }
    for (let index = 0; index < 40; index += 1) cache.forget(`key ${index}`);
    expect(cache.sizeBytes).toBe(0);
  });

  test('S6 · what is larger than all of it pushes nothing out, and with no bytes at all it holds nothing', () => {
    const cache = new TextCache(2_000);
    cache.keep('a', 'stored', 'text');
    cache.keep('b', 'stored', 'x'.repeat(2_000));
    expect([cache.textOf('a', 'stored'), cache.textOf('b', 'stored')]).toEqual(['text', undefined]);

    const none = new TextCache(0);
    none.keep('a', '', '');
    expect([none.textOf('a', ''), none.sizeBytes]).toEqual([undefined, 0]);
  });

  test('S6 · it answers for the very text that stands in the store, and for no other', () => {
    const cache = new TextCache(2_000);
    cache.keep('a', 'stored', 'text');
    expect([cache.textOf('a', 'storee'), cache.textOf('b', 'stored'), cache.storedOf('a', 'texu')]).toEqual([
      undefined,
      undefined,
      null,
    ]);
  });
});

/** Stores of one device whose keys count what they open. */
function device(): {
  readonly below: OpenStorage;
  readonly keys: TestKeys;
  readonly open: (cache: TextCache) => Promise<Storage>;
  readonly openedCount: () => number;
} {
  const below = memoryStorage();
  const keys = new TestKeys({ isInstant: true });
  let openedCount = 0;
  const open = async (cache: TextCache): Promise<Storage> => {
    const provider = keys.provider();
    const counted = sealedStorage(below, {
      cache,
      keys: async () => ({
        ...provider,
        find: async (id) => {
          const key = await provider.find(id);
          return (
            key && {
              ...key,
              open: (sealed, bound) => {
                openedCount += 1;
                return key.open(sealed, bound);
              },
            }
          );
        },
      }),
    });
    return compressedStorage(counted, 100, cache)('store');
  };
  return { below, keys, open, openedCount: () => openedCount };
}

const put = async (storage: Storage, key: string, value: string): Promise<void> => {
  expect(await storage.commit({ expect: [], changes: [{ kind: 'put', key, value }] })).toEqual({ kind: 'committed' });
};

describe('S6 · a store with a cache', () => {
  test('S6 · what was stored or read lately is not decrypted again, also where it is expected; without a cache it is', async () => {
    const counts: number[] = [];
    for (const bytes of [100_000, 0]) {
      const { open, openedCount } = device();
      const storage = await open(new TextCache(bytes));
      await put(storage, 'a', 'text '.repeat(100));

      for (let round = 0; round < 3; round += 1) {
        expect(await storage.read(['a'])).toEqual(['text '.repeat(100)]);
        const changes = [{ kind: 'put', key: 'b', value: `${round}` } as const];
        const expected = { key: 'a', value: 'text '.repeat(100) };
        expect(await storage.commit({ expect: [expected], changes })).toEqual({ kind: 'committed' });
      }
      counts.push(openedCount());
      await storage.close();
    }
    expect(counts).toEqual([0, 6]);
  });

  test('S6 · whatever two tabs write, rewrite and delete, each reads what stands there, and expects what stands there', async () => {
    const { open } = device();
    const caches = [new TextCache(6_000), new TextCache(6_000)] as const;
    const tabs = [await open(caches[0]), await open(caches[1])] as const;
    const model = new Map<string, string>();
    const random = seededRandom(66);
    const below = (limit: number): number => Math.floor(random() * limit);

    for (let round = 0; round < 1_500; round += 1) {
      const tab = tabs[below(2)] ?? tabs[0];
      const key = `key ${below(12)}`;
      const value = `${'long '.repeat(below(60))}${below(3)}`;
      const known = model.get(key) ?? null;
      const believed = below(3) === 0 ? value : known;
      const isDelete = below(4) === 0;
      const result = await tab.commit({
        expect: [{ key, value: believed }],
        changes: [isDelete ? { kind: 'delete', key } : { kind: 'put', key, value }],
      });
      if (believed !== known) expect(result).toEqual({ kind: 'mismatch', key, actual: known });
      else {
        expect(result).toEqual({ kind: 'committed' });
        if (isDelete) model.delete(key);
        else model.set(key, value);
      }
      const keys = [`key ${below(12)}`, `key ${below(12)}`];
      expect(await tab.read(keys)).toEqual(keys.map((each) => model.get(each) ?? null));
    }
    const all = [...model].map(([key, value]) => ({ key, value })).sort((a, b) => (a.key < b.key ? -1 : 1));
    for (const tab of tabs) expect(await tab.scan({ prefix: '', limit: 100 })).toEqual(all);
    for (const cache of caches) expect(cache.sizeBytes).toBeLessThanOrEqual(6_000);
  });

  test('S6 · a bit that flips in the store is noticed, whatever the cache holds', async () => {
    const { below, open } = device();
    const storage = await open(new TextCache(100_000));
    await put(storage, 'a', 'text');
    const raw = await below('store');
    const [stored] = await raw.read(['a']);
    const flipped = `${stored?.slice(0, -3)}${stored?.at(-3) === 'A' ? 'B' : 'A'}${stored?.slice(-2)}`;
    await put(raw, 'a', flipped);

    expect(await storage.read(['a'])).toEqual([flipped]);
  });

  test('S6 · with its keys away the store tells nothing, and the cache has forgotten what it held', async () => {
    const { keys, open } = device();
    const cache = new TextCache(100_000);
    const storage = await open(cache);
    await put(storage, 'a', 'text');
    keys.isAway = true;

    await expect(storage.read(['a'])).rejects.toMatchObject({ code: 'STORAGE_LOCKED' });
    expect(cache.sizeBytes).toBe(0);
    keys.isAway = false;
    expect(await storage.read(['a'])).toEqual(['text']);
    await storage.close();
    expect(cache.sizeBytes).toBe(0);
  });
});
