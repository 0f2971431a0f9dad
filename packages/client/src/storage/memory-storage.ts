import { HoldfastError } from '../mutation/holdfast-error.ts';
import type { Entry, OpenStorage, Storage } from '../ports/storage.ts';
import { SortedKeys } from './sorted-keys.ts';

/** Opens stores in memory: for tests, and for runs where nothing shall outlive the app. Stores of one opener share names. */
export function memoryStorage(): OpenStorage {
  const stores = new Map<string, Records>();
  return async (name) => {
    let records = stores.get(name);
    if (records === undefined) {
      records = { values: new Map(), keys: new SortedKeys() };
      stores.set(name, records);
    }
    return new MemoryStorage(records);
  };
}

interface Records {
  readonly values: Map<string, string>;
  readonly keys: SortedKeys;
}

/** One connection; the records belong to the name and stay when it is closed. */
class MemoryStorage implements Storage {
  readonly durability = 'volatile';
  private readonly records: Records;
  private isClosed = false;

  constructor(records: Records) {
    this.records = records;
  }

  async commit({ expect, changes }: Parameters<Storage['commit']>[0]): ReturnType<Storage['commit']> {
    const { values, keys } = this.open();
    for (const { key, value } of expect) {
      const actual = values.get(key) ?? null;
      if (actual !== value) return { kind: 'mismatch', key, actual };
    }
    for (const change of changes) {
      if (change.kind === 'put') {
        if (!values.has(change.key)) keys.add(change.key);
        values.set(change.key, change.value);
      } else if (values.delete(change.key)) {
        keys.remove(change.key);
      }
    }
    return { kind: 'committed' };
  }

  async read(keys: readonly string[]): Promise<readonly (string | null)[]> {
    const { values } = this.open();
    return keys.map((key) => values.get(key) ?? null);
  }

  async scan({ prefix, after, limit }: Parameters<Storage['scan']>[0]): Promise<readonly Entry[]> {
    const { values, keys } = this.open();
    return keys.find(prefix, after, limit).map((key) => ({ key, value: values.get(key) ?? '' }));
  }

  async estimate(): ReturnType<Storage['estimate']> {
    let usedBytes = 0;
    for (const [key, value] of this.open().values) usedBytes += 2 * (key.length + value.length);
    return { usedBytes, quotaBytes: null };
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }

  private open(): Records {
    if (!this.isClosed) return this.records;
    throw new HoldfastError({
      code: 'STORAGE_FAILED',
      message: 'Not done: the store is closed.',
      hint: 'Open the store again, or use the queue of the current login.',
    });
  }
}
