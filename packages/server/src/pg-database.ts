import pg from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import {
  type Database,
  DatabaseUnavailableError,
  fieldOf,
  type Session,
  sqlStateOf,
  type Statement,
} from './database.ts';
import { PgTransact } from './pg-transact.ts';

export interface OpenPgOptions {
  /** `postgres://user:password@host:port/database`, as in `DATABASE_URL`. The user must be able to `set role authenticated`. */
  readonly connectionString: string;
  /** Most connections held at once. @default 10 */
  readonly connectionCountMax?: number;
  /** Longest wait for a connection, in milliseconds, before the database counts as away. @default 5_000 */
  readonly connectTimeoutMs?: number;
  /** Told of connections that broke while idle; the pool replaces them by itself. */
  readonly onIdleError?: (error: Error) => void;
}

/**
 * A pool of connections to a Postgres server. Opens none until the first query.
 *
 * @throws TypeError when the connection string is empty.
 */
export function openPg(options: OpenPgOptions): Database {
  // the driver would take an empty one for "whatever PGHOST says, or this machine"
  if (!options.connectionString?.trim())
    throw new TypeError('openPg: `connectionString` is empty. Is DATABASE_URL set?');
  const pool = new pg.Pool({
    connectionString: options.connectionString,
    max: options.connectionCountMax ?? 10,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 5_000,
  });
  // without a listener, a connection that breaks while idle would end the process
  pool.on('error', (error) => options.onIdleError?.(error));
  // the same for one that breaks while in use; whoever uses it hears of it through its query
  pool.on('connect', (client) => client.on('error', () => undefined));

  return {
    async query<Row>(sql: string, parameters?: readonly unknown[]): Promise<readonly Row[]> {
      const client = await connect(pool);
      let isMisled = false;
      try {
        return await sessionOf(client).query<Row>(sql, parameters);
      } catch (error) {
        isMisled = isOfStandby(error);
        throw error;
      } finally {
        client.release(isMisled);
      }
    },
    async transaction<Result>(work: (session: Session) => Promise<Result>): Promise<Result> {
      const client = await connect(pool);
      const session = sessionOf(client);
      let isBroken = false;
      try {
        await session.query('begin');
        const result = await work(session);
        await session.query('commit');
        return result;
      } catch (error) {
        // one that was left in the middle of a copy would go on sending; one that cannot even roll back must not serve anyone else
        isBroken =
          isOfStandby(error) ||
          session.isCopying() ||
          (await session.query('rollback').then(
            () => false,
            () => true,
          ));
        throw error;
      } finally {
        client.release(isBroken);
      }
    },
    async transact<Row>(statements: readonly Statement[]): Promise<readonly Row[]> {
      const client = await connect(pool);
      let isBroken = false;
      try {
        return await client.query(new PgTransact<Row>(statements)).rows;
      } catch (error) {
        isBroken =
          isOfStandby(error) ||
          (await client.query('rollback').then(
            () => false,
            () => true,
          ));
        throw asUnavailable(error);
      } finally {
        client.release(isBroken);
      }
    },
    close: () => pool.end(),
  };
}

async function connect(pool: pg.Pool): Promise<pg.PoolClient> {
  try {
    return await pool.connect();
  } catch (error) {
    throw new DatabaseUnavailableError('No connection to the database.', { cause: error });
  }
}

function sessionOf(client: pg.PoolClient): Session & { isCopying(): boolean } {
  let isCopying = false;
  return {
    isCopying: () => isCopying,
    copiesWhole: false,
    async *copyOut(sql: string): AsyncGenerator<Uint8Array> {
      isCopying = true;
      try {
        for await (const piece of client.query(copyTo(sql))) yield piece as Uint8Array;
        isCopying = false;
      } catch (error) {
        // Postgres itself said no, and waits for the rollback
        if (sqlStateOf(error) !== null) isCopying = false;
        throw error;
      }
    },
    async query<Row>(sql: string, parameters?: readonly unknown[]): Promise<readonly Row[]> {
      try {
        // the driver checks no row shapes; each caller names those of its own statement
        return (await client.query(sql, parameters === undefined ? [] : [...parameters])).rows as Row[];
      } catch (error) {
        throw asUnavailable(error);
      }
    },
    async runScript(sql: string): Promise<void> {
      await client.query(sql);
    },
  };
}

/**
 * From a server that takes no changes, not yet or not any more. After a fail-over the address leads elsewhere, but whoever keeps a
 * connection stays where it led before.
 */
function isOfStandby(error: unknown): boolean {
  return sqlStateOf(error) === '25006';
}

function asUnavailable(error: unknown): unknown {
  return isConnectionLoss(error)
    ? new DatabaseUnavailableError('The connection to the database broke.', { cause: error })
    : error;
}

/** Errors with a SQLSTATE came from the server; of those, class 08 and 57P0x say that it is going away. */
function isConnectionLoss(error: unknown): boolean {
  const state = sqlStateOf(error);
  // system errors such as EPIPE look like SQLSTATEs, but have a syscall
  if (fieldOf(error, 'syscall') !== null) return true;
  if (state !== null) return state.startsWith('08') || /^57P0[1-5]$/.test(state);
  // the driver's own errors about a broken line have neither code nor class
  return (
    error instanceof Error && /^(Connection terminated|Client has encountered a connection error)/.test(error.message)
  );
}
