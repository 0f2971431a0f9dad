import { afterAll, beforeAll, describe } from 'vitest';
import type { Database } from '../database.ts';
import { migrate } from '../migrate.ts';
import { openPg } from '../pg-database.ts';
import { openPglite } from '../pglite-database.ts';
import { type RealPostgres, type RealPostgresOptions, startRealPostgres } from './real-postgres.ts';
import { TEST_TABLES } from './test-tables.ts';

export type Engine = 'PGlite' | 'Postgres';

/** A database of its own for one test file, on one engine. */
export interface TestWorld {
  readonly engine: Engine;
  /** Migrated, with the tables of `test-tables.ts`. The superuser's view of it. */
  readonly database: Database;
  /** An empty database beside it, with as many independent handles to it as asked for. */
  openEmpty(handleCount?: number): Promise<readonly Database[]>;
}

/** Defines the same tests on the embedded database and on a real server, each opened once. */
export function describeOnEachDatabase(define: (world: TestWorld) => void): void {
  describe('on PGlite', () => {
    define(usePglite());
  });
  describe('on Postgres', () => {
    define(usePostgres());
  });
}

/** For what a single connection cannot show: races, locks, timeouts. */
export function describeOnPostgres(define: (world: TestWorld) => void): void {
  describe('on Postgres', () => {
    define(usePostgres());
  });
}

/** Also on the oldest Postgres that we claim. */
export function describeOnLowestPostgres(define: (world: TestWorld) => void): void {
  describe('on Postgres 15', () => {
    define(usePostgres({ isLowest: true }));
  });
}

function usePglite(): TestWorld {
  const opened: Database[] = [];
  beforeAll(async () => {
    const database = await openPglite();
    opened.push(database);
    await prepare(database);
  });
  afterAll(() => closeAll(opened));
  return {
    engine: 'PGlite',
    get database() {
      return firstOf(opened);
    },
    async openEmpty(handleCount = 1) {
      const database = await openPglite();
      opened.push(database);
      return Array.from({ length: handleCount }, () => database);
    },
  };
}

function usePostgres(options: RealPostgresOptions = {}): TestWorld {
  const opened: Database[] = [];
  let server: RealPostgres | undefined;
  const open = (connectionString: string): Database => {
    const database = openPg({ connectionString, connectionCountMax: 24 });
    opened.push(database);
    return database;
  };
  const createDatabase = (): Promise<string> => {
    if (server === undefined) throw new Error('The server has not started.');
    return server.createDatabase();
  };
  beforeAll(async () => {
    // `POSTGRES=15` runs every test on the oldest one
    server = await startRealPostgres(process.env['POSTGRES'] === '15' ? { ...options, isLowest: true } : options);
    await prepare(open(await createDatabase()));
  });
  afterAll(async () => {
    await closeAll(opened);
    await server?.stop();
  });
  return {
    engine: 'Postgres',
    get database() {
      return firstOf(opened);
    },
    async openEmpty(handleCount = 1) {
      const connectionString = await createDatabase();
      return Array.from({ length: handleCount }, () => open(connectionString));
    },
  };
}

async function prepare(database: Database): Promise<void> {
  await migrate(database);
  await database.transaction((session) => session.runScript(TEST_TABLES));
}

async function closeAll(databases: readonly Database[]): Promise<void> {
  for (const database of databases) await database.close();
}

function firstOf(databases: readonly Database[]): Database {
  const [database] = databases;
  if (database === undefined)
    throw new Error('The database is opened before the tests run, not while they are defined.');
  return database;
}
