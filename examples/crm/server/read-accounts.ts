import { readFileSync } from 'node:fs';
import type { Session } from '@holdfast/server';
import { ACCOUNT_COLUMNS } from '../src/accounts/account.ts';
import { CONTACT_COLUMNS } from '../src/contacts/contact.ts';
import { DEAL_COLUMNS } from '../src/deals/deal.ts';

const statement = readFileSync(new URL('../sql/statements/read-accounts.sql', import.meta.url), 'utf8');

/** Lists are JSON text, made by the database so that nothing here has to take thousands of rows apart. */
interface AccountsRow {
  readonly cursor: string;
  readonly is_whole: boolean;
  readonly accounts: string;
  readonly contacts: string;
  readonly deals: string;
  readonly deleted_accounts: string;
  readonly deleted_contacts: string;
  readonly deleted_deals: string;
}

/**
 * The JSON text of the caller's accounts, contacts and deals: all of them without a cursor or with one of another database, else
 * those changed since and the ids of those deleted since. The session already runs as the caller.
 */
export async function readAccounts(session: Session, databaseId: string, since: string | null): Promise<string> {
  const match = /^([0-9a-f-]{36})\.(\d{1,19})$/.exec(since ?? '');
  const sinceTransaction = match?.[1] === databaseId ? (match[2] ?? null) : null;
  const [row] = await session.query<AccountsRow>(statement, [sinceTransaction]);
  if (row === undefined) throw new Error('The list of accounts came back without a row.');
  const list = (columns: readonly string[], rows: string, deletedIds: string): string =>
    `"columns":${JSON.stringify(columns)},"rows":${rows},"deletedIds":${deletedIds}`;
  const head = JSON.stringify({ cursor: `${databaseId}.${row.cursor}`, isWhole: row.is_whole });
  return [
    `${head.slice(0, -1)},${list(ACCOUNT_COLUMNS, row.accounts, row.deleted_accounts)}`,
    `"contacts":{${list(CONTACT_COLUMNS, row.contacts, row.deleted_contacts)}}`,
    `"deals":{${list(DEAL_COLUMNS, row.deals, row.deleted_deals)}}}`,
  ].join();
}
