/**
 * The port to Postgres, as small as the server needs it. An adapter promises: what runs inside `transaction` shares one
 * connection and is rolled back whole when the callback throws; settings made local end with the transaction; errors
 * raised by Postgres arrive with their SQLSTATE in `code`; a database that cannot be reached is a
 * `DatabaseUnavailableError`.
 */
export interface Session {
  /** Runs one statement. `parameters` are bound as `$1`, `$2`, …; rows come back as plain objects. */
  query<Row>(sql: string, parameters?: readonly unknown[]): Promise<readonly Row[]>;
  /** Runs any number of statements, without parameters and without results. */
  runScript(sql: string): Promise<void>;
  /**
   * What a `copy … to stdout` says, piece by piece, as fast as it is read: a server holds no more of it than a piece (PGlite
   * makes the whole first). Reading no further ends the transaction.
   */
  copyOut(sql: string): AsyncIterable<Uint8Array>;
  /** Whether a copy is whole in memory before its first piece: then nothing is gained by keeping the connection until it is read. */
  readonly copiesWhole: boolean;
}

/** One statement with what is bound in it as `$1`, `$2`, … */
export interface Statement {
  readonly sql: string;
  readonly parameters?: readonly (string | number | null)[];
}

export interface AnswerOptions {
  /**
   * Longest wait for the answer to one statement, in milliseconds; then the line counts as broken and is let go. A host that is gone
   * without a word would else be waited for until TCP gives up, a quarter of an hour. Copies are not held to it, nor is PGlite.
   * @default no limit
   */
  readonly answerMsMax?: number;
}

export interface Database {
  query<Row>(sql: string, parameters?: readonly unknown[], options?: AnswerOptions): Promise<readonly Row[]>;
  /** Commits when the callback resolves. It may be called by several requests at once. */
  transaction<Result>(work: (session: Session) => Promise<Result>, options?: AnswerOptions): Promise<Result>;
  /**
   * Runs statements in a transaction of their own, and answers the rows of the last. Over a network all of them, with the beginning
   * and the commit, go in one message: they are known before the first has an answer.
   */
  transact<Row>(statements: readonly Statement[], options?: AnswerOptions): Promise<readonly Row[]>;
  /** Lets what runs finish, then lets go of connections and files. */
  close(): Promise<void>;
}

/** The database could not be reached, or the line to it broke: what was under way may or may not have happened. */
export class DatabaseUnavailableError extends Error {
  override readonly name: string = 'DatabaseUnavailableError';
}

/** The SQLSTATE of an error raised by Postgres, or null when the error is of another kind. */
export function sqlStateOf(error: unknown): string | null {
  const code = fieldOf(error, 'code');
  return code !== null && /^[0-9A-Z]{5}$/.test(code) ? code : null;
}

/** A text field of an error raised by Postgres (`hint`, `detail`, `constraint`), or null. */
export function fieldOf(error: unknown, field: string): string | null {
  if (typeof error !== 'object' || error === null) return null;
  const value: unknown = Reflect.get(error, field);
  return typeof value === 'string' ? value : null;
}
