import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, describe, expect, test } from 'vitest';
import type { SealingKey } from '../ports/keys.ts';
import type { OpenStorage, Storage } from '../ports/storage.ts';
import { compressedStorage } from './compressed-storage.ts';
import { memoryStorage } from './memory-storage.ts';
import { SEAL_KEY } from './seal.ts';
import { sealedStorage, unsealedStorage } from './sealed-storage.ts';
import { sqliteStorage } from './sqlite-storage.ts';
import { storageContract } from './storage-contract.ts';
import { TestKeys } from './testing-keys/test-keys.ts';
import { TextCache } from './text-cache.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-sealed-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const isClear = (key: string): boolean => key.startsWith('meta/');

const sqlite = sqliteStorage({
  open: (name) => {
    const database = new DatabaseSync(join(folder, `${encodeURIComponent(name)}.db`));
    return {
      query: (sql, parameters) => database.prepare(sql).all(...parameters) as Record<string, unknown>[],
      close: () => database.close(),
    };
  },
});

describe.each([
  { what: 'in memory', open: memoryStorage(), durability: 'volatile' as const },
  { what: 'in SQLite', open: sqlite, durability: 'strict' as const },
])('sealed and compressed, $what', ({ open, durability }) => {
  const keys = new TestKeys();
  const cache = new TextCache(10_000);
  const cases = storageContract({
    open: compressedStorage(sealedStorage(open, { keys: keys.open, isClear, cache }), 100, cache),
    capabilities: { durability, keepsAfterClose: true, hasSeveralWriters: true },
  });
  for (const { name, skip, run } of cases) test.skipIf(skip !== null)(name, run);
});

/** A device with a store in memory, its keys, and what stands below the layer. */
async function device(): Promise<{
  readonly keys: TestKeys;
  readonly below: Storage;
  readonly open: (name?: string) => Promise<Storage>;
  readonly openBelow: OpenStorage;
}> {
  const keys = new TestKeys();
  const openBelow = memoryStorage();
  const open = sealedStorage(openBelow, { keys: keys.open, isClear });
  return { keys, openBelow, below: await openBelow('store'), open: (name = 'store') => open(name) };
}

async function put(storage: Storage, entries: Readonly<Record<string, string>>): Promise<void> {
  const changes = Object.entries(entries).map(([key, value]) => ({ kind: 'put' as const, key, value }));
  expect(await storage.commit({ expect: [], changes })).toEqual({ kind: 'committed' });
}

async function dump(storage: Storage): Promise<Record<string, string>> {
  const entries = await storage.scan({ prefix: '', limit: 100_000 });
  return Object.fromEntries(entries.map(({ key, value }) => [key, value]));
}

const flip = (text: string, index: number, bit: number): string =>
  text.slice(0, index) + String.fromCharCode(text.charCodeAt(index) ^ (1 << bit)) + text.slice(index + 1);

test('S4 · sec-E1: of what is stored nothing stands in the clear, but numbers and ids', async () => {
  const { below, open } = await device();
  const storage = await open();

  await put(storage, { 'p/1': 'CANARY-1', 'b/1': 'CANARY-2 '.repeat(500), 'meta/seq': '1' });

  const text = JSON.stringify(await dump(below));
  expect(text).not.toContain('CANARY');
  expect((await dump(below))['meta/seq']).toBe('1');
});

test('S4 · sec-E2: one flipped bit anywhere in a sealed value makes it unreadable, keeps its bytes, and costs no other', async () => {
  const { below, open } = await device();
  await put(await open(), { a: 'the first', b: 'the second' });
  const whole = (await below.read(['a']))[0] ?? '';

  for (let index = 0; index < whole.length; index += 1) {
    for (let bit = 0; bit < 7; bit += 1) {
      const damaged = flip(whole, index, bit);
      await put(below, { a: damaged });
      const storage = await open();
      const [a, b] = await storage.read(['a', 'b']);
      expect(a).not.toBe('the first');
      expect(a?.endsWith(damaged)).toBe(true);
      expect(b).toBe('the second');
      await storage.close();
      expect((await below.read(['a']))[0]).toBe(damaged);
    }
  }
});

test('S4 · sec-E3: a value moved to another key, another store or under the name of another key does not open', async () => {
  const { keys, below, open, openBelow } = await device();
  const other = await open('other');
  await put(await open(), { a: 'mine', b: 'yours' });
  await put(other, { a: 'theirs' });
  const stored = await dump(below);
  const elsewhere = await openBelow('other');
  await keys.renew();
  const second = await open();

  await put(below, { a: stored['b'] ?? '', b: (stored['a'] ?? '').replace('~sk1.', '~sk2.') });
  await put(elsewhere, { a: stored['a'] ?? '' });

  expect(await second.read(['a', 'b'])).not.toContain('yours');
  expect(await second.read(['a', 'b'])).not.toContain('mine');
  expect(await other.read(['a'])).not.toContain('mine');
});

test('S4 · sec-E4: equal values never stand as equal texts: each is sealed with a nonce of its own', async () => {
  const { below, open } = await device();
  const storage = await open();
  const nonces = new Set<string>();
  const count = 2_000;

  for (let round = 0; round < count / 100; round += 1) {
    await put(storage, Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`k/${index}`, 'the same'])));
    for (const { value } of await below.scan({ prefix: 'k/', limit: 100 }))
      nonces.add(value.slice(value.indexOf('.') + 1).slice(0, 16));
  }

  expect(nonces.size).toBe(count);
});

test('S4 · sec-E11: a value that is cut short, or claims another form, is not opened', async () => {
  const { below, open } = await device();
  const storage = await open();
  await put(storage, { a: 'x' });
  const [stored = ''] = await below.read(['a']);
  const dot = (stored ?? '').indexOf('.');

  for (const forged of [
    `${stored?.slice(0, dot + 1)}`,
    `${stored?.slice(0, dot + 1)}AAAA`,
    `${stored?.slice(0, dot + 17)}`,
    `${stored?.slice(0, -4)}`,
    `~t${stored?.slice(2)}`,
    'x',
  ]) {
    await put(below, { a: forged });
    expect(await storage.read(['a'])).not.toContain('x');
  }
});

describe('S4 · without the key', () => {
  test('S4 · sec-E6: a lost key locks the store: nothing is read, written, lost or made anew', async () => {
    const { keys, below, open } = await device();
    await put(await open(), { a: 'kept' });
    const before = await dump(below);
    const lost = keys.keys.get('k1');
    keys.keys.delete('k1');
    keys.currentId = null;

    await expect(open()).rejects.toMatchObject({ code: 'STORAGE_LOCKED', category: 'STORAGE_ERROR' });
    expect(await dump(below)).toEqual(before);
    expect(keys.keys.size).toBe(0);

    if (lost !== undefined) keys.keys.set('k1', lost);
    keys.currentId = 'k1';
    expect(await (await open()).read(['a'])).toEqual(['kept']);
  });

  test('S4 · sec-E7: keys that are away reject each call, in the middle of a run too, and it goes on when they are back', async () => {
    const { keys, open } = await device();
    const storage = await open();
    await put(storage, { a: 'kept' });

    keys.isAway = true;
    await expect(storage.read(['a'])).rejects.toMatchObject({ code: 'STORAGE_LOCKED' });
    await expect(storage.scan({ prefix: '', limit: 1 })).rejects.toMatchObject({ code: 'STORAGE_LOCKED' });
    await expect(put(storage, { b: 'x' })).rejects.toMatchObject({ code: 'STORAGE_LOCKED' });
    await expect(open()).rejects.toMatchObject({ code: 'STORAGE_LOCKED' });

    keys.isAway = false;
    expect(await storage.read(['a', 'b'])).toEqual(['kept', null]);
    await put(storage, { b: 'x' });
    expect(keys.keys.size).toBe(1);
  });

  test('S4 · sec-E6: another key under the same id is a wrong key, and not a damaged store', async () => {
    const { keys, below, open } = await device();
    await put(await open(), { a: 'kept' });
    const before = await dump(below);
    const right = keys.keys.get('k1');
    await keys.exchange('k1');

    await expect(open()).rejects.toMatchObject({ code: 'STORAGE_LOCKED' });
    expect(await dump(below)).toEqual(before);

    if (right !== undefined) keys.keys.set('k1', right);
    expect(await (await open()).read(['a'])).toEqual(['kept']);
  });

  test.each(['all', 'some'] as const)(
    'S4 · sec-E6, E7: with %s of it sealed, however much stands before the first sealed value, a lost or wrong key locks the store',
    async (what) => {
      const { keys, below, openBelow, open: openWhole } = await device();
      const open =
        what === 'all'
          ? openWhole
          : () => sealedStorage(openBelow, { keys: keys.open, isSealed: (value) => value === 'secret' })('store');
      const names = Array.from({ length: 250 }, (_, index) => `a${String(index).padStart(3, '0')}`);
      const storage = await open();
      const opens = names.map((name): [string, string] => [name, 'open']);
      await put(storage, { ...Object.fromEntries(opens), z: 'secret' });
      await storage.close();
      const before = await dump(below);
      const right = keys.keys.get('k1');

      for (const isGone of [true, false]) {
        if (isGone) keys.keys.delete('k1');
        else await keys.exchange('k1');
        keys.currentId = isGone ? null : 'k1';
        await expect(open()).rejects.toMatchObject({ code: 'STORAGE_LOCKED' });
        expect(await dump(below)).toEqual(before);
        expect(keys.keys.size).toBe(isGone ? 0 : 1);
      }
      // Also where the seal, which names the key, is damaged or gone.
      keys.keys.delete('k1');
      keys.currentId = null;
      for (const seal of ['~sk1.AAAA', '~sk9.AAAA', null]) {
        const change = seal === null ? { kind: 'delete' as const } : { kind: 'put' as const, value: seal };
        await below.commit({ expect: [], changes: [{ ...change, key: SEAL_KEY }] });
        await expect(open()).rejects.toMatchObject({ code: 'STORAGE_LOCKED' });
      }
      expect(keys.keys.size).toBe(0);

      if (right !== undefined) keys.keys.set('k1', right);
      keys.currentId = 'k1';
      const again = await open();
      expect(await again.read(['a000', 'z'])).toEqual(['open', 'secret']);
      await again.close();
    },
  );

  test('S4 · a queue without keys does not take a sealed store for rubbish', async () => {
    const { openBelow, open } = await device();
    await put(await open(), { a: 'kept' });

    const without = await unsealedStorage(openBelow)('store');
    await expect(without.read(['a'])).rejects.toMatchObject({ code: 'STORAGE_LOCKED' });
    await expect(without.read(['b'])).rejects.toMatchObject({ code: 'STORAGE_LOCKED' });
    expect(await (await open()).read(['a'])).toEqual(['kept']);
  });
});

test('S4 · the seal of the store itself may be damaged or gone: it is made anew, and nothing is lost', async () => {
  const { keys, below, open } = await device();
  await put(await open(), { a: 'kept' });
  const [seal] = await below.read([SEAL_KEY]);

  for (let index = 0; index < (seal ?? '').length; index += 3) {
    await put(below, { [SEAL_KEY]: flip(seal ?? '', index, index % 7) });
    const storage = await open();
    expect(await storage.read(['a'])).toEqual(['kept']);
    await storage.close();
  }
  await below.commit({ expect: [], changes: [{ kind: 'delete', key: SEAL_KEY }] });
  const storage = await open();
  expect(await storage.read(['a'])).toEqual(['kept']);
  // An unsealed value does not become a sealed one on this way.
  await put(below, { b: 'forged' });
  expect(await storage.read(['b'])).not.toContain('forged');
  expect(keys.keys.size).toBe(1);
});

describe('S4 · a store from before', () => {
  test('S4 · what was written without keys is read, and sealed; from then on nothing in the clear counts', async () => {
    const { below, open } = await device();
    const entries = Object.fromEntries(Array.from({ length: 250 }, (_, index) => [`p/${index}`, `CANARY ${index}`]));
    await put(below, { ...entries, 'meta/seq': '250' });

    const storage = await open();
    expect(await storage.read(['p/7'])).toEqual(['CANARY 7']);
    await resealed(below, 'k1');
    await storage.close();

    const again = await open();
    expect(await dump(again)).toEqual({ ...entries, 'meta/seq': '250' });
    await again.close();
    await (await open()).close();
    expect(JSON.stringify(await dump(below))).not.toContain('CANARY');
    await put(below, { 'p/x': 'forged' });
    expect(await (await open()).read(['p/x'])).not.toContain('forged');
  });
});

describe('S4 · sec-E5: a new key', () => {
  test('S4 · sec-E5: new values are sealed with it at once, old ones stay readable, are sealed anew, and then the old key goes', async () => {
    const { keys, below, open } = await device();
    const storage = await open();
    await put(storage, Object.fromEntries(Array.from({ length: 350 }, (_, index) => [`p/${index}`, `v${index}`])));
    const before = await dump(storage);

    await keys.renew();
    await put(storage, { new: 'x' });
    expect((await below.read(['new']))[0]).toMatch(/^~sk2\./);
    expect(await dump(storage)).toEqual({ ...before, new: 'x' });

    await resealed(below, 'k2');
    expect(await dump(storage)).toEqual({ ...before, new: 'x' });
    await storage.close();
    const again = await open();
    expect(keys.keys.has('k1')).toBe(false);
    expect(await dump(again)).toEqual({ ...before, new: 'x' });
  });

  test('S4 · sec-E5: a tab that has not heard of it stores nothing under the old key any more, and reads the new', async () => {
    const { keys, below, openBelow, open } = await device();
    const first = await open();
    await put(first, { a: '1' });
    const stale = keys.provider({ isStale: true });
    const second = await sealedStorage(openBelow, { keys: async () => stale, isClear })('store');
    await put(second, { b: '1' });

    await keys.renew();
    await put(first, { a: '2' });
    await put(second, { b: '2', c: '1' });

    expect(await second.read(['a', 'b', 'c'])).toEqual(['2', '2', '1']);
    expect(await first.read(['a', 'b', 'c'])).toEqual(['2', '2', '1']);
    await resealed(below, 'k2');
  });

  test('S4 · sec-E5: a value that does not open keeps its key; the others are sealed anew', async () => {
    const { keys, below, open } = await device();
    const storage = await open();
    await put(storage, { a: 'kept', b: 'damaged' });
    const [stored = ''] = await below.read(['b']);
    const damaged = flip(stored ?? '', 40, 1);
    await put(below, { b: damaged });

    await keys.renew();
    await put(storage, { c: 'x' });
    await storage.close();
    await (await open()).close();

    expect(await below.read(['b'])).toEqual([damaged]);
    expect((await below.read(['a']))[0]).toMatch(/^~sk2\./);
    expect(keys.released).toEqual([]);
    expect(keys.keys.has('k1')).toBe(true);
  });

  test.each(['before', 'after'] as const)(
    'S4 · sec-E5: killed just %s any step of it, everything stays readable, and the next run finishes it',
    async (when) => {
      let stepCount = 0;
      for (let killAt = 1; ; killAt += 1) {
        // given: a store with values under one key, and a process that dies at one of its steps
        const keys = new TestKeys();
        const openBelow = memoryStorage();
        const entries = Object.fromEntries(Array.from({ length: 230 }, (_, index) => [`p/${index}`, `v${index}`]));
        const before = await sealedStorage(openBelow, { keys: keys.open, isClear })('store');
        await put(before, entries);
        await before.close();
        await keys.renew();
        const mortal = mortalProcess(keys, openBelow, killAt, when);

        // when: it moves the store to a new key, and writes meanwhile
        const acknowledged = await mortal.run(async (open) => {
          const storage = await open('store');
          await put(storage, { during: 'x' });
          mortal.acknowledge();
          await storage.close();
        });
        stepCount = mortal.stepCount;

        // then: the next run reads all of it, and what it leaves is under the new key alone
        const next = await sealedStorage(openBelow, { keys: keys.open, isClear })('store');
        expect(await dump(next)).toMatchObject(acknowledged ? { ...entries, during: 'x' } : entries);
        const below = await openBelow('store');
        await resealed(below, 'k2');
        await next.close();
        const last = await sealedStorage(openBelow, { keys: keys.open, isClear })('store');
        expect(await dump(last)).toMatchObject(entries);
        expect(keys.keys.has('k1')).toBe(false);
        if (!mortal.hasDied) break;
      }
      expect(stepCount).toBeGreaterThan(10);
    },
  );
});

describe('S4 · sec-E8: how much one key may seal', () => {
  const keyUses = { renewAfter: 40, max: 80, step: 10 };

  /** Tabs and runs of one device, whose keys count what they seal. */
  async function countingDevice({ canRenew }: { readonly canRenew: boolean }) {
    const keys = new TestKeys();
    const openBelow = memoryStorage();
    const counts = new Map<string, number>();
    const counted = (key: SealingKey): SealingKey => ({
      ...key,
      seal: (bytes, bound) => {
        counts.set(key.id, (counts.get(key.id) ?? 0) + 1);
        return key.seal(bytes, bound);
      },
    });
    const open = sealedStorage(openBelow, {
      keys: async () => {
        const provider = keys.provider();
        return {
          ...provider,
          current: async () => counted(await provider.current()),
          find: async (id) => {
            const key = await provider.find(id);
            return key === null ? null : counted(key);
          },
          ...(canRenew && {
            renew: async (id: string) => {
              if (keys.currentId === id) await keys.renew();
            },
          }),
        };
      },
      isClear,
      keyUses,
    });
    return { keys, counts, open: () => open('store'), below: await openBelow('store') };
  }

  test('S4 · sec-E8: a key that has sealed as much as it should is replaced by itself, with two tabs and over restarts; all stays readable', async () => {
    const { counts, keys, open } = await countingDevice({ canRenew: true });
    const expected: Record<string, string> = {};
    for (let run = 0; run < 6; run += 1) {
      const tabs = [await open(), await open()] as const;
      for (let index = 0; index < 40; index += 1) {
        const key = `p/${index % 10}`;
        expected[key] = `v${run} ${index}`;
        await put(tabs[index % 2] ?? tabs[0], { [key]: `v${run} ${index}` });
      }
      for (const tab of tabs) await tab.close();
    }

    expect(Math.max(...counts.values())).toBeLessThanOrEqual(keyUses.max);
    expect(counts.size).toBeGreaterThan(3);
    const last = await open();
    expect(await dump(last)).toEqual(expected);
    await last.close();
    // Those that nothing is sealed with any more are destroyed.
    expect(keys.released.length).toBeGreaterThan(0);
    expect(keys.keys.size).toBeLessThanOrEqual(2);
  });

  test('S4 · sec-E8: uses are written down before they are made: what a crash leaves of them is never used again', async () => {
    const { counts, open } = await countingDevice({ canRenew: false });
    // Killed each time: nothing is closed.
    const runs = Array.from({ length: 7 }, (_, run) => run);
    for (const run of runs) await put(await open(), { [`p/${run}`]: 'x' });

    await expect(
      (await open()).commit({ expect: [], changes: [{ kind: 'put', key: 'p/7', value: 'x' }] }),
    ).rejects.toThrow(/as many as one key may/);
    expect([...counts.keys()]).toEqual(['k1']);
    expect(counts.get('k1')).toBeLessThan(keyUses.max);
  });

  test('S4 · sec-E8: with no new key to be had nothing more is sealed, nothing is lost, and it goes on with one', async () => {
    const { counts, keys, open } = await countingDevice({ canRenew: false });
    const storage = await open();
    const expected: Record<string, string> = {};
    let refusal: unknown;
    for (let index = 0; index < 100 && refusal === undefined; index += 1) {
      try {
        await put(storage, { [`p/${index}`]: `v${index}` });
        expected[`p/${index}`] = `v${index}`;
      } catch (error) {
        refusal = error;
      }
    }

    expect(refusal).toMatchObject({ code: 'STORAGE_LOCKED' });
    expect(String(refusal)).toContain('as many as one key may');
    expect(counts.get('k1')).toBeLessThanOrEqual(keyUses.max);
    expect(Object.keys(expected).length).toBeGreaterThan(keyUses.renewAfter);
    expect(await dump(storage)).toEqual(expected);
    await keys.renew();
    await put(storage, { last: 'x' });
    expect(await dump(storage)).toEqual({ ...expected, last: 'x' });
    expect(counts.get('k1')).toBeLessThanOrEqual(keyUses.max);
  });
});

/** Waits until no value is sealed with another key. */
async function resealed(below: Storage, keyId: string): Promise<void> {
  for (;;) {
    const values = Object.entries(await dump(below)).filter(([key]) => !isClear(key));
    if (values.every(([, value]) => value.startsWith(`~s${keyId}.`))) return;
    await new Promise<void>((done) => setImmediate(done));
  }
}

/** A process that dies at one of its calls to the store or to its keys: nothing of it happens after that. */
function mortalProcess(keys: TestKeys, openBelow: OpenStorage, killAt: number, when: 'before' | 'after') {
  const process = { stepCount: 0, hasDied: false, hasAcknowledged: false };
  let die: () => void = () => {};
  const death = new Promise<'died'>((resolve) => {
    die = () => resolve('died');
  });
  const step = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    if (process.hasDied) return new Promise(() => {});
    process.stepCount += 1;
    const isLast = process.stepCount === killAt;
    if (isLast && when === 'before') process.hasDied = true;
    const result = isLast && when === 'before' ? undefined : await work();
    if (isLast) process.hasDied = true;
    if (!process.hasDied) return result as Result;
    die();
    return new Promise(() => {});
  };
  const open = sealedStorage(
    async (name) => {
      const storage = await openBelow(name);
      return {
        durability: storage.durability,
        commit: (batch) => step(() => storage.commit(batch)),
        read: (list) => step(() => storage.read(list)),
        scan: (query) => step(() => storage.scan(query)),
        estimate: () => storage.estimate(),
        close: () => storage.close(),
      };
    },
    {
      keys: async () => {
        const provider = keys.provider();
        return {
          current: () => step(() => provider.current()),
          find: (id) => step(() => provider.find(id)),
          release: (ids) => step(() => provider.release?.(ids) ?? Promise.resolve()),
        };
      },
      isClear,
    },
  );
  return {
    get stepCount() {
      return process.stepCount;
    },
    get hasDied() {
      return process.hasDied;
    },
    acknowledge() {
      process.hasAcknowledged = true;
    },
    async run(work: (opener: OpenStorage) => Promise<void>): Promise<boolean> {
      await Promise.race([work(open), death]);
      return process.hasAcknowledged;
    },
  };
}
