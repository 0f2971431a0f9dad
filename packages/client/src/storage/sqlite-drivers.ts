import type { SqliteDriver, SqliteValue } from './sqlite-storage.ts';

/*
 * One driver for each engine, by the few functions of it that are needed: an app brings the engine, and opens the database.
 * What they do not share is written here and nowhere else.
 */

type Row = Readonly<Record<string, unknown>>;

/** `DatabaseSync` of `node:sqlite`. */
export interface NodeSqliteDatabase {
  prepare(sql: string): { all(...parameters: SqliteValue[]): unknown[] };
  close(): void;
}

export function nodeSqliteDriver(database: NodeSqliteDatabase): SqliteDriver {
  const prepare = remembered((sql) => database.prepare(sql));
  return {
    query: (sql, parameters) => prepare(sql).all(...parameters) as Row[],
    close: () => database.close(),
  };
}

/** `Database` of `better-sqlite3`. */
export interface BetterSqlite3Database {
  prepare(sql: string): BetterSqlite3Statement;
  close(): unknown;
}

export interface BetterSqlite3Statement {
  /** Whether it gives rows: `all` refuses one that does not, and `run` one that does. */
  readonly reader: boolean;
  all(...parameters: unknown[]): unknown[];
  run(...parameters: unknown[]): unknown;
}

export function betterSqlite3Driver(database: BetterSqlite3Database): SqliteDriver {
  const prepare = remembered((sql) => database.prepare(sql));
  return {
    query: (sql, parameters) => {
      const statement = prepare(sql);
      // It takes `?1` for a name.
      const bound = parameters.length === 0 ? [] : [Object.fromEntries(parameters.map((value, at) => [at + 1, value]))];
      if (statement.reader) return statement.all(...bound) as Row[];
      statement.run(...bound);
      return [];
    },
    close: () => void database.close(),
  };
}

/** `oo1.DB` of `@sqlite.org/sqlite-wasm`, of whichever of its file systems. */
export interface SqliteWasmDatabase {
  exec(options: {
    readonly sql: string;
    readonly bind?: SqliteValue[];
    readonly rowMode: 'object';
    readonly returnValue: 'resultRows';
  }): unknown;
  close(): void;
}

export function sqliteWasmDriver(database: SqliteWasmDatabase): SqliteDriver {
  return {
    query: (sql, parameters) => {
      const bind = parameters.length === 0 ? {} : { bind: [...parameters] };
      return database.exec({ sql, ...bind, rowMode: 'object', returnValue: 'resultRows' }) as Row[];
    },
    close: () => database.close(),
  };
}

/** `SQLiteDatabase` of `expo-sqlite`, as `openDatabaseAsync(name, { useNewConnection: true })` gives it. */
export interface ExpoSqliteDatabase {
  getAllAsync(sql: string, parameters: SqliteValue[]): Promise<unknown[]>;
  closeAsync(): Promise<void>;
}

export function expoSqliteDriver(database: ExpoSqliteDatabase): SqliteDriver {
  return {
    query: async (sql, parameters) => (await database.getAllAsync(sql, [...parameters])) as Row[],
    close: () => database.closeAsync(),
  };
}

/** `DB` of `@op-engineering/op-sqlite`. */
export interface OpSqliteDatabase {
  execute(sql: string, parameters?: SqliteValue[]): Promise<{ readonly rows: readonly unknown[] }>;
  close(): void;
}

export function opSqliteDriver(database: OpSqliteDatabase): SqliteDriver {
  return {
    query: async (sql, parameters) => (await database.execute(sql, [...parameters])).rows as Row[],
    close: () => database.close(),
  };
}

/** Statements that come again and again are prepared once; those with a list of keys come in any length. */
const STATEMENT_COUNT_MAX = 32;

function remembered<Statement>(prepare: (sql: string) => Statement): (sql: string) => Statement {
  const statements = new Map<string, Statement>();
  return (sql) => {
    const known = statements.get(sql);
    if (known !== undefined) return known;
    const statement = prepare(sql);
    if (statements.size < STATEMENT_COUNT_MAX) statements.set(sql, statement);
    return statement;
  };
}
