import type { OpenStorage } from '../ports/storage.ts';
import { isLocalStorageDenied } from './browser-pointer.ts';
import { journaledStorage } from './journal/journaled-storage.ts';

/** What is needed of an instance of `react-native-mmkv`: version 4, or the older ones with `delete`. */
export interface MmkvLike {
  getString(key: string): string | undefined;
  set(key: string, value: string): void;
  remove?(key: string): unknown;
  delete?(key: string): unknown;
  getAllKeys(): readonly string[];
}

/**
 * Keeps records in MMKV. A commit survives the end of the app. A loss of power it survives only once the system has written the
 * file's pages; a file whose pages were written in part fails MMKV's checksum, and then **all of it** is discarded, or with
 * `recovery: 'recover-on-error'` a part: so `relaxed`, and less than that for what was stored long ago. SQLite has no such limit.
 * In a browser it stands on `localStorage`; where the page may not use that, it keeps all in memory, and this says `volatile`.
 * MMKV's own encryption does not tell changed bytes: `createQueue({ encryption })` does. One JavaScript context at a time.
 */
export function mmkvStorage(instance: MmkvLike): OpenStorage {
  const remove = (key: string): void => void (instance.remove?.(key) ?? instance.delete?.(key));
  return journaledStorage({
    durability: isLocalStorageDenied() ? 'volatile' : 'relaxed',
    open: () => ({
      getMany: async (keys) => keys.map((key) => instance.getString(key) ?? null),
      setMany: async (entries) => {
        for (const [key, value] of entries) instance.set(key, value);
      },
      removeMany: async (keys) => {
        for (const key of keys) remove(key);
      },
      keys: async () => instance.getAllKeys(),
    }),
  });
}
