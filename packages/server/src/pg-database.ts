import pg from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import {
  type AnswerOptions,
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
  const letGo = (client: pg.PoolClient, isUseless: boolean, error: unknown): void => {
    client.release(isUseless);
    // those that wait to be used lead where this one led
    if (error instanceof SilentDatabaseError) void letIdleGo(pool).catch(() => undefined);
  };

  return {
    async query<Row>(sql: string, parameters?: readonly unknown[], options?: AnswerOptions): Promise<readonly Row[]> {
      const client = await connect(pool);
      try {
        const rows = await sessionOf(client, options).query<Row>(sql, parameters);
        client.release();
        return rows;
      } catch (error) {
        letGo(client, isOfStandby(error) || isLost(error), error);
        throw error;
      }
    },
    async transaction<Result>(work: (session: Session) => Promise<Result>, options?: AnswerOptions): Promise<Result> {
      const client = await connect(pool);
      const session = sessionOf(client, options);
      try {
        await session.query('begin');
        const result = await work(session);
        await session.query('commit');
        client.release();
        return result;
      } catch (error) {
        // one that was left in the middle of a copy would go on sending; one that cannot even roll back must not serve anyone else
        const isBroken =
          isOfStandby(error) ||
          isLost(error) ||
          session.isCopying() ||
          (await session.query('rollback').then(
            () => false,
            () => true,
          ));
        letGo(client, isBroken, error);
        throw error;
      }
    },
    async transact<Row>(statements: readonly Statement[], options?: AnswerOptions): Promise<readonly Row[]> {
      const client = await connect(pool);
      try {
        const rows = await answered(client.query(new PgTransact<Row>(statements)).rows, options);
        client.release();
        return rows;
      } catch (cause) {
        const error = asUnavailable(cause);
        const isBroken =
          isOfStandby(error) ||
          isLost(error) ||
          (await client.query('rollback').then(
            () => false,
            () => true,
          ));
        letGo(client, isBroken, error);
        throw error;
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

async function letIdleGo(pool: pg.Pool): Promise<void> {
  for (let count = pool.idleCount; count > 0 && pool.idleCount > 0; count -= 1) (await pool.connect()).release(true);
}

class SilentDatabaseError extends DatabaseUnavailableError {}

function sessionOf(client: pg.PoolClient, options?: AnswerOptions): Session & { isCopying(): boolean } {
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
        const answer = client.query(sql, parameters === undefined ? [] : [...parameters]);
        return (await answered(answer, options)).rows as Row[];
      } catch (error) {
        throw asUnavailable(error);
      }
    },
    async runScript(sql: string): Promise<void> {
      await client.query(sql);
    },
  };
}

/** Whoever lets the connection go after that ends it, whatever it still waits for. */
async function answered<Answer>(answer: Promise<Answer>, { answerMsMax }: AnswerOptions = {}): Promise<Answer> {
  if (answerMsMax === undefined) return answer;
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new SilentDatabaseError('The database does not answer.')), answerMsMax);
  });
  try {
    return await Promise.race([answer, silence]);
  } finally {
    clearTimeout(timer);
  }
}

function isLost(error: unknown): boolean {
  return error instanceof DatabaseUnavailableError;
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
