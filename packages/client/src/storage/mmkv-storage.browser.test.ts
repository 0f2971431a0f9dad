import { createMMKV } from 'react-native-mmkv/lib/createMMKV/createMMKV.web';
import { afterEach, describe, expect, test } from 'vitest';
import { mmkvStorage } from './mmkv-storage.ts';
import { storageContract } from './storage-contract.ts';

// It takes the global object for what bundlers of React Native call it.
Object.assign(globalThis, { global: globalThis });
const run = Math.random().toString(36).slice(2);

// All tests of a browser share one localStorage, which is small, and a case leaves its records behind.
afterEach(() => localStorage.clear());

describe('MMKV 4 in a browser, where it stands on localStorage', () => {
  const cases = storageContract({
    open: mmkvStorage(createMMKV({ id: `mmkv-${run}` })),
    capabilities: { durability: 'relaxed', keepsAfterClose: true, hasSeveralWriters: true },
    namePrefix: run,
  });
  for (const { name, skip, run: check } of cases) test.skipIf(skip !== null)(name, check);
});

test('S2, S11 · where the page may not use localStorage, MMKV keeps all in memory, and it is said that nothing outlives the page', async () => {
  const own = Object.getOwnPropertyDescriptor(window, 'localStorage') as PropertyDescriptor;
  const storage = async (): Promise<string> => (await mmkvStorage(createMMKV({ id: `denied-${run}` }))('q')).durability;
  expect(await storage()).toBe('relaxed');
  Object.defineProperty(window, 'localStorage', {
    configurable: true,
    get: () => {
      throw new DOMException('Access is denied for this document.', 'SecurityError');
    },
  });
  try {
    expect(await storage()).toBe('volatile');
  } finally {
    Object.defineProperty(window, 'localStorage', own);
  }
});
