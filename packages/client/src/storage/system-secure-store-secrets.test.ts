import { describe, expect, test } from 'vitest';
import { isMarkedSensitive, SENSITIVE_MARK } from '../mutation/record.ts';
import type { OpenStorage, Storage, StorageBatch } from '../ports/storage.ts';
import { SecureStoreSimulator } from '../testing/secure-store-simulator.ts';
import { memoryStorage } from './memory-storage.ts';
import { storageContract } from './storage-contract.ts';
import { secureStoreSecrets } from './system-secure-store-secrets.ts';

const NAME = 'holdfast/notes/home/ann@example.org';
const secret = (text: string): string => SENSITIVE_MARK + text;
const put = (key: string, value: string) => ({ kind: 'put' as const, key, value });
const batch = (...changes: StorageBatch['changes']): StorageBatch => ({ expect: [], changes });

/** All values are sensitive, whatever is put. */
function allSecret(open: OpenStorage): OpenStorage {
  const plain = (text: string | null): string | null => text?.slice(SENSITIVE_MARK.length) ?? null;
  return async (name) => {
    const storage = await open(name);
    return {
      durability: storage.durability,
      commit: async ({ expect: expected, changes }) => {
        const result = await storage.commit({
          expect: expected.map(({ key, value }) => ({ key, value: value === null ? null : secret(value) })),
          changes: changes.map((change) =>
            change.kind === 'put' ? { ...change, value: secret(change.value) } : change,
          ),
        });
        return result.kind === 'mismatch' ? { ...result, actual: plain(result.actual) } : result;
      },
      read: async (keys) => (await storage.read(keys)).map(plain),
      scan: async (query) => {
        const entries = await storage.scan(query);
        return entries
          .filter(({ value }) => isMarkedSensitive(value))
          .map(({ key, value }) => ({ key, value: plain(value) ?? '' }));
      },
      estimate: () => storage.estimate(),
      close: () => storage.close(),
    };
  };
}

describe('the contract of a store whose values are in a secure store', () => {
  const cases = storageContract({
    open: allSecret(secureStoreSecrets(new SecureStoreSimulator())(memoryStorage())),
    capabilities: { durability: 'volatile', keepsAfterClose: true, hasSeveralWriters: true },
    namePrefix: 'secrets',
  });
  for (const { name, skip, run } of cases) test.skipIf(skip !== null)(name, run);
});

/** A device that can die: from some call of either store on, nothing more happens. */
class Device {
  readonly secure = new SecureStoreSimulator();
  readonly disk = memoryStorage();
  /** Calls that still take place, counted twice: before the effect, and after it. */
  leftCount = Number.POSITIVE_INFINITY;

  async open(): Promise<Storage> {
    const alive = async <Result>(work: () => Promise<Result>): Promise<Result> => {
      this.step();
      const result = await work();
      this.step();
      return result;
    };
    const { secure } = this;
    const open = secureStoreSecrets({
      getItemAsync: (name) => alive(() => secure.getItemAsync(name)),
      setItemAsync: (name, value) => alive(() => secure.setItemAsync(name, value)),
      deleteItemAsync: (name) => alive(() => secure.deleteItemAsync(name)),
    })(async (name) => {
      const storage = await this.disk(name);
      return {
        durability: storage.durability,
        commit: (each) => alive(() => storage.commit(each)),
        read: (keys) => alive(() => storage.read(keys)),
        scan: (query) => alive(() => storage.scan(query)),
        estimate: () => storage.estimate(),
        close: () => storage.close(),
      };
    });
    return open(NAME);
  }

  /** What stands in the store beneath. */
  async dump(): Promise<Readonly<Record<string, string>>> {
    const entries = await (await this.disk(NAME)).scan({ prefix: '', limit: 1_000 });
    return Object.fromEntries(entries.map(({ key, value }) => [key, value]));
  }

  private step(): void {
    this.leftCount -= 1;
    if (this.leftCount < 0) throw new Error('the app was killed');
  }
}

test('Q20 · what is sensitive stands in the secure store, in pieces that it takes, and comes back as it was', async () => {
  const device = new Device();
  const storage = await device.open();
  const texts = ['', 'CANARY', 'ü'.repeat(3_000), '\ud83d\ude00'.repeat(2_000), 'half \ud83d, \\0041 and\nlines'].map(
    secret,
  );
  await storage.commit(batch(...texts.map((text, index) => put(`b/${index}`, text)), put('clear', 'in the open')));

  expect(await storage.read(['b/0', 'b/1', 'b/2', 'b/3', 'b/4', 'clear', 'none'])).toEqual([
    ...texts,
    'in the open',
    null,
  ]);
  expect(await storage.scan({ prefix: 'b/', limit: 2 })).toEqual([
    { key: 'b/0', value: texts[0] },
    { key: 'b/1', value: texts[1] },
  ]);
  const stored = await device.dump();
  expect(JSON.stringify(stored)).not.toContain('CANARY');
  expect(stored['clear']).toBe('in the open');
  expect(stored['b/1']).toMatch(/^~secret:[\w-]{22}\.1$/);
  expect(JSON.stringify([...device.secure.items.values()])).toContain('CANARY');
});

test('Q20 · what takes the place of a secret, and what is deleted, leaves nothing of it in the secure store', async () => {
  const device = new Device();
  const storage = await device.open();
  await storage.commit(batch(put('a', secret('first')), put('b', secret('other'))));
  await storage.commit(batch(put('a', secret('second'))));
  await storage.commit({ expect: [{ key: 'a', value: secret('first') }], changes: [put('c', secret('refused'))] });
  await storage.commit(batch({ kind: 'delete', key: 'b' }));
  await storage.close();

  const left = JSON.stringify([...device.secure.items.values()]);
  expect(left).toContain('second');
  expect(left).not.toMatch(/first|other|refused/);
  const again = await device.open();
  await again.commit(batch({ kind: 'delete', key: 'a' }));
  await again.close();
  expect([...device.secure.items]).toEqual([]);
  expect(await device.dump()).toEqual({});
});

test('Q20 · killed at any call of either store, what was stored is whole, and the next run takes away what nobody refers to', async () => {
  const steps: readonly StorageBatch[] = [
    batch(put('a', secret('1')), put('clear', '1')),
    {
      expect: [{ key: 'a', value: secret('1') }],
      changes: [put('a', secret('2')), put('b', secret('x'.repeat(3_000)))],
    },
    batch({ kind: 'delete', key: 'a' }, put('clear', '2')),
    batch(put('b', secret('3')), put('c', secret('4'))),
    batch({ kind: 'delete', key: 'c' }),
  ];
  const modelAfter = (count: number): Readonly<Record<string, string>> => {
    const model: Record<string, string> = {};
    for (const { changes } of steps.slice(0, count))
      for (const change of changes) {
        if (change.kind === 'put') model[change.key] = change.value;
        else delete model[change.key];
      }
    return model;
  };
  const keys = ['a', 'b', 'c', 'clear'];
  for (let leftCount = 1; ; leftCount += 1) {
    const device = new Device();
    device.leftCount = leftCount;
    let doneCount = 0;
    try {
      const storage = await device.open();
      for (const step of steps) {
        await storage.commit(step);
        doneCount += 1;
      }
      await storage.close();
    } catch {
      // It was killed.
    }
    const wasKilled = device.leftCount < 0;
    device.leftCount = Number.POSITIVE_INFINITY;

    const next = await device.open();
    const found = await next.read(keys);
    const isAs = (count: number): boolean =>
      keys.every((key, index) => (modelAfter(count)[key] ?? null) === found[index]);
    expect(isAs(doneCount) || isAs(doneCount + 1), `killed after ${leftCount}: ${JSON.stringify(found)}`).toBe(true);
    await next.close();
    const stored = await device.dump();
    const references = Object.values(stored).filter((value) => value.startsWith('~secret:'));
    expect(Object.keys(stored).filter((key) => key.startsWith('s/'))).toHaveLength(references.length);
    const refs = new Set([...device.secure.items.keys()].map((name) => name.split('.')[2]));
    expect(refs.size, `killed after ${leftCount}`).toBe(references.length);
    if (!wasKilled) {
      expect(leftCount).toBeGreaterThan(40);
      return;
    }
  }
});

/** The same secure store with calls that can be held up. */
function slow(secure: SecureStoreSimulator): {
  readonly store: SecureStoreSimulator;
  hold: (call: 'get' | 'set') => { readonly reached: Promise<void>; readonly goOn: () => void };
} {
  let held: { readonly call: string; readonly reach: () => void; readonly going: Promise<void> } | null = null;
  const wait = async (call: string): Promise<void> => {
    if (held?.call !== call) return;
    const { reach, going } = held;
    held = null;
    reach();
    await going;
  };
  const store = Object.assign(Object.create(secure) as SecureStoreSimulator, {
    getItemAsync: async (name: string) => {
      await wait('get');
      return secure.getItemAsync(name);
    },
    setItemAsync: async (name: string, value: string) => {
      await wait('set');
      return secure.setItemAsync(name, value);
    },
  });
  const hold = (call: 'get' | 'set'): { readonly reached: Promise<void>; readonly goOn: () => void } => {
    let goOn = (): void => {};
    let reach = (): void => {};
    const going = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const reached = new Promise<void>((resolve) => {
      reach = resolve;
    });
    held = { call, reach, going };
    return { reached, goOn };
  };
  return { store, hold };
}

test('Q20 · another tab that opens while a secret is being made does not take it away', async () => {
  const secure = new SecureStoreSimulator();
  const disk = memoryStorage();
  const { store, hold } = slow(secure);
  const one = await secureStoreSecrets(store)(disk)(NAME);
  const { reached, goOn } = hold('set');
  const storing = one.commit(batch(put('a', secret('1'))));
  await reached;

  // It finds a note of what nobody refers to, and takes that away.
  const other = await secureStoreSecrets(secure)(disk)(NAME);
  await other.close();
  goOn();
  expect(await storing).toEqual({ kind: 'committed' });

  const third = await secureStoreSecrets(secure)(disk)(NAME);
  expect(await third.read(['a'])).toEqual([secret('1')]);
  expect(secure.items.size).toBe(1);
});

test('Q20 · one who reads what another tab rewrites meanwhile reads the one or the other, never nothing', async () => {
  const secure = new SecureStoreSimulator();
  const disk = memoryStorage();
  const { store, hold } = slow(secure);
  const one = await secureStoreSecrets(store)(disk)(NAME);
  await one.commit(batch(put('a', secret('1')), put('b', secret('x'))));
  for (const look of [
    () => one.read(['a']),
    async () => (await one.scan({ prefix: 'a', limit: 1 })).map((e) => e.value),
  ]) {
    const { reached, goOn } = hold('get');
    const reading = look();
    await reached;

    const other = await secureStoreSecrets(secure)(disk)(NAME);
    await other.commit(batch(put('a', secret('2')), { kind: 'delete', key: 'b' }));
    await other.close();
    goOn();

    expect(await reading).toEqual([secret('2')]);
  }
});

test('Q20 · sec-E3: a reference that was moved to another key or another store opens nothing', async () => {
  const secure = new SecureStoreSimulator();
  const disk = memoryStorage();
  const open = secureStoreSecrets(secure)(disk);
  const storage = await open(NAME);
  await storage.commit(batch(put('a', secret('1'))));
  const [reference = ''] = (await (await disk(NAME)).read(['a'])) as readonly string[];

  await (await disk(NAME)).commit(batch(put('b', reference)));
  await (await disk('another')).commit(batch(put('a', reference)));

  expect(await storage.read(['a', 'b'])).toEqual([secret('1'), reference]);
  expect(await (await open('another')).read(['a'])).toEqual([reference]);
});

test('Q20 · while the secure store is locked, what stands in the clear is there, and everything else says that it is locked', async () => {
  const device = new Device();
  const storage = await device.open();
  await storage.commit(batch(put('a', secret('1')), put('clear', '1')));
  device.secure.isLocked = true;

  for (const call of [
    () => storage.read(['a']),
    () => storage.scan({ prefix: '', limit: 10 }),
    () => storage.commit(batch(put('b', secret('2')))),
    () => storage.commit(batch()),
  ])
    await expect(call()).rejects.toMatchObject({ code: 'STORAGE_LOCKED' });
  expect(await storage.read(['clear'])).toEqual(['1']);
  expect(await storage.commit(batch(put('clear', '2')))).toEqual({ kind: 'committed' });

  device.secure.isLocked = false;
  expect(await storage.read(['a', 'b'])).toEqual([secret('1'), null]);
  await storage.commit(batch({ kind: 'delete', key: 'a' }));
  await storage.close();
  expect([...device.secure.items]).toEqual([]);
});
