import { HoldfastError } from '../mutation/holdfast-error.ts';
import {
  type CommitResult,
  type Durability,
  type Entry,
  mayTakeReserve,
  type OpenStorage,
  type ScanQuery,
  type Storage,
  type StorageBatch,
} from '../ports/storage.ts';
import { beginFreshLog, isChromium } from './indexeddb-log.ts';
import { KeptRoom } from './indexeddb-room.ts';
import { areFew, arePuts, mayStandAlone, RECORDS, SEGMENTS, Shelf } from './indexeddb-shelf.ts';

export interface IndexedDbOptions {
  /**
   * What a commit survives. `strict` waits until the browser has flushed to the disk; `relaxed` is faster and may lose
   * the last commits when the machine loses power.
   * @default 'strict'
   */
  readonly durability?: Exclude<Durability, 'volatile'>;
}

/** 2: records that were stored together share segments. */
const VERSION = 2;
const ALL = [RECORDS, SEGMENTS];
const CLOSED = 'Not done: the store is closed.';
/** Longest wait for the browser to open the database, in milliseconds: some never answer. */
const OPEN_TIMEOUT_MS = 5_000;

/** Keeps records in IndexedDB, one database a name. */
export function indexedDbStorage(options: IndexedDbOptions = {}): OpenStorage {
  const durability = options.durability ?? 'strict';
  const open: OpenStorage = async (name) => {
    const connection = new Connection(name, durability);
    await connection.open();
    return connection;
  };
  made.add(open);
  return open;
}

const made = new WeakSet<OpenStorage>();

/** Whether this is the store of the browser, whoever has chosen it. */
export function isIndexedDb(open: OpenStorage): boolean {
  return made.has(open);
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
  /** Null where the engine is another. */
  private readonly room: KeptRoom | null;
  /** Behind the first commit: opening does not wait for it. */
  private lookingForRoom: Promise<boolean> | undefined;

  constructor(name: string, durability: Durability) {
    this.name = name;
    this.durability = durability;
    this.room = isChromium() ? new KeptRoom(name) : null;
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

  async commit(batch: StorageBatch): Promise<CommitResult> {
    const { room } = this;
    if (room === null) return this.write(batch);
    const mayTake = mayTakeReserve(batch);
    if (!mayTake && room.isMissing && (await room.keep())) throw full();
    try {
      const result = await this.write(batch);
      this.lookingForRoom ??= room.keep();
      return result;
    } catch (error) {
      if (!mayTake || room.isMissing || !(error instanceof HoldfastError) || error.code !== 'STORAGE_FULL') throw error;
      await room.giveUp();
      return this.write(batch);
    }
  }

  private async write(batch: StorageBatch): Promise<CommitResult> {
    const isFew = areFew(batch);
    // A transaction of one store takes less time than one of two.
    const stores = isFew ? [RECORDS] : ALL;
    const isAlone = arePuts(batch) && mayStandAlone(batch);
    const alone = isAlone ? await this.commitIn(stores, batch, { isAtOnce: true, isAlone }) : null;
    return alone ?? (await this.commitIn(ALL, batch, { isAtOnce: isFew, isAlone: false })) ?? { kind: 'committed' };
  }

  /**
   * `isAtOnce`: puts before it knows whether what is expected holds. `isAlone`: looks for that outside the segments only. Null, and
   * nothing done, where more has to be looked at first.
   */
  private commitIn(
    stores: readonly string[],
    { expect, changes }: StorageBatch,
    { isAtOnce, isAlone }: { readonly isAtOnce: boolean; readonly isAlone: boolean },
  ): Promise<CommitResult | null> {
    return this.within<CommitResult | null>(stores, 'readwrite', async (shelf) => {
      const keys = expect.map(({ key }) => key);
      const reading = isAlone ? shelf.readAlone(keys) : shelf.read(keys);
      // A connection that dies between the two fails both, and only one of them is waited for.
      reading.catch(() => {});
      // Puts are asked for at once with the reads, which come first: waiting for them costs as much as the rest. What does not hold
      // undoes it all.
      const putting = isAtOnce ? shelf.putAtOnce(changes) : null;
      putting?.catch(() => {});
      const planning = isAtOnce ? null : shelf.plan(changes);
      planning?.catch(() => {});
      const actual = await reading;
      const wrong = expect.findIndex(({ value }, index) => actual[index] !== value);
      const expected = expect[wrong];
      if (expected !== undefined) {
        const found = actual[wrong] ?? null;
        const mismatch = { kind: 'mismatch', key: expected.key, actual: found } as const;
        if (isAtOnce) throw new Undone(found === null && isAlone ? null : mismatch);
        return mismatch;
      }
      if (putting !== null && !(await putting)) throw new Undone(null);
      if (planning !== null) await shelf.write(await planning);
      return { kind: 'committed' };
    });
  }

  async read(keys: readonly string[]): Promise<readonly (string | null)[]> {
    return keys.length === 0 ? [] : this.within(ALL, 'readonly', (shelf) => shelf.read(keys));
  }

  async scan(query: ScanQuery): Promise<readonly Entry[]> {
    return this.within(ALL, 'readonly', (shelf) => shelf.scan(query));
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

  /** Does something in one transaction and returns what it resolved to, once the transaction is complete. */
  private async within<Result>(
    stores: readonly string[],
    mode: IDBTransactionMode,
    run: (shelf: Shelf) => Promise<Result>,
  ): Promise<Result> {
    for (let isSecondTry = false; ; isSecondTry = true) {
      const database = await this.open();
      let transaction: IDBTransaction;
      try {
        transaction = database.transaction([...stores], mode, {
          durability: this.durability === 'strict' ? 'strict' : 'relaxed',
        });
      } catch (cause) {
        // The connection is dead or closing: nothing was asked of it yet, so a new one may be asked.
        this.database = null;
        if (isSecondTry) throw failed(cause);
        continue;
      }
      return new Promise((resolve, reject) => {
        let finish = (): void => reject(failed(null));
        let cause: unknown = null;
        transaction.oncomplete = () => finish();
        transaction.onabort = () => {
          if (cause instanceof Undone) resolve(cause.result as Result);
          else reject(failed(transaction.error ?? cause));
        };
        run(new Shelf(transaction)).then(
          (result) => {
            finish = () => resolve(result);
            // All has been asked for: it need not find out by itself.
            if (mode === 'readwrite') transaction.commit();
          },
          (error: unknown) => {
            cause = error;
            try {
              transaction.abort();
            } catch {
              // It has been aborted by what went wrong.
            }
          },
        );
      });
    }
  }
}

/** Ends a transaction with a result, and without what was written in it. */
class Undone<Result> extends Error {
  readonly result: Result;

  constructor(result: Result) {
    super('Undone.');
    this.result = result;
  }
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
    const request = indexedDB.open(name, VERSION);
    request.onupgradeneeded = () => {
      for (const store of [RECORDS, SEGMENTS]) {
        if (!request.result.objectStoreNames.contains(store)) request.result.createObjectStore(store);
      }
    };
    request.onsuccess = () => {
      clearTimeout(timer);
      // A connection that nobody waits for any more would stand in the way of others.
      if (isLate) {
        request.result.close();
        return;
      }
      beginFreshLog(name);
      resolve(request.result);
    };
    request.onerror = () => {
      clearTimeout(timer);
      reject(unavailable(request.error, 'The browser could not open its database.'));
    };
  });
}

function failed(cause: unknown, message = 'The browser could not store or read.'): HoldfastError {
  if (cause instanceof DOMException && cause.name === 'QuotaExceededError') return full(cause);
  return new HoldfastError({
    code: 'STORAGE_FAILED',
    message,
    hint: 'Nothing was stored. Try again; if it lasts, reload.',
    cause: cause ?? undefined,
  });
}

function full(cause?: unknown): HoldfastError {
  return new HoldfastError({
    code: 'STORAGE_FULL',
    message: 'Not stored: the space that the browser allows is used up.',
    hint: 'Free space on the device, or send what is pending; then save again.',
    cause,
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
