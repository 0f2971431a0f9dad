import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, describe, expect, test } from 'vitest';
import type { Clock } from '../ports/clock.ts';
import { systemClock } from '../ports/system-clock.ts';
import {
  type BetterSqlite3Database,
  betterSqlite3Driver,
  type ExpoSqliteDatabase,
  expoSqliteDriver,
  nodeSqliteDriver,
  type OpSqliteDatabase,
  opSqliteDriver,
} from './sqlite-drivers.ts';
import { type SqliteDriver, sqliteStorage } from './sqlite-storage.ts';
import { storageContract } from './storage-contract.ts';

/** Null where it could not be installed: it is a package of compiled code, and its absence shall not break a checkout. */
const BetterSqlite3 = ((): (new (path: string) => BetterSqlite3Database) | null => {
  try {
    return createRequire(import.meta.url)('better-sqlite3') as new (
      path: string,
    ) => BetterSqlite3Database;
  } catch {
    return null;
  }
})();
const folder = mkdtempSync(join(tmpdir(), 'holdfast-drivers-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What `expo-sqlite` offers, over another engine, with its own words for what goes wrong. */
function modelOfExpo(path: string): ExpoSqliteDatabase {
  const database = new DatabaseSync(path);
  return {
    getAllAsync: async (sql, parameters) => {
      try {
        return database.prepare(sql).all(...parameters);
      } catch (error) {
        const { errcode, message } = error as { errcode: number; message: string };
        throw new Error(
          `Call to function 'NativeStatement.finalizeAsync' has been rejected.\n→ Caused by: Error code ${errcode}: ${message}`,
        );
      }
    },
    closeAsync: async () => database.close(),
  };
}

/** What `op-sqlite` offers, over another engine, with its own words for what goes wrong. */
function modelOfOp(path: string): OpSqliteDatabase {
  const database = new DatabaseSync(path);
  return {
    execute: async (sql, parameters = []) => {
      try {
        return { rows: database.prepare(sql).all(...parameters) };
      } catch (error) {
        throw new Error(`[op-sqlite] statement execution error: ${(error as Error).message}`);
      }
    },
    close: () => database.close(),
  };
}

const ENGINES: readonly { readonly engine: string; readonly driver: (path: string) => SqliteDriver }[] = [
  { engine: 'node:sqlite', driver: (path) => nodeSqliteDriver(new DatabaseSync(path)) },
  ...(BetterSqlite3 === null
    ? []
    : [{ engine: 'better-sqlite3', driver: (path: string) => betterSqlite3Driver(new BetterSqlite3(path)) }]),
  { engine: 'a model of expo-sqlite', driver: (path) => expoSqliteDriver(modelOfExpo(path)) },
  { engine: 'a model of op-sqlite', driver: (path) => opSqliteDriver(modelOfOp(path)) },
];

describe.each(ENGINES)('$engine', ({ engine, driver }) => {
  const open = (name: string): SqliteDriver => driver(join(folder, `${encodeURIComponent(`${engine} ${name}`)}.db`));
  const cases = storageContract({
    open: sqliteStorage({ open }),
    capabilities: { durability: 'strict', keepsAfterClose: true, hasSeveralWriters: true },
  });
  for (const { name, skip, run } of cases) test.skipIf(skip !== null)(name, run);

  test('S2 · an engine that is full says so in its own words, and it is understood', async () => {
    const storage = await sqliteStorage({
      open: async (name) => {
        const opened = open(name);
        await opened.query('pragma max_page_count = 10', []);
        return opened;
      },
    })('full');

    const commit = storage.commit({
      expect: [],
      changes: [{ kind: 'put', key: 'a', value: 'x'.repeat(1_000_000) }],
    });

    await expect(commit).rejects.toMatchObject({ code: 'STORAGE_FULL' });
    await storage.close();
  });

  test('S2 · a database that another connection holds is waited for', async () => {
    // given: another connection in the middle of a transaction, which it ends while it is being waited for
    const other = open('held');
    let waitedCount = 0;
    const clock: Clock = {
      ...systemClock,
      schedule: (delayMs, callback) => {
        waitedCount += 1;
        if (waitedCount === 1) void other.query('commit', []);
        return systemClock.schedule(delayMs, callback);
      },
    };
    const storage = await sqliteStorage({ open, clock })('held');
    await other.query('begin immediate', []);

    const commit = storage.commit({ expect: [], changes: [{ kind: 'put', key: 'a', value: '1' }] });

    await expect(commit).resolves.toEqual({ kind: 'committed' });
    expect(waitedCount).toBe(1);
    await storage.close();
    await other.close();
  });
});
