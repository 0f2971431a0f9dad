import legacyStorage, { createAsyncStorage } from '@react-native-async-storage/async-storage';
import { afterEach, describe, expect, test } from 'vitest';
import { asyncStorage } from './async-storage.ts';
import { storageContract } from './storage-contract.ts';

const run = Math.random().toString(36).slice(2);

// All tests of a browser share one localStorage, which is small, and a case leaves its records behind.
afterEach(() => localStorage.clear());

const STORES = [
  { store: legacyStorage, build: 'localStorage, as its default export has it' },
  { store: createAsyncStorage(`async-${run}`), build: 'a database of its own' },
];

describe.each(STORES)('AsyncStorage 3 in a browser, on $build', ({ store }) => {
  const cases = storageContract({
    open: asyncStorage(store),
    capabilities: { durability: 'relaxed', keepsAfterClose: true, hasSeveralWriters: true },
    namePrefix: run,
  });
  for (const { name, skip, run: check } of cases) test.skipIf(skip !== null)(name, check);
});

test('S2 · AsyncStorage that is full is told as such, nothing of the batch is stored, and what is stored can go', async () => {
  // given: a browser's localStorage, which takes about 5 million characters, and little room left in it
  const open = asyncStorage(legacyStorage);
  const storage = await open(`full-${run}`);
  const text = 'x'.repeat(100_000);
  let storedCount = 0;
  const fill = async (): Promise<void> => {
    for (; storedCount < 100; storedCount += 1)
      await storage.commit({
        expect: [],
        changes: [{ kind: 'put', key: `k/${String(storedCount).padStart(3, '0')}`, value: text }],
      });
  };

  await expect(fill()).rejects.toMatchObject({ code: 'STORAGE_FULL' });

  const keys = async (): Promise<readonly string[]> =>
    (await storage.scan({ prefix: 'k/', limit: 1_000 })).map(({ key }) => key);
  expect(await keys()).toHaveLength(storedCount);
  await storage.commit({ expect: [], changes: (await keys()).map((key) => ({ kind: 'delete', key })) });
  await storage.close();
  expect(await (await open(`full-${run}`)).scan({ prefix: '', limit: 1_000 })).toEqual([]);
});
