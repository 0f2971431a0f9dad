import type { Contact } from '../contacts/contact.ts';
import type { Deal } from '../deals/deal.ts';
import type { Account } from './account.ts';

/** What the screens show: what is confirmed, with what is pending on this device replayed on top. */
export interface CrmState {
  accounts: Record<string, Account>;
  contacts: Record<string, Contact>;
  deals: Record<string, Deal>;
  /** How far what is confirmed goes; null before the first answer. */
  cursor: string | null;
}

export const EMPTY_STATE: CrmState = { accounts: {}, contacts: {}, deals: {}, cursor: null };

/** What an answer says about one table. */
export interface TableChanges<Row> {
  readonly rows: readonly Row[];
  readonly deletedIds: readonly string[];
}

/** One answer of the server, or one kept on this device. */
export interface AccountChanges {
  readonly cursor: string;
  /** Whether the lists are everything there is, rather than what changed. */
  readonly isWhole: boolean;
  readonly accounts: TableChanges<Account>;
  readonly contacts: TableChanges<Contact>;
  readonly deals: TableChanges<Deal>;
}

/** What is confirmed after an answer. A table keeps its identity when nothing in it changed. */
export function withChanges(base: CrmState, changes: AccountChanges): CrmState {
  const { cursor, isWhole } = changes;
  const accounts = withRows(base.accounts, changes.accounts, isWhole);
  const contacts = withRows(base.contacts, changes.contacts, isWhole);
  const deals = withRows(base.deals, changes.deals, isWhole);
  const isSame =
    base.cursor === cursor && accounts === base.accounts && contacts === base.contacts && deals === base.deals;
  return isSame ? base : { accounts, contacts, deals, cursor };
}

/** Whether there is nothing in it but another cursor. */
export function isEmpty({ isWhole, accounts, contacts, deals }: AccountChanges): boolean {
  return !isWhole && [accounts, contacts, deals].every(({ rows, deletedIds }) => rows.length + deletedIds.length === 0);
}

function withRows<Row extends { readonly id: string }>(
  before: Record<string, Row>,
  { rows, deletedIds }: TableChanges<Row>,
  isWhole: boolean,
): Record<string, Row> {
  if (!isWhole && rows.length + deletedIds.length === 0) return before;
  const after: Record<string, Row> = isWhole ? {} : { ...before };
  // an id that was deleted and made again is in both lists
  for (const id of deletedIds) delete after[id];
  for (const row of rows) after[row.id] = row;
  return after;
}
