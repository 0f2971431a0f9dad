import { describe, expect, test } from 'vitest';
import { memoryStorage } from './memory-storage.ts';
import { storageContract } from './storage-contract.ts';

describe('memory', () => {
  const cases = storageContract({
    open: memoryStorage(),
    capabilities: { durability: 'volatile', keepsAfterClose: true, hasSeveralWriters: true },
  });
  for (const { name, skip, run } of cases) test.skipIf(skip !== null)(name, run);

  test('S1 · stores of two openers share nothing, whatever their names', async () => {
    const one = await memoryStorage()('name');
    const other = await memoryStorage()('name');

    await one.commit({ expect: [], changes: [{ kind: 'put', key: 'a', value: '1' }] });

    expect(await other.read(['a'])).toEqual([null]);
  });

  test('S3 · reading a big store page by page costs what is read, and not the whole for each page', async () => {
    // given: as many records as a long time offline brings, stored in no order
    const storage = await memoryStorage()('big');
    const count = 60_000;
    const key = (index: number): string => `p/${String(index).padStart(6, '0')}`;
    for (let first = 0; first < count; first += 500) {
      const changes = Array.from({ length: 500 }, (_, index) => ({
        kind: 'put' as const,
        key: key(((first + index) * 7_919) % count),
        value: 'x',
      }));
      await storage.commit({ expect: [], changes });
    }

    // when: it is read in many small pages (sorting all keys for each would be 6,000 sorts of 60,000)
    const found: string[] = [];
    for (let after = 'p/'; ; ) {
      const page = await storage.scan({ prefix: 'p/', after, limit: 10 });
      found.push(...page.map((entry) => entry.key));
      if (page.length < 10) break;
      after = page.at(-1)?.key ?? after;
    }

    // then
    expect(found).toEqual(Array.from({ length: count }, (_, index) => key(index)));
  });
});
