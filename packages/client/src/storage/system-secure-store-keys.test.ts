import { expect, test } from 'vitest';
import type { Storage } from '../ports/storage.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import { StorageSimulator } from '../testing/storage-simulator.ts';
import { sealedStorage } from './sealed-storage.ts';
import { type SecureStore, secureStoreKeys } from './system-secure-store-keys.ts';

/** What expo-secure-store promises; can be locked, and can end at any call. */
class FakeSecureStore implements SecureStore {
  readonly items = new Map<string, string>();
  isLocked = false;
  callCount = 0;
  endsAt = Number.POSITIVE_INFINITY;

  async getItemAsync(name: string): Promise<string | null> {
    this.call(name);
    return this.items.get(name) ?? null;
  }

  async setItemAsync(name: string, value: string): Promise<void> {
    this.call(name);
    this.items.set(name, value);
  }

  async deleteItemAsync(name: string): Promise<void> {
    this.call(name);
    this.items.delete(name);
  }

  private call(name: string): void {
    // As expo-secure-store checks it.
    if (!/^[\w.-]+$/.test(name)) throw new Error(`Invalid key ${name}`);
    this.callCount += 1;
    if (this.isLocked) throw new Error('User interaction is not allowed.');
    if (this.callCount >= this.endsAt) throw new Error('the app was killed');
  }
}

const NAME = 'holdfast/notes/home/ann@example.org';
const put = (key: string, value: string) => ({ expect: [], changes: [{ kind: 'put' as const, key, value }] });

function device() {
  const secure = new FakeSecureStore();
  const disk = new StorageSimulator({ clock: new FakeClock(), durability: 'volatile' });
  /** Another run of the app. */
  const start = async (): Promise<{ readonly storage: Storage; readonly keys: ReturnType<typeof secureStoreKeys> }> => {
    const keys = secureStoreKeys(secure);
    return { storage: await sealedStorage(disk.open, { keys, isClear: () => false })(NAME), keys };
  };
  return { secure, disk, start };
}

test('S4 · a secure store of texts keeps the keys: what is sealed with them opens in the next run, and stands nowhere in the clear', async () => {
  const { secure, disk, start } = device();
  const { storage } = await start();
  await storage.commit(put('a', 'CANARY'));
  await storage.close();

  const again = await start();

  expect(await again.storage.read(['a'])).toEqual(['CANARY']);
  expect(JSON.stringify(await disk.dump())).not.toContain('CANARY');
  expect([...secure.items.keys()].every((name) => /^[\w.-]+$/.test(name))).toBe(true);
});

test('S4 · sec-E5: killed at any call of a rotation, everything stays readable, and the next run finishes it', async () => {
  for (let endsAt = 1; ; endsAt += 1) {
    const { secure, start } = device();
    const first = await start();
    await first.storage.commit(put('a', '1'));
    secure.callCount = 0;
    secure.endsAt = endsAt;
    let wasKilled = false;
    try {
      await first.keys.rotate();
      await first.storage.commit(put('b', '2'));
    } catch {
      wasKilled = true;
    }
    await first.storage.close();
    secure.endsAt = Number.POSITIVE_INFINITY;

    const next = await start();
    expect((await next.storage.read(['a']))[0], `ended at call ${endsAt}`).toBe('1');
    await next.keys.rotate();
    await next.storage.commit(put('c', '3'));
    await next.storage.close();
    const last = await start();
    expect((await last.storage.read(['a', 'c'])).join(), `ended at call ${endsAt}`).toBe('1,3');
    await last.storage.close();
    if (!wasKilled) {
      expect(endsAt).toBeGreaterThan(2);
      return;
    }
  }
});

test('S4 · sec-E8: asked to renew a key, it does so once, whoever else asks for the same', async () => {
  const secure = new FakeSecureStore();
  const provider = await secureStoreKeys(secure)(NAME);
  const { id } = await provider.current();

  await Promise.all([provider.renew?.(id), provider.renew?.(id)]);

  expect((await provider.current()).id).not.toBe(id);
  expect([...secure.items.keys()].filter((name) => !name.endsWith('.current'))).toHaveLength(2);
  expect((await provider.find(id))?.id).toBe(id);
});

test('S4 · sec-E7: locked at a start in the background, it says so, makes no new key, and goes on when it is unlocked', async () => {
  const { secure, start } = device();
  const first = await start();
  await first.storage.commit(put('a', '1'));
  await first.storage.close();
  const before = [...secure.items];
  secure.isLocked = true;

  await expect(start()).rejects.toMatchObject({ code: 'STORAGE_LOCKED' });
  expect([...secure.items]).toEqual(before);

  secure.isLocked = false;
  expect(await (await start()).storage.read(['a'])).toEqual(['1']);
});

test('S4 · sec-E6: a key that the secure store has lost is not replaced by another', async () => {
  const { secure, start } = device();
  const first = await start();
  await first.storage.commit(put('a', '1'));
  await first.storage.close();
  for (const name of secure.items.keys()) if (!name.endsWith('.current')) secure.items.delete(name);
  const before = [...secure.items];

  await expect(start()).rejects.toMatchObject({ code: 'STORAGE_LOCKED' });
  expect([...secure.items]).toEqual(before);
});

test('S4 · sec-E10: each login has keys of its own, whatever its name is made of', async () => {
  const secure = new FakeSecureStore();
  const keys = secureStoreKeys(secure);
  const ids = new Set<string>();
  for (const name of ['a b', 'a_20_b', 'a%20b', 'a/b', 'ä', 'a']) ids.add((await (await keys(name)).current()).id);

  expect(ids.size).toBe(6);
  expect([...secure.items.keys()].filter((name) => name.endsWith('.current'))).toHaveLength(6);
});

test('S4 · asked for at once by many, one key is made', async () => {
  const secure = new FakeSecureStore();
  const provider = await secureStoreKeys(secure)(NAME);

  const keys = await Promise.all([provider.current(), provider.current(), provider.current()]);

  expect(new Set(keys.map(({ id }) => id)).size).toBe(1);
});
