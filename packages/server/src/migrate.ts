import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Database, Session } from './database.ts';

/** Holdfast's own numbered SQL files, beside `src` and `dist`. */
const HOLDFAST_SCRIPTS: URL = new URL('../sql/', import.meta.url);

export interface MigrateOptions {
  /**
   * Whose files these are; each set keeps its own numbering. An app brings its tables under a name of its own, after
   * Holdfast's.
   * @default 'holdfast'
   */
  readonly set?: string;
  /** Folder of files called `NNNN_what_it_does.sql`, and of no other `.sql` files. @default Holdfast's own */
  readonly folder?: URL | string;
}

export interface MigrationReport {
  /** Files run by this call, in order. Empty when the database was up to date. */
  readonly applied: readonly string[];
}

export interface Script {
  readonly name: string;
  readonly sql: string;
  readonly sha256: string;
}

/**
 * Brings the database up to date: runs each file it has not seen, in order, each in a transaction of its own. Several
 * servers may call it at once; one works, the others wait and find it done.
 *
 * @throws MigrationError when a file was edited after it ran or has a name that gives it no place, or the database has files that
 * this version does not know, or none of those that this version begins with.
 */
export async function migrate(database: Database, options: MigrateOptions = {}): Promise<MigrationReport> {
  const set = options.set ?? 'holdfast';
  const scripts = await readScripts(options.folder ?? HOLDFAST_SCRIPTS);
  const applied: string[] = [];
  for (;;) {
    const name = await database.transaction((session) => runNext(session, set, scripts));
    if (name === null) return { applied };
    applied.push(name);
  }
}

export class MigrationError extends Error {
  override readonly name: string = 'MigrationError';
}

/** Where it is kept which files have run; each set keeps its own. */
const MIGRATIONS_TABLE = `
create schema if not exists holdfast;
create table if not exists holdfast.migrations (
    set_name   text        not null,
    name       text        not null,
    sha256     text        not null,
    applied_at timestamptz not null default now(),
    primary key (set_name, name)
);
alter table holdfast.migrations enable row level security;
revoke all on holdfast.migrations from public;
`;

async function runNext(session: Session, set: string, scripts: readonly Script[]): Promise<string | null> {
  // one lock for all sets, held until the transaction ends; the number is arbitrary and must never change
  await session.query('select pg_advisory_xact_lock(4856201973)');
  await session.runScript(MIGRATIONS_TABLE);
  const known = await session.query<{ name: string; sha256: string }>(
    'select name, sha256 from holdfast.migrations where set_name = $1',
    [set],
  );
  assertSameHistory(set, known, scripts);
  const next = scripts.find((script) => !known.some((row) => row.name === script.name));
  if (next === undefined) return null;
  try {
    await session.runScript(next.sql);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new MigrationError(`${next.name} failed and was rolled back: ${reason}`, { cause });
  }
  await session.query('insert into holdfast.migrations (set_name, name, sha256) values ($1, $2, $3)', [
    set,
    next.name,
    next.sha256,
  ]);
  return next.name;
}

function assertSameHistory(
  set: string,
  known: readonly { readonly name: string; readonly sha256: string }[],
  scripts: readonly Script[],
): void {
  const [first] = scripts;
  if (first !== undefined && isOfOtherFiles(known, scripts)) {
    throw new MigrationError(
      `The database was migrated with files (${set}) that this version no longer has: its first is "${firstOf(known)}", and not ` +
        `"${first.name}". No way leads from those to these: ` +
        'make the database anew (drop it and create it; of an embedded ' +
        'one, delete the folder), and migrate that.',
    );
  }
  for (const row of known) {
    const script = scripts.find((candidate) => candidate.name === row.name);
    if (script === undefined) {
      throw new MigrationError(
        `The database has "${row.name}" (${set}), which this version does not know: it is newer. ` +
          'Update this server, or restore a backup made before that migration.',
      );
    }
    if (script.sha256 !== row.sha256) {
      throw new MigrationError(
        `"${row.name}" (${set}) was edited after it ran on this database. ` +
          'Put the file back as it was, and bring the change as a new file.',
      );
    }
  }
}

/** Each database begins with the first file; one that did not was migrated before the files were put together anew. */
function isOfOtherFiles(known: readonly { readonly name: string }[], scripts: readonly Script[]): boolean {
  return known.length > 0 && !known.some(({ name }) => name === scripts[0]?.name);
}

function firstOf(known: readonly { readonly name: string }[]): string {
  return known.map(({ name }) => name).toSorted()[0] ?? '';
}

/** The numbered files of a folder, in their order. One left out in silence would be missed only by a query, later. */
export async function readScripts(folder: URL | string = HOLDFAST_SCRIPTS): Promise<readonly Script[]> {
  const path = typeof folder === 'string' ? folder : fileURLToPath(folder);
  // hidden ones are those of editors and of macOS
  const names = (await readdir(path)).filter((name) => /^[^.].*\.sql$/i.test(name)).sort();
  const odd = names.find((name) => !/^\d{4}_\w+\.sql$/.test(name));
  if (odd !== undefined) {
    throw new MigrationError(
      `Nothing was run: "${odd}" is not called NNNN_what_it_does.sql (four digits, "_", then letters, digits and "_"). ` +
        'Rename it, or keep it in another folder.',
    );
  }
  return Promise.all(
    names.map(async (name) => {
      // line ends depend on how git was set up where the files were checked out
      const sql = (await readFile(join(path, name), 'utf8')).replaceAll('\r\n', '\n');
      return { name, sql, sha256: createHash('sha256').update(sql).digest('hex') };
    }),
  );
}

export interface MigrationState {
  readonly applied: readonly string[];
  /** Not run yet, in order. */
  readonly pending: readonly string[];
  /** Run there, and not known here: the database is newer. */
  readonly unknown: readonly string[];
  /** Edited after they ran. */
  readonly edited: readonly string[];
  /** Migrated with files of another numbering, from which no way leads to these: the database has to be made anew. */
  readonly isOfOtherFiles: boolean;
}

/** What `migrate` would do, without doing it. */
export async function readMigrationState(session: Session): Promise<MigrationState> {
  const scripts = await readScripts();
  const [table] = await session.query<{ is_there: boolean }>(
    `select to_regclass('holdfast.migrations') is not null as is_there`,
  );
  const known =
    table?.is_there === true
      ? await session.query<{ name: string; sha256: string }>(
          `select name, sha256 from holdfast.migrations where set_name = 'holdfast' order by name`,
        )
      : [];
  const find = (name: string): Script | undefined => scripts.find((script) => script.name === name);
  return {
    applied: known.map(({ name }) => name),
    pending: scripts.filter(({ name }) => !known.some((row) => row.name === name)).map(({ name }) => name),
    unknown: known.filter(({ name }) => find(name) === undefined).map(({ name }) => name),
    edited: known.filter(({ name, sha256 }) => (find(name)?.sha256 ?? sha256) !== sha256).map(({ name }) => name),
    isOfOtherFiles: isOfOtherFiles(known, scripts),
  };
}

/**
 * The files as the Supabase CLI takes them, named by a time that is made of their number and so never changes. Each notes that it
 * ran, as `migrate` does: the two may follow each other on one database.
 */
export async function exportMigrations(): Promise<readonly { readonly name: string; readonly sql: string }[]> {
  return (await readScripts()).map(({ name, sql, sha256 }) => ({
    name: `2026010100${name.slice(0, 4)}_holdfast_${name.slice(5)}`,
    sql: `${sql.trimEnd()}\n\n-- Noted for "holdfast migrate" and "holdfast status".\n${MIGRATIONS_TABLE.trim()}
insert into holdfast.migrations (set_name, name, sha256)
values ('holdfast', '${name}', '${sha256}')
on conflict do nothing;\n`,
  }));
}
