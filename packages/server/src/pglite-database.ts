import { access, constants, mkdir } from 'node:fs/promises';
import type { PGlite } from '@electric-sql/pglite';
import { type Database, DatabaseUnavailableError, type Session, sqlStateOf, type Statement } from './database.ts';
import { lockFolder } from './folder-lock.ts';

export interface OpenPgliteOptions {
  /** Folder that keeps the data; made when it is missing. Without it the data lives in memory and ends with the process. */
  readonly folder?: string;
}

/**
 * The embedded database: Postgres inside this process, for one process at a time. It has a single connection, so
 * transactions take turns.
 *
 * @throws Error when `@electric-sql/pglite` is not installed, or the folder cannot be made or written, or another
 *   process uses it.
 */
export async function openPglite(options: OpenPgliteOptions = {}): Promise<Database> {
  const { PGlite: Engine } = await importPglite();
  if (options.folder !== undefined) await assertWritable(options.folder);
  const unlock = options.folder === undefined ? async () => undefined : await lockFolder(options.folder);
  const engine = await Engine.create(options.folder === undefined ? {} : { dataDir: options.folder }).catch(
    async (error: unknown) => {
      await unlock();
      throw error;
    },
  );

  const guard = async <Result>(run: () => Promise<Result>): Promise<Result> => {
    try {
      return await run();
    } catch (error) {
      if (engine.closed && sqlStateOf(error) === null) {
        throw new DatabaseUnavailableError('The embedded database is closed.', { cause: error });
      }
      throw error;
    }
  };
  const query = <Row>(
    on: Pick<typeof engine, 'query'>,
    sql: string,
    parameters?: readonly unknown[],
  ): Promise<readonly Row[]> =>
    guard(async () => (await on.query<Row>(sql, parameters === undefined ? [] : [...parameters])).rows);

  const database: Database = {
    query: (sql, parameters) => query(engine, sql, parameters),
    transact: <Row>(statements: readonly Statement[]) =>
      database.transaction(async (session) => {
        let rows: readonly Row[] = [];
        for (const { sql, parameters } of statements) rows = await session.query<Row>(sql, parameters);
        return rows;
      }),
    transaction: <Result>(work: (session: Session) => Promise<Result>): Promise<Result> =>
      guard(() =>
        engine.transaction((transaction) =>
          work({
            query: (sql, parameters) => query({ query: transaction.query.bind(transaction) }, sql, parameters),
            runScript: async (sql) => {
              await transaction.exec(sql);
            },
            copiesWhole: true,
            async *copyOut(sql) {
              yield* copied((await engine.execProtocol(simpleQuery(sql))).data);
            },
          }),
        ),
      ),
    close: async () => {
      if (engine.closed) return;
      await engine.close();
      await unlock();
    },
  };
  return database;
}

async function assertWritable(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new Error(
      `The data folder ${folder} cannot be written. Choose another folder, or change who may write to this one.`,
      { cause },
    );
  }
}

// imported on demand: a server with DATABASE_URL needs no embedded database
async function importPglite(): Promise<{ readonly PGlite: typeof PGlite }> {
  try {
    return await import('@electric-sql/pglite');
  } catch (cause) {
    throw new Error('The embedded database is not installed. Run: npm install @electric-sql/pglite@0.5.14', { cause });
  }
}

/** The message `Q` of Postgres' protocol: `copy … to stdout` answers in messages that the engine's own `query` drops. */
function simpleQuery(sql: string): Uint8Array {
  const text = new TextEncoder().encode(sql);
  const message = new Uint8Array(text.byteLength + 6);
  message[0] = 'Q'.charCodeAt(0);
  new DataView(message.buffer).setInt32(1, text.byteLength + 5);
  message.set(text, 5);
  return message;
}

/** What the messages `d` (CopyData) among these hold. */
function* copied(messages: Uint8Array): Generator<Uint8Array> {
  const view = new DataView(messages.buffer, messages.byteOffset, messages.byteLength);
  for (let at = 0; at < messages.byteLength; ) {
    const length = view.getInt32(at + 1);
    if (messages[at] === 'd'.charCodeAt(0)) yield messages.subarray(at + 5, at + 1 + length);
    at += 1 + length;
  }
}
