import { describe, expect, test } from 'vitest';
import type { Change } from '../ports/storage.ts';
import { type MmkvLike, mmkvStorage } from './mmkv-storage.ts';
import { storageContract } from './storage-contract.ts';

const put = (key: string, value: string): Change => ({ kind: 'put', key, value });

/** MMKV: one mapped file with one checksum. Pages that the system has not written yet are gone with the power. */
class ModelOfMmkv implements MmkvLike {
  private readonly values: Map<string, string>;
  private written: ReadonlyMap<string, string>;

  constructor(values: ReadonlyMap<string, string> = new Map()) {
    this.values = new Map(values);
    this.written = new Map(values);
  }

  getString(key: string): string | undefined {
    return this.values.get(key);
  }

  set(key: string, value: string): void {
    if (key === '') throw new Error('Cannot set a value for an empty key!');
    this.values.set(key, value);
  }

  remove(key: string): boolean {
    return this.values.delete(key);
  }

  getAllKeys(): readonly string[] {
    return [...this.values.keys()];
  }

  /** The system has written all pages. */
  settle(): void {
    this.written = new Map(this.values);
  }

  afterKill(): ModelOfMmkv {
    return new ModelOfMmkv(this.values);
  }

  /** With no page written since, the file is as it was; with some, its checksum is wrong, and all of it is discarded. */
  afterPowerLoss(pages: 'none' | 'some'): ModelOfMmkv {
    return new ModelOfMmkv(pages === 'none' ? this.written : new Map());
  }
}

describe('a model of MMKV', () => {
  const cases = storageContract({
    open: mmkvStorage(new ModelOfMmkv()),
    capabilities: { durability: 'relaxed', keepsAfterClose: true, hasSeveralWriters: true },
  });
  for (const { name, skip, run } of cases) test.skipIf(skip !== null)(name, run);

  test('S2, S12 · the end of the app takes nothing that was stored', async () => {
    const instance = new ModelOfMmkv();
    const storage = await mmkvStorage(instance)('q');
    for (let index = 0; index < 200; index += 1)
      await storage.commit({ expect: [], changes: [put('seq', String(index)), put(`p/${index}`, 'x')] });

    const again = await mmkvStorage(instance.afterKill())('q');

    expect(await again.scan({ prefix: 'p/', limit: 1_000 })).toHaveLength(200);
    expect(await again.read(['seq'])).toEqual(['199']);
  });

  test('S2, S12 · a loss of power leaves what the system had written, whole commits of it, or nothing; it never calls itself strict', async () => {
    const instance = new ModelOfMmkv();
    const storage = await mmkvStorage(instance)('q');
    for (let index = 0; index < 100; index += 1) {
      await storage.commit({ expect: [], changes: [put('seq', String(index)), put(`p/${index}`, 'x')] });
      if (index === 70) instance.settle();
    }

    const kept = await mmkvStorage(instance.afterPowerLoss('none'))('q');
    const lost = await mmkvStorage(instance.afterPowerLoss('some'))('q');

    expect(storage.durability).toBe('relaxed');
    expect(await kept.read(['seq', 'p/70', 'p/71'])).toEqual(['70', 'x', null]);
    expect(await lost.scan({ prefix: '', limit: 10 })).toEqual([]);
  });

  test('S2 · an older version, which calls it `delete`, will do too', async () => {
    const instance = new ModelOfMmkv();
    const storage = await mmkvStorage({
      getString: (key) => instance.getString(key),
      set: (key, value) => instance.set(key, value),
      delete: (key) => void instance.remove(key),
      getAllKeys: () => instance.getAllKeys(),
    })('q');
    for (let index = 0; index < 200; index += 1) {
      await storage.commit({ expect: [], changes: [put(`p/${index}`, 'x')] });
      await storage.commit({ expect: [], changes: [{ kind: 'delete', key: `p/${index}` }] });
    }

    expect(await storage.scan({ prefix: '', limit: 10 })).toEqual([]);
    expect(instance.getAllKeys().length).toBeLessThan(80);
  });
});
