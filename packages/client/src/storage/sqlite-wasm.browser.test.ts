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
  for (const { name, run: check } of cases.filter(({ skip }) => skip === null)) test(name, check);

  test('S1 · all of the contract is kept but what needs a second connection', () => {
    expect(cases.flatMap(({ name, skip }) => (skip === null ? [] : [name]))).toEqual([
      'S1 · many keys are read in one view, whatever another connection stores meanwhile',
      'S1 · of concurrent compare-and-sets from two connections none is lost',
      'S1 · two who open one name see what the other has committed',
      'S1 · one who closes does not disturb another who has the same name open',
    ]);
  });
});

test('S2 · SQLite on OPFS that another worker holds is refused, and the one who holds it goes on', async () => {
  const name = `${run}-held`;
  const storage = await open(name);

  await expect(open(name)).rejects.toMatchObject({ category: 'STORAGE_ERROR' });

  await storage.commit({ expect: [], changes: [{ kind: 'put', key: 'a', value: '1' }] });
  expect(await storage.read(['a'])).toEqual(['1']);
  await storage.close();
});
