import { expect, test } from 'vitest';
import type { OpenStorage, Storage } from '../ports/storage.ts';
import { memoryStorage } from './memory-storage.ts';
import { storageContract } from './storage-contract.ts';

const capabilities = { durability: 'volatile', keepsAfterClose: true, hasSeveralWriters: true } as const;

/** A store in memory in which one thing goes wrong. */
function broken(how: (storage: Storage) => Partial<Storage>): OpenStorage {
  const open = memoryStorage();
  return async (name) => {
    const storage = await open(name);
    const own: Storage = {
      durability: storage.durability,
      commit: (batch) => storage.commit(batch),
      read: (keys) => storage.read(keys),
      scan: (query) => storage.scan(query),
      estimate: () => storage.estimate(),
      close: () => storage.close(),
    };
    return { ...own, ...how(storage) };
  };
}

/** Names of the cases that an adapter fails. */
async function failures(open: OpenStorage): Promise<readonly string[]> {
  const failed: string[] = [];
  for (const { name, run } of storageContract({ open, capabilities })) await run().catch(() => failed.push(name));
  return failed;
}

const FAULTS: readonly { readonly fault: string; readonly how: (storage: Storage) => Partial<Storage> }[] = [
  {
    fault: 'ignores expectations',
    how: (storage) => ({ commit: ({ changes }) => storage.commit({ expect: [], changes }) }),
  },
  {
    fault: 'puts back from its copy what was changed since',
    how: (storage) => ({
      repair: async () => {
        await storage.commit({ expect: [], changes: [{ kind: 'put', key: 'a', value: '1' }] });
        return true;
      },
    }),
  },
  {
    fault: 'checks expectations in an earlier step',
    how: (storage) => ({
      commit: async ({ expect: expectations, changes }) => {
        const result = await storage.commit({ expect: expectations, changes: [] });
        await Promise.resolve();
        return result.kind === 'mismatch' ? result : storage.commit({ expect: [], changes });
      },
    }),
  },
  {
    fault: 'stores the changes of a batch one by one',
    how: (storage) => ({
      commit: async ({ expect: expectations, changes }) => {
        for (const change of changes) await storage.commit({ expect: [], changes: [change] });
        return storage.commit({ expect: expectations, changes: [] });
      },
    }),
  },
  {
    fault: 'stores a large batch in two halves',
    how: (storage) => ({
      commit: async ({ expect: expectations, changes }) => {
        if (changes.length <= 500) return storage.commit({ expect: expectations, changes });
        const result = await storage.commit({ expect: expectations, changes: changes.slice(0, 500) });
        if (result.kind === 'mismatch') return result;
        for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
        return storage.commit({ expect: [], changes: changes.slice(500) });
      },
    }),
  },
  {
    fault: 'yields no more than a thousand entries',
    how: (storage) => ({ scan: (query) => storage.scan({ ...query, limit: Math.min(query.limit, 1_000) }) }),
  },
  {
    fault: 'leaves out what is longer than half a million characters',
    how: (storage) => ({
      commit: ({ expect: expectations, changes }) =>
        storage.commit({
          expect: expectations,
          changes: changes.filter((change) => change.kind === 'delete' || change.value.length < 500_000),
        }),
    }),
  },
  {
    fault: 'composes letters and their accents',
    how: (storage) => ({
      commit: ({ expect: expectations, changes }) =>
        storage.commit({
          expect: expectations,
          changes: changes.map((change) =>
            change.kind === 'delete' ? change : { ...change, value: change.value.normalize('NFC') },
          ),
        }),
    }),
  },
  {
    fault: 'says that it uses nothing',
    how: () => ({ estimate: async () => ({ usedBytes: 0, quotaBytes: 1_000_000 }) }),
  },
  {
    fault: 'scans in the order of appending',
    how: (storage) => ({ scan: async (query) => (await storage.scan(query)).toReversed() }),
  },
  {
    fault: 'compares keys as a language does',
    how: (storage) => ({
      scan: async (query) => (await storage.scan(query)).toSorted((left, right) => left.key.localeCompare(right.key)),
    }),
  },
  {
    fault: 'takes no notice of the limit',
    how: (storage) => ({ scan: (query) => storage.scan({ ...query, limit: 10_000 }) }),
  },
  {
    fault: 'takes no notice of `after`',
    how: (storage) => ({ scan: ({ prefix, limit }) => storage.scan({ prefix, limit }) }),
  },
  {
    fault: 'takes an empty value for none',
    how: (storage) => ({
      read: async (keys) => (await storage.read(keys)).map((value) => (value === '' ? null : value)),
    }),
  },
  {
    fault: 'leaves missing keys out of what it reads',
    how: (storage) => ({ read: async (keys) => (await storage.read(keys)).filter((value) => value !== null) }),
  },
  {
    fault: 'cuts large values',
    how: (storage) => ({
      commit: ({ expect: expectations, changes }) =>
        storage.commit({
          expect: expectations,
          changes: changes.map((change) =>
            change.kind === 'put' ? { ...change, value: change.value.slice(0, 65_536) } : change,
          ),
        }),
    }),
  },
  { fault: 'goes on after it was closed', how: () => ({ close: async () => {} }) },
  { fault: 'claims more than it keeps', how: () => ({ durability: 'strict' }) },
];

test.each(FAULTS)('S1 · the contract finds an adapter that $fault', async ({ how }) => {
  expect(await failures(broken(how))).not.toEqual([]);
});

test('S1 · control: the contract finds nothing wrong with a store that is only wrapped', async () => {
  expect(await failures(broken(() => ({})))).toEqual([]);
});

test('S1 · two stores under all names are found, and so is one store under all names', async () => {
  expect(await failures((name) => memoryStorage()(name))).not.toEqual([]);
  const open = memoryStorage();
  expect(await failures(() => open('always the same'))).not.toEqual([]);
});

test('S1 · what an adapter does not claim is skipped with the reason', () => {
  const cases = storageContract({
    open: memoryStorage(),
    capabilities: { durability: 'volatile', keepsAfterClose: false, hasSeveralWriters: false },
  });

  const reasons = new Set(cases.map(({ skip }) => skip));
  expect(reasons).toEqual(
    new Set([null, 'this store keeps nothing after it is closed', 'this store is open only once at a time']),
  );
});

test('S1 · a failing case says what was expected and what came', async () => {
  const open = broken((storage) => ({
    read: async (keys) => (await storage.read(keys)).filter((value) => value !== null),
  }));
  const found = storageContract({ open, capabilities }).find(({ name }) => name.includes('in the order asked for'));

  await expect(found?.run()).rejects.toThrowErrorMatchingInlineSnapshot(
    `[Error: Expected values to be ["2",null,"1","2"]; it is ["2","1","2"].]`,
  );
});

test('S1 · a store with something in it is refused with the reason, so that runs do not disturb each other', async () => {
  const open = memoryStorage();
  const [, second] = storageContract({ open, capabilities });
  await second?.run();

  await expect(second?.run()).rejects.toThrow('is not empty. Give each run its own `namePrefix`.');
});
