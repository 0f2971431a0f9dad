import type { Entry, OpenStorage, Storage } from '../ports/storage.ts';

/** Opens stores in memory: for tests, and for runs where nothing shall outlive the app. Stores of one opener share names. */
export function memoryStorage(): OpenStorage {
  const stores = new Map<string, Map<string, string>>();
  return async (name) => {
    let values = stores.get(name);
    if (values === undefined) {
      values = new Map();
      stores.set(name, values);
    }
    return storageOver(values);
  };
}

function storageOver(values: Map<string, string>): Storage {
  return {
    durability: 'volatile',
    async commit({ expect, changes }) {
      for (const { key, value } of expect) {
        const actual = values.get(key) ?? null;
        if (actual !== value) return { kind: 'mismatch', key, actual };
      }
      for (const change of changes) {
        if (change.kind === 'put') values.set(change.key, change.value);
        else values.delete(change.key);
      }
      return { kind: 'committed' };
    },
    async read(keys) {
      return keys.map((key) => values.get(key) ?? null);
    },
    async scan({ prefix, after, limit }) {
      const entries: Entry[] = [];
      for (const key of [...values.keys()].filter((each) => each.startsWith(prefix)).sort()) {
        if (after !== undefined && key <= after) continue;
        if (entries.length === limit) break;
        entries.push({ key, value: values.get(key) ?? '' });
      }
      return entries;
    },
    async estimate() {
      let usedBytes = 0;
      for (const [key, value] of values) usedBytes += 2 * (key.length + value.length);
      return { usedBytes, quotaBytes: null };
    },
    async close() {},
  };
}
