import * as nodeCrypto from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FakeClock } from '../testing/fake-clock.ts';
import { StorageSimulator } from '../testing/storage-simulator.ts';
import { aesGcmCipherKey, type CipherModule } from './cipher-aes-gcm.ts';
import { sealedStorage } from './sealed-storage.ts';
import { aesGcmKey } from './system-aes-gcm.ts';
import { secureStoreKeys } from './system-secure-store-keys.ts';

const BYTES = Uint8Array.from({ length: 32 }, (_, index) => 7 * index);
const bound = new TextEncoder().encode('its place');

async function webKey(): Promise<ReturnType<typeof aesGcmKey>> {
  const usages = ['encrypt', 'decrypt'] as const;
  return aesGcmKey('k', await crypto.subtle.importKey('raw', BYTES, 'AES-GCM', false, usages));
}

test('S4 · what a cipher of Node sealed opens with Web Crypto, and the other way round', async () => {
  const [cipher, web] = [aesGcmCipherKey('k', BYTES, nodeCrypto), await webKey()];
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (value) => {
      expect(await web.open(await cipher.seal(value, bound), bound)).toEqual(value);
      expect(new Uint8Array((await cipher.open(await web.seal(value, bound), bound)) ?? [255])).toEqual(value);
    }),
  );
});

test('S4 · sec-E2, E3: with a bit flipped, a byte cut, another place or another key it does not open', async () => {
  const key = aesGcmCipherKey('k', BYTES, nodeCrypto);
  const sealed = await key.seal(new TextEncoder().encode('CANARY'), bound);

  for (let bit = 0; bit < 8 * sealed.length; bit += 1) {
    const flipped = sealed.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect(await key.open(flipped, bound)).toBeNull();
  }
  for (let length = 0; length < sealed.length; length += 1)
    expect(await key.open(sealed.subarray(0, length), bound)).toBeNull();
  expect(await key.open(sealed, new TextEncoder().encode('another'))).toBeNull();
  expect(await aesGcmCipherKey('k', nodeCrypto.randomBytes(32), nodeCrypto).open(sealed, bound)).toBeNull();
});

test('S4 · the bytes of a key are taken as they are at the call, and a key of another length is refused', async () => {
  const bytes = BYTES.slice();
  const key = aesGcmCipherKey('k', bytes, nodeCrypto);
  const sealed = await key.seal(new Uint8Array(3), bound);
  bytes.fill(0);

  expect(await (await webKey()).open(sealed, bound)).toEqual(new Uint8Array(3));
  for (const length of [0, 16, 31, 33])
    expect(() => aesGcmCipherKey('k', new Uint8Array(length), nodeCrypto)).toThrow(/must have 32 bytes/);
});

test('S4 · a key that the module makes ready is used only where it does the same as its bytes', async () => {
  const value = new TextEncoder().encode('CANARY');
  const made: unknown[] = [];
  const watched = (createSecretKey?: (bytes: Uint8Array) => object): CipherModule => ({
    randomBytes: (count) => nodeCrypto.randomBytes(count),
    createCipheriv: (algorithm, key, nonce) => {
      made.push(key);
      return nodeCrypto.createCipheriv(algorithm, key, nonce);
    },
    createDecipheriv: (algorithm, key, nonce) => nodeCrypto.createDecipheriv(algorithm, key, nonce),
    ...(createSecretKey === undefined ? {} : { createSecretKey }),
  });
  const ready = nodeCrypto.createSecretKey(BYTES);
  const cases = [
    [watched(() => ready), ready],
    [watched(), BYTES],
    [watched(() => new Uint8Array(32)), BYTES],
    [watched(() => ({ type: 'no key of this module' })), BYTES],
  ] as const;
  for (const [module, used] of cases) {
    const key = aesGcmCipherKey('k', BYTES, module);
    expect(await (await webKey()).open(await key.seal(value, bound), bound)).toEqual(value);
    expect(made.at(-1)).toEqual(used);
  }
});

test('S4 · a secure store whose keys use it opens what was sealed with Web Crypto before', async () => {
  const items = new Map<string, string>();
  const store = {
    getItemAsync: async (name: string) => items.get(name) ?? null,
    setItemAsync: async (name: string, value: string) => void items.set(name, value),
    deleteItemAsync: async (name: string) => void items.delete(name),
  };
  const disk = new StorageSimulator({ clock: new FakeClock(), durability: 'volatile' });
  const before = await sealedStorage(disk.open, { keys: secureStoreKeys(store) })('notes');
  await before.commit({ expect: [], changes: [{ kind: 'put', key: 'a', value: 'CANARY' }] });
  await before.close();

  const keys = secureStoreKeys(store, { toSealingKey: (id, bytes) => aesGcmCipherKey(id, bytes, nodeCrypto) });
  const after = await sealedStorage(disk.open, { keys })('notes');

  expect(await after.read(['a'])).toEqual(['CANARY']);
});
