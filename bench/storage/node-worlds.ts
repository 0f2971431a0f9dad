import * as nodeCrypto from 'node:crypto';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { aesGcmCipherKey, aesGcmKey, memoryStorage, nodeSqliteDriver, type OpenKeys, sqliteStorage } from 'holdfast';
import type { RawStore, World } from './measure-store.ts';

/** SQLite in files of a folder of its own; `end` removes it. */
export function sqliteWorld(): { readonly world: World; readonly end: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  const pathOf = (name: string): string => join(folder, `${encodeURIComponent(name)}.db`);
  const bytesOf = async (name: string): Promise<number> => {
    const database = new DatabaseSync(pathOf(name));
    database.exec('pragma wal_checkpoint(truncate)');
    database.close();
    return statSync(pathOf(name)).size;
  };
  const world: World = {
    name: 'sqlite',
    openRaw: async (name) => rawSqlite(pathOf(name)),
    bare: { name: 'raw/sqlite, by key', open: async (name) => bareSqlite(pathOf(name)) },
    // The queue has one store, whatever it calls it.
    storage: (name) => sqliteStorage({ open: () => nodeSqliteDriver(new DatabaseSync(pathOf(name))) }),
    keys: memoryKeys,
    cipherKeys,
    bytes: bytesOf,
    nowMs: () => performance.now(),
    cpuMs,
    heapBytes,
  };
  return { world, end: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Memory, which shows what the queue itself costs. */
export function memoryWorld(): World {
  const stores = new Map<string, ReturnType<typeof memoryStorage>>();
  const raws = new Map<string, string[]>();
  return {
    name: 'memory',
    openRaw: async (name) => {
      const rows = raws.get(name) ?? [];
      raws.set(name, rows);
      return {
        add: async (texts) => void rows.push(...texts),
        readFirst: async (limit) => rows.slice(0, limit).length,
        removeFirst: async (count) => void rows.splice(0, count),
        close: async () => {},
      };
    },
    storage: (name) => {
      const storage = stores.get(name) ?? memoryStorage();
      stores.set(name, storage);
      return async () => storage('bench');
    },
    keys: memoryKeys,
    cipherKeys,
    bytes: async (name) =>
      name === 'raw'
        ? 2 * (raws.get(name) ?? []).reduce((sum, text) => sum + text.length, 0)
        : ((await (await stores.get(name)?.('bench'))?.estimate())?.usedBytes ?? Number.NaN),
    nowMs: () => performance.now(),
    cpuMs,
    heapBytes,
  };
}

function rawSqlite(path: string): RawStore {
  const database = new DatabaseSync(path);
  database.exec('pragma journal_mode = wal; pragma synchronous = full');
  database.exec('create table if not exists rows (id integer primary key, value text not null)');
  const insert = database.prepare('insert into rows (value) values (?)');
  const read = database.prepare('select id, value from rows order by id limit ?');
  const remove = database.prepare('delete from rows where id in (select id from rows order by id limit ?)');
  return {
    add: async (texts) => {
      database.exec('begin immediate');
      for (const text of texts) insert.run(text);
      database.exec('commit');
    },
    readFirst: async (limit) => read.all(limit).length,
    removeFirst: async (count) => void remove.run(count),
    close: async () => database.close(),
  };
}

/** One row for each, which can be found, replaced and taken away by a key of its own. */
function bareSqlite(path: string): Pick<RawStore, 'add' | 'close'> {
  const database = new DatabaseSync(path);
  database.exec('pragma journal_mode = wal; pragma synchronous = full');
  database.exec('create table if not exists rows (key text primary key, value text not null) without rowid');
  const put = database.prepare(
    'insert into rows (key, value) values (?, ?) on conflict (key) do update set value = excluded.value',
  );
  let seq = 0;
  return {
    add: async (texts) => {
      database.exec('begin immediate');
      for (const text of texts) put.run(`p/${String((seq += 1)).padStart(16, '0')}`, text);
      database.exec('commit');
    },
    close: async () => database.close(),
  };
}

function memoryKeys(): OpenKeys {
  const made = crypto.subtle
    .generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt'])
    .then((key) => aesGcmKey('bench', key));
  return async () => ({ current: () => made, find: async (id) => (id === 'bench' ? made : null) });
}

function cipherKeys(): OpenKeys {
  const key = aesGcmCipherKey('bench', nodeCrypto.randomBytes(32), nodeCrypto);
  return async () => ({ current: async () => key, find: async (id) => (id === 'bench' ? key : null) });
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

async function heapBytes(): Promise<number> {
  // Twice: what a first collection lets go of may hold more.
  for (let round = 0; round < 2; round += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    globalThis.gc?.();
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
