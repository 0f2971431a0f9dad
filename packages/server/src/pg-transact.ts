import pg from 'pg';
import type { Statement } from './database.ts';

/** What of a connection is used here: the messages of the extended protocol, as the driver writes them. */
interface Wire {
  readonly stream: { cork(): void; uncork(): void };
  parse(message: { readonly name: string; readonly text: string; readonly types: readonly number[] }): void;
  bind(message: { readonly values: readonly (string | null)[] }): void;
  describe(message: { readonly type: 'P'; readonly name: string }): void;
  execute(message: { readonly portal: string; readonly rows: number }): void;
  sync(): void;
}

interface Field {
  readonly name: string;
  readonly dataTypeID: number;
}

/**
 * A transaction whose statements are all known, sent at once and ended with one `Sync`: Postgres does them in turn, and after the
 * first that fails it skips the rest up to the `Sync`, also when it is the `begin` that failed. The caller then rolls back.
 * Poolers that lend a connection for a transaction pass it on as they do a single statement.
 */
export class PgTransact<Row> {
  readonly rows: Promise<readonly Row[]>;
  readonly #statements: readonly Statement[];
  readonly #read: Row[] = [];
  #fields: readonly Field[] | null = null;
  #hasFailed = false;
  #resolve: (rows: readonly Row[]) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;

  constructor(statements: readonly Statement[]) {
    this.#statements = [{ sql: 'begin' }, ...statements, { sql: 'commit' }];
    this.rows = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  // the driver's own types have the arguments of an earlier one
  submit = (connection: unknown): void => {
    const wire = connection as Wire;
    wire.stream.cork();
    for (const [index, { sql, parameters = [] }] of this.#statements.entries()) {
      wire.parse({ name: '', text: sql, types: [] });
      wire.bind({ values: parameters.map((value) => (value === null ? null : String(value))) });
      // only the rows of the last one before the commit are wanted
      if (index === this.#statements.length - 2) wire.describe({ type: 'P', name: '' });
      wire.execute({ portal: '', rows: 0 });
    }
    wire.sync();
    wire.stream.uncork();
  };

  // what the driver calls as the answer comes in
  handleRowDescription({ fields }: { readonly fields: readonly Field[] }): void {
    this.#fields = fields;
  }

  handleDataRow({ fields: values }: { readonly fields: readonly (string | null)[] }): void {
    if (this.#fields === null) return;
    const entries = this.#fields.map(({ name, dataTypeID }, index) => {
      const text = values[index] ?? null;
      // what a text is read as depends on its type
      const read = pg.types.getTypeParser(dataTypeID) as (text: string) => unknown;
      return [name, text === null ? null : read(text)] as const;
    });
    // the driver checks no row shapes; each caller names those of its own statement
    this.#read.push(Object.fromEntries(entries) as Row);
  }

  handleCommandComplete(): void {}

  handleError(error: unknown): void {
    this.#hasFailed = true;
    this.#reject(error);
  }

  handleReadyForQuery(): void {
    if (!this.#hasFailed) this.#resolve(this.#read);
  }
}
