import { createMMKV } from 'react-native-mmkv/lib/createMMKV/createMMKV.web';
import { afterEach, describe, test } from 'vitest';
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
