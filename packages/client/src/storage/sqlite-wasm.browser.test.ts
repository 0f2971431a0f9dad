import { describe, expect, test } from 'vitest';
import { storageContract } from './storage-contract.ts';
import { workerStorage } from './worker/browser-worker-storage.ts';

const run = Math.random().toString(36).slice(2);
const open = workerStorage({
  worker: () => new Worker(new URL('./worker/testing-worker/sqlite-wasm.ts', import.meta.url), { type: 'module' }),
});

describe('@sqlite.org/sqlite-wasm on OPFS', () => {
  const cases = storageContract({
    open,
    capabilities: { durability: 'strict', keepsAfterClose: true, hasSeveralWriters: false },
    namePrefix: run,
  });
  for (const { name, skip, run: check } of cases) test.skipIf(skip !== null)(name, check);
});

test('S2 · SQLite on OPFS that another worker holds is refused, and the one who holds it goes on', async () => {
  const name = `${run}-held`;
  const storage = await open(name);

  await expect(open(name)).rejects.toMatchObject({ category: 'STORAGE_ERROR' });

  await storage.commit({ expect: [], changes: [{ kind: 'put', key: 'a', value: '1' }] });
  expect(await storage.read(['a'])).toEqual(['1']);
  await storage.close();
});
