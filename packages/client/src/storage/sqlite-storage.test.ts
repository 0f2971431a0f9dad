import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, describe, expect, test } from 'vitest';
import type { Clock } from '../ports/clock.ts';
import { systemClock } from '../ports/system-clock.ts';
import { nodeSqliteDriver } from './sqlite-drivers.ts';
import { type SqliteDriver, sqliteStorage } from './sqlite-storage.ts';
import { storageContract } from './storage-contract.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-sqlite-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const nodeSqlite = (path: string): SqliteDriver => nodeSqliteDriver(new DatabaseSync(path));
const open = (name: string): SqliteDriver => nodeSqlite(join(folder, `${encodeURIComponent(name)}.db`));

describe.each(['strict', 'relaxed'] as const)('node:sqlite, %s', (durability) => {
  const cases = storageContract({
    open: sqliteStorage({ open, durability }),
    capabilities: { durability, keepsAfterClose: true, hasSeveralWriters: true },
    namePrefix: durability,
  });
  for (const { name, skip, run } of cases) test.skipIf(skip !== null)(name, run);
});

test('S2 · a database in memory does not call itself durable', async () => {
  const storage = await sqliteStorage({ open: () => nodeSqlite(':memory:') })('anything');

  expect(storage.durability).toBe('volatile');
});

test('S2, S12 · opened while another connection makes the database, it waits for its turn', async () => {
  const other = new DatabaseSync(join(folder, 'busy.db'));
  other.exec('begin immediate; create table theirs (a)');
  let waitCount = 0;
  const clock: Clock = {
    ...systemClock,
    schedule: (_delayMs, wake) => {
      waitCount += 1;
      if (other.isTransaction) other.exec('commit');
      queueMicrotask(wake);
      return () => {};
    },
  };

  const storage = await sqliteStorage({ open, clock })('busy');

  expect(waitCount).toBeGreaterThan(0);
  expect(await storage.commit({ expect: [], changes: [{ kind: 'put', key: 'a', value: '1' }] })).toEqual({
    kind: 'committed',
  });
  expect(storage.durability).toBe('strict');
  await storage.close();
  other.close();
});

test('S2 · what is read while another connection keeps the database busy is read again, and nobody hears of it', async () => {
  let busyCount = 0;
  const clock: Clock = {
    ...systemClock,
    schedule: (_delayMs, wake) => {
      queueMicrotask(wake);
      return () => {};
    },
  };
  const storage = await sqliteStorage({
    clock,
    open: (name) => {
      const driver = open(name);
      return {
        query: (sql, parameters) => {
          if (busyCount > 0 && sql.startsWith('select')) {
            busyCount -= 1;
            // As it is while the log of one that was killed is being recovered.
            throw Object.assign(new Error('database is locked'), { errcode: 261 });
          }
          return driver.query(sql, parameters);
        },
        close: () => driver.close(),
      };
    },
  })('busy reads');
  await storage.commit({ expect: [], changes: [{ kind: 'put', key: 'a', value: '1' }] });

  busyCount = 3;
  expect(await storage.read(['a'])).toEqual(['1']);
  busyCount = 3;
  expect(await storage.scan({ prefix: '', limit: 1 })).toEqual([{ key: 'a', value: '1' }]);
  expect(busyCount).toBe(0);
  await storage.close();
});

test('S3 · a page of a scan is looked up in the index, wherever it begins', async () => {
  // given: a store, and what is asked of its engine
  const asked: { readonly sql: string; readonly parameters: readonly (string | number | null)[] }[] = [];
  let driver: SqliteDriver | null = null;
  const storage = await sqliteStorage({
    open: (name) => {
      const opened = open(name);
      driver = opened;
      return {
        query: (sql, parameters) => {
          asked.push({ sql, parameters });
          return opened.query(sql, parameters);
        },
        close: () => opened.close(),
      };
    },
  })('plans');

  for (const query of [
    { prefix: 'p/', limit: 10 },
    { prefix: 'p/', after: 'p/5', limit: 10 },
  ]) {
    asked.length = 0;
    await storage.scan(query);
    const [{ sql, parameters } = { sql: '', parameters: [] }] = asked;
    const plan = await (driver as SqliteDriver | null)?.query(`explain query plan ${sql}`, parameters);

    expect(String(plan?.[0]?.['detail'])).toMatch(/SEARCH .* USING PRIMARY KEY \(key>\? AND key<\?\)/);
    expect(sql).not.toMatch(/\bor\b/);
  }
  await storage.close();
});

test('S2 · a full disk is told as such, nothing of the batch is stored, and the store goes on', async () => {
  const storage = await sqliteStorage({
    open: (name) => {
      const driver = open(name);
      void driver.query('pragma max_page_count = 40', []);
      return driver;
    },
  })('full');
  await storage.commit({ expect: [], changes: [{ kind: 'put', key: 'a', value: 'kept' }] });

  const big = storage.commit({
    expect: [],
    changes: [
      { kind: 'put', key: 'b', value: 'x' },
      { kind: 'put', key: 'c', value: 'x'.repeat(1_000_000) },
    ],
  });

  await expect(big).rejects.toMatchObject({ code: 'STORAGE_FULL', category: 'STORAGE_ERROR' });
  expect(await storage.read(['a', 'b', 'c'])).toEqual(['kept', null, null]);
  await storage.commit({ expect: [], changes: [{ kind: 'put', key: 'b', value: 'small' }] });
  expect(await storage.read(['b'])).toEqual(['small']);
});
