import { HoldfastError, messageOf } from '../mutation/holdfast-error.ts';
import type { Clock } from '../ports/clock.ts';
import type { CommitResult, Durability, Entry, OpenStorage, Storage, StorageBatch } from '../ports/storage.ts';
import { systemClock } from '../ports/system-clock.ts';

/** What SQLite can hold in a column, as far as records need it. */
export type SqliteValue = string | number | null;

/**
 * One connection to one SQLite database, whichever engine it is: `nodeSqliteDriver`, `betterSqlite3Driver`,
 * `expoSqliteDriver`, `opSqliteDriver` and `sqliteWasmDriver` make one of what an app has opened. Both kinds of answer will do,
 * at once or by promise. What goes wrong throws or rejects with the engine's own error.
 */
export interface SqliteDriver {
  /** Runs one statement and gives its rows, each with its columns by name; parameters are bound as `?1`, `?2`, …. */
  query(sql: string, parameters: readonly SqliteValue[]): Rows | Promise<Rows>;
  close(): void | Promise<void>;
}

type Rows = readonly Readonly<Record<string, unknown>>[];

export interface SqliteOptions {
  /** Opens the database of this name, making it if there is none; the connection is used by nobody else. */
  readonly open: (name: string) => SqliteDriver | Promise<SqliteDriver>;
  /**
   * What a commit survives. `strict` flushes the log at each commit (`synchronous = EXTRA`), `relaxed` leaves that to the
   * system (`NORMAL`). What the engine really granted is what `durability` says.
   * @default 'strict'
   */
  readonly durability?: Exclude<Durability, 'volatile'>;
  /** @default the platform's */
  readonly clock?: Clock;
}

/**
 * How long SQLite itself waits for another connection to let go of the database, in milliseconds. Short: an engine that
 * answers at once waits with its whole thread, and the other connection may live there too.
 */
const BUSY_TIMEOUT_MS = 100;
/** So often a busy database is asked again, and after so long each time, in milliseconds. */
const BUSY_TRIES_MAX = 50;
const BUSY_AGAIN_MS = 5;
/** Parameters of one statement: SQLite's oldest limit. */
const PARAMETER_COUNT_MAX = 900;
const CLOSED = 'Not done: the store is closed.';

/** Keeps records in SQLite, one database a name. */
export function sqliteStorage({ open, durability = 'strict', clock = systemClock }: SqliteOptions): OpenStorage {
  return async (name) => {
    const driver = await step(async () => open(name));
    try {
      // Each of its statements may be made again.
      const granted = await step(() => whenFree(clock, () => prepare(driver, durability)));
      return new SqliteStorage(driver, granted, clock);
    } catch (error) {
      await driver.close();
      throw error;
    }
  };
}

/**
 * Asks for what is wanted, and says what was granted. Until the log is there, and for good where the engine has none, a commit is
 * the removal of a journal: undone by a loss of power it would take the commit back, and with it the database's word that there is a
 * log, so all of it. Only `extra` flushes the folder, too; with a log it is the same as `full`.
 */
async function prepare(driver: SqliteDriver, wanted: Exclude<Durability, 'volatile'>): Promise<Durability> {
  await driver.query(`pragma busy_timeout = ${BUSY_TIMEOUT_MS}`, []);
  await driver.query('pragma synchronous = extra', []);
  const [{ journal_mode: journal = null } = {}] = await driver.query('pragma journal_mode = wal', []);
  await driver.query(
    'create table if not exists holdfast_records (key text primary key, value text not null) without rowid',
    [],
  );
  if (wanted === 'relaxed') await driver.query('pragma synchronous = normal', []);
  const [granted] = await driver.query('pragma synchronous', []);
  if (journal === 'memory' || journal === 'off') return 'volatile';
  const needed = journal === 'wal' ? SYNCHRONOUS_FULL : SYNCHRONOUS_EXTRA;
  return Number(granted?.['synchronous'] ?? 0) >= needed ? 'strict' : 'relaxed';
}

const SYNCHRONOUS_FULL = 2;
const SYNCHRONOUS_EXTRA = 3;

class SqliteStorage implements Storage {
  readonly durability: Durability;
  private readonly driver: SqliteDriver;
  private readonly clock: Clock;
  private isClosed = false;
  /** Whatever is called, statements of two calls never mingle on the one connection. */
  private last: Promise<unknown> = Promise.resolve();

  constructor(driver: SqliteDriver, durability: Durability, clock: Clock) {
    this.driver = driver;
    this.clock = clock;
    this.durability = durability;
  }

  commit({ expect, changes }: StorageBatch): Promise<CommitResult> {
    return this.inTurn(async () => {
      // Immediate: the expectations are read under the lock that the changes are written under.
      await whenFree(this.clock, async () => this.driver.query('begin immediate', []));
      try {
        const result = await this.write(expect, changes);
        await this.driver.query(result.kind === 'committed' ? 'commit' : 'rollback', []);
        return result;
      } catch (error) {
        // The engine may have rolled back by itself, and then there is nothing to roll back.
        await step(async () => this.driver.query('rollback', [])).catch(() => {});
        throw error;
      }
    });
  }

  read(keys: readonly string[]): Promise<readonly (string | null)[]> {
    return this.inTurn(() => whenFree(this.clock, () => this.inOneView(keys)));
  }

  scan({ prefix, after, limit }: Parameters<Storage['scan']>[0]): Promise<readonly Entry[]> {
    return this.inTurn(async () => {
      // One bound, so that the index leads straight to it: with an `or` in between each page would begin at the first.
      const isInside = after !== undefined && after >= prefix;
      const rows = await whenFree(this.clock, async () =>
        this.driver.query(
          `select key, value from holdfast_records
           where key ${isInside ? '>' : '>='} ?1 and key < ?2
           order by key limit ?3`,
          [sortable(isInside ? after : prefix), `${sortable(prefix)}${LAST}`, limit],
        ),
      );
      return rows.map(({ key, value }) => ({ key: original(String(key)), value: String(value) }));
    });
  }

  estimate(): ReturnType<Storage['estimate']> {
    return this.inTurn(async () => {
      const [pages] = await this.driver.query('pragma page_count', []);
      const [page] = await this.driver.query('pragma page_size', []);
      return { usedBytes: Number(pages?.['page_count']) * Number(page?.['page_size']), quotaBytes: null };
    });
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    await this.last;
    await this.driver.close();
  }

  private async write(expect: StorageBatch['expect'], changes: StorageBatch['changes']): Promise<CommitResult> {
    const actual = await this.valuesOf(expect.map(({ key }) => key));
    const wrong = expect.findIndex(({ value }, index) => actual[index] !== value);
    const expected = expect[wrong];
    if (expected !== undefined) return { kind: 'mismatch', key: expected.key, actual: actual[wrong] ?? null };
    for (const change of changes) {
      const key = sortable(change.key);
      const done =
        change.kind === 'put' ? this.driver.query(PUT, [key, change.value]) : this.driver.query(DELETE, [key]);
      // An engine that answers at once is not waited for: a burst is a thousand of these.
      if (!Array.isArray(done)) await done;
    }
    return { kind: 'committed' };
  }

  /** More than fit into a statement are one view only within a transaction. */
  private async inOneView(keys: readonly string[]): Promise<readonly (string | null)[]> {
    if (keys.length <= PARAMETER_COUNT_MAX) return this.valuesOf(keys);
    await this.driver.query('begin', []);
    try {
      return await this.valuesOf(keys);
    } finally {
      await step(async () => this.driver.query('rollback', [])).catch(() => {});
    }
  }

  private async valuesOf(keys: readonly string[]): Promise<readonly (string | null)[]> {
    const found = new Map<string, string>();
    for (let first = 0; first < keys.length; first += PARAMETER_COUNT_MAX) {
      const page = keys.slice(first, first + PARAMETER_COUNT_MAX).map(sortable);
      const marks = page.map((_, index) => `?${index + 1}`).join();
      const rows = await this.driver.query(`select key, value from holdfast_records where key in (${marks})`, page);
      for (const { key, value } of rows) found.set(original(String(key)), String(value));
    }
    return keys.map((key) => found.get(key) ?? null);
  }

  private inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.last.then(() => {
      if (this.isClosed) throw failed(null, CLOSED);
      return step(work);
    });
    this.last = done.catch(() => {});
    return done;
  }
}

/** Sorts behind every character that a key is written with. */
const LAST = '\u{10ffff}';
const PUT = `insert into holdfast_records (key, value) values (?1, ?2)
             on conflict (key) do update set value = excluded.value`;
const DELETE = 'delete from holdfast_records where key = ?1';

/** Waits its turn among the connections to one database, of other processes too. */
async function whenFree<Result>(clock: Clock, work: () => Promise<Result>): Promise<Result> {
  for (let tryNumber = 1; ; tryNumber += 1) {
    try {
      return await work();
    } catch (error) {
      if (!isBusy(error) || tryNumber === BUSY_TRIES_MAX) throw error;
      await new Promise<void>((resolve) => clock.schedule(BUSY_AGAIN_MS, resolve));
    }
  }
}

/** Errors of the engine become ours. */
async function step<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof HoldfastError) throw error;
    throw isFull(error)
      ? new HoldfastError({
          code: 'STORAGE_FULL',
          message: 'Not stored: there is no room left on this device.',
          hint: 'Free some space on the device, then try again. What was stored before is kept.',
          cause: error,
        })
      : failed(error, `Not done: SQLite failed (${messageOf(error)}).`);
  }
}

const isFull = (error: unknown): boolean => isResult(error, 13, 'SQLITE_FULL', 'database or disk is full');
const isBusy = (error: unknown): boolean => isResult(error, 5, 'SQLITE_BUSY', 'database is locked');

/**
 * By SQLite's number (https://sqlite.org/rescode.html), whose lowest byte is the primary code, by its name, or by SQLite's words for
 * it: engines differ in what they tell.
 */
function isResult(error: unknown, primary: number, name: string, words: string): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const {
    errcode,
    code,
    resultCode,
    message,
  }: Partial<Record<'errcode' | 'code' | 'resultCode' | 'message', unknown>> = error;
  return (
    [errcode, resultCode].some((value) => typeof value === 'number' && (value & 0xff) === primary) ||
    (typeof code === 'string' && code.startsWith(name)) ||
    (typeof message === 'string' && message.includes(words))
  );
}

function failed(cause: unknown, message: string): HoldfastError {
  return new HoldfastError({
    code: 'STORAGE_FAILED',
    message,
    hint: 'Try again, or open the queue again; what was stored before is kept.',
    cause,
  });
}

/**
 * SQLite compares texts by code point, the port by UTF-16 code unit; they differ from U+D800 on. There each unit is
 * written as two characters that sort alike in both: keys of Holdfast itself are ASCII and stay as they are.
 */
function sortable(key: string): string {
  return key.replace(/[\ud800-\uffff]/g, (unit) =>
    unit < '\ue000' ? `\ue000${String.fromCharCode(unit.charCodeAt(0) - 0xd800)}` : `\ue001${unit}`,
  );
}

function original(key: string): string {
  return key.replace(/\ue000([^])|\ue001([^])/g, (_, surrogate?: string, other?: string) =>
    surrogate === undefined ? (other ?? '') : String.fromCharCode(surrogate.charCodeAt(0) + 0xd800),
  );
}
