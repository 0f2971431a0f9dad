import { readFileSync } from 'node:fs';
import type { Session } from '@holdfast/server';
import { ACCOUNT_COLUMNS } from '../src/accounts/account.ts';

const statement = readFileSync(new URL('../sql/read-accounts.sql', import.meta.url), 'utf8');

interface AccountsRow {
  readonly cursor: string;
  readonly is_whole: boolean;
  /** JSON text, made by the database so that nothing here has to take thousands of rows apart. */
  readonly rows: string;
  readonly deleted_ids: string;
}

/**
 * The JSON text of the caller's accounts: all of them without a cursor or with one of another database, else those
 * changed since and the ids of those deleted since. The session already runs as the caller.
 */
export async function readAccounts(session: Session, databaseId: string, since: string | null): Promise<string> {
  const match = /^([0-9a-f-]{36})\.(\d{1,19})$/.exec(since ?? '');
  const sinceTransaction = match?.[1] === databaseId ? (match[2] ?? null) : null;
  const [row] = await session.query<AccountsRow>(statement, [sinceTransaction]);
  if (row === undefined) throw new Error('The list of accounts came back without a row.');
  const head = JSON.stringify({
    cursor: `${databaseId}.${row.cursor}`,
    isWhole: row.is_whole,
    columns: ACCOUNT_COLUMNS,
  });
  return `${head.slice(0, -1)},"rows":${row.rows},"deletedIds":${row.deleted_ids}}`;
}
