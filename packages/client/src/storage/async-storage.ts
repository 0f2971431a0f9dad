import type { OpenStorage } from '../ports/storage.ts';
import { journaledStorage } from './journal/journaled-storage.ts';
import type { KeyValueStore } from './journal/key-value-store.ts';

/** What is needed of `@react-native-async-storage/async-storage`: version 3, or the older ones with `multiGet`. */
export interface AsyncStorageLike {
  getItem(key: string): Promise<string | null>;
  setItem(key: string, value: string): Promise<void>;
  removeItem(key: string): Promise<void>;
  getAllKeys(): Promise<readonly string[]>;
  getMany?(keys: string[]): Promise<Readonly<Record<string, string | null>>>;
  multiGet?(keys: readonly string[]): Promise<readonly (readonly [string, string | null])[]>;
}

/**
 * Keeps records in AsyncStorage, for apps that have nothing better: SQLite is faster, and says what it survives. `relaxed`: no
 * version of AsyncStorage says that it flushes. One JavaScript context at a time: on the web, for one tab.
 */
export function asyncStorage(store: AsyncStorageLike): OpenStorage {
  const keyValue: KeyValueStore = {
    getMany: async (keys) => {
      if (keys.length === 1) return [await store.getItem(keys[0] ?? '')];
      if (store.getMany === undefined && store.multiGet === undefined)
        return Promise.all(keys.map((key) => store.getItem(key)));
      const found =
        store.getMany === undefined
          ? new Map(await store.multiGet?.([...keys]))
          : new Map(Object.entries(await store.getMany([...keys])));
      return keys.map((key) => found.get(key) ?? null);
    },
    // One by one: what several at once leave behind when one of them fails differs from platform to platform.
    setMany: async (entries) => {
      for (const [key, value] of entries) await store.setItem(key, value);
    },
    removeMany: async (keys) => {
      for (const key of keys) await store.removeItem(key);
    },
    keys: () => store.getAllKeys(),
  };
  return journaledStorage({ durability: 'relaxed', open: () => keyValue });
}
