import { HoldfastError } from '../mutation/holdfast-error.ts';
import type { CommitResult, Durability, Entry, OpenStorage, Storage, StorageBatch } from '../ports/storage.ts';

export interface IndexedDbOptions {
  /**
   * What a commit survives. `strict` waits until the browser has flushed to the disk; `relaxed` is faster and may lose
   * the last commits when the machine loses power.
   * @default 'strict'
   */
  readonly durability?: Exclude<Durability, 'volatile'>;
}

const STORE = 'records';
const CLOSED = 'Not done: the store is closed.';
/** Longest wait for the browser to open the database, in milliseconds: some never answer. */
const OPEN_TIMEOUT_MS = 5_000;

/** Keeps records in IndexedDB, one database a name. */
export function indexedDbStorage(options: IndexedDbOptions = {}): OpenStorage {
  const durability = options.durability ?? 'strict';
  return async (name) => {
    const connection = new Connection(name, durability);
    await connection.open();
    return connection;
  };
}

/**
 * One connection, opened again when the browser has closed it: retrying on a dead handle never helps. A commit is
 * reported when its transaction is complete, not when its requests have succeeded, since only then is it stored.
 */
class Connection implements Storage {
  readonly durability: Durability;
  private readonly name: string;
  private database: IDBDatabase | null = null;
  private opening: Promise<IDBDatabase> | null = null;
  private isClosed = false;

  constructor(name: string, durability: Durability) {
    this.name = name;
    this.durability = durability;
  }

  async open(): Promise<IDBDatabase> {
    if (this.isClosed) throw failed(null, CLOSED);
    if (this.database !== null) return this.database;
    this.opening ??= openDatabase(this.name).finally(() => {
      this.opening = null;
    });
    const database = await this.opening;
    if (this.isClosed) {
      database.close();
      throw failed(null, CLOSED);
    }
    const forget = (): void => {
      if (this.database === database) this.database = null;
    };
    database.onclose = forget;
    database.onversionchange = () => {
      database.close();
      forget();
    };
    this.database = database;
    return database;
  }

  async commit({ expect, changes }: StorageBatch): Promise<CommitResult> {
    return this.within<CommitResult>('readwrite', (store, end) => {
      end.with({ kind: 'committed' });
      // All is asked for at once, the reads first: waiting for them costs as much as the rest. What does not hold undoes it all.
      for (const { key, value } of expect) {
        const request: IDBRequest<unknown> = store.get(key);
        request.onsuccess = () => {
          const actual = textOf(request.result);
          if (actual !== value) end.without({ kind: 'mismatch', key, actual });
        };
      }
      for (const change of changes) {
        if (change.kind === 'put') store.put(change.value, change.key);
        else store.delete(change.key);
      }
    });
  }

  async read(keys: readonly string[]): Promise<readonly (string | null)[]> {
    if (keys.length === 0) return [];
    return this.within<readonly (string | null)[]>('readonly', (store, end) => {
      const values: (string | null)[] = [];
      keys.forEach((key, index) => {
        const request: IDBRequest<unknown> = store.get(key);
        request.onsuccess = () => {
          values[index] = textOf(request.result);
        };
      });
      end.with(values);
    });
  }

  async scan({ prefix, after, limit }: { prefix: string; after?: string; limit: number }): Promise<readonly Entry[]> {
    return this.within<readonly Entry[]>('readonly', (store, end) => {
      const range = rangeOf(prefix, after);
      if (range === 'nothing') {
        end.with([]);
        return;
      }
      const keys = store.getAllKeys(range, limit);
      const values: IDBRequest<unknown[]> = store.getAll(range, limit);
      const entries: Entry[] = [];
      values.onsuccess = () => {
        keys.result.forEach((key, index) =>
          entries.push({ key: String(key), value: textOf(values.result[index]) ?? '' }),
        );
      };
      end.with(entries);
    });
  }

  async estimate(): Promise<{ readonly usedBytes: number | null; readonly quotaBytes: number | null }> {
    try {
      const { usage = null, quota = null } = await navigator.storage.estimate();
      return { usedBytes: usage, quotaBytes: quota };
    } catch {
      // Some browsers refuse the estimate itself; it is information only.
      return { usedBytes: null, quotaBytes: null };
    }
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.database?.close();
    this.database = null;
  }

  /** Runs requests in one transaction and returns what `run` ended with, once the transaction is complete or undone. */
  private async within<Result>(
    mode: IDBTransactionMode,
    run: (store: IDBObjectStore, end: End<Result>) => void,
  ): Promise<Result> {
    for (let isSecondTry = false; ; isSecondTry = true) {
      const database = await this.open();
      let transaction: IDBTransaction;
      try {
        transaction = database.transaction(STORE, mode, {
          durability: this.durability === 'strict' ? 'strict' : 'relaxed',
        });
      } catch (cause) {
        // The connection is dead or closing: nothing was asked of it yet, so a new one may be asked.
        this.database = null;
        if (isSecondTry) throw failed(cause);
        continue;
      }
      return new Promise((resolve, reject) => {
        let result: Result | undefined;
        let isUndone = false;
        // Set by `run`, or by one of its requests before the transaction ends.
        transaction.oncomplete = () => resolve(result as Result);
        transaction.onabort = () => {
          if (isUndone) resolve(result as Result);
          else reject(failed(transaction.error));
        };
        const end: End<Result> = {
          with: (value) => {
            result = value;
          },
          without: (value) => {
            if (isUndone) return;
            isUndone = true;
            result = value;
            transaction.abort();
          },
        };
        try {
          run(transaction.objectStore(STORE), end);
        } catch (cause) {
          transaction.abort();
          reject(failed(cause));
        }
      });
    }
  }
}

/** How a transaction ends: kept, or undone. */
interface End<Result> {
  readonly with: (result: Result) => void;
  /** The first one counts. */
  readonly without: (result: Result) => void;
}

function openDatabase(name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    if (typeof indexedDB === 'undefined') {
      reject(unavailable(null, 'This platform has no IndexedDB.'));
      return;
    }
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      reject(unavailable(null, 'The browser did not open its database in time.'));
    }, OPEN_TIMEOUT_MS);
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(STORE);
    };
    request.onsuccess = () => {
      clearTimeout(timer);
      // A connection that nobody waits for any more would stand in the way of others.
      if (isLate) request.result.close();
      else resolve(request.result);
    };
    request.onerror = () => {
      clearTimeout(timer);
      reject(unavailable(request.error, 'The browser could not open its database.'));
    };
  });
}

/** Keys with the prefix and behind `after`; null for all keys. The browser compares them by code unit, as we do. */
function rangeOf(prefix: string, after: string | undefined): IDBKeyRange | null | 'nothing' {
  const end = endOf(prefix);
  if (after === undefined || after < prefix)
    return end === null ? lowerBound(prefix) : IDBKeyRange.bound(prefix, end, false, true);
  if (end === null) return IDBKeyRange.lowerBound(after, true);
  return after < end ? IDBKeyRange.bound(after, end, true, true) : 'nothing';
}

function lowerBound(prefix: string): IDBKeyRange | null {
  return prefix === '' ? null : IDBKeyRange.lowerBound(prefix);
}

/** The first text behind all that begin with the prefix; null when there is none. */
function endOf(prefix: string): string | null {
  for (let length = prefix.length; length > 0; length -= 1) {
    const unit = prefix.charCodeAt(length - 1);
    if (unit < 0xffff) return prefix.slice(0, length - 1) + String.fromCharCode(unit + 1);
  }
  return null;
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function failed(cause: unknown, message = 'The browser could not store or read.'): HoldfastError {
  if (cause instanceof DOMException && cause.name === 'QuotaExceededError') {
    return new HoldfastError({
      code: 'STORAGE_FULL',
      message: 'Not stored: the space that the browser allows is used up.',
      hint: 'Free space on the device, or send what is pending; then save again.',
      cause,
    });
  }
  return new HoldfastError({
    code: 'STORAGE_FAILED',
    message,
    hint: 'Nothing was stored. Try again; if it lasts, reload.',
    cause: cause ?? undefined,
  });
}

function unavailable(cause: unknown, message: string): HoldfastError {
  return new HoldfastError({
    code: 'STORAGE_UNAVAILABLE',
    message,
    hint: 'Nothing can be saved on this device now. Reload; if it lasts, check that the browser may store data for this site.',
    cause: cause ?? undefined,
  });
}
