import type { Account } from './account.ts';

/** What the screens show: the confirmed accounts, with what is pending on this device replayed on top. */
export interface CrmState {
  accounts: Record<string, Account>;
  /** How far the confirmed accounts go; null before the first answer. */
  cursor: string | null;
}

export const EMPTY_STATE: CrmState = { accounts: {}, cursor: null };

/** One answer of the server about the accounts, or one kept on this device. */
export interface AccountChanges {
  readonly cursor: string;
  /** Whether `accounts` is everything there is, rather than what changed. */
  readonly isWhole: boolean;
  readonly accounts: readonly Account[];
  readonly deletedIds: readonly string[];
}

/** The confirmed accounts after an answer. The collection keeps its identity when nothing in it changed. */
export function withChanges(base: CrmState, changes: AccountChanges): CrmState {
  if (!changes.isWhole && changes.accounts.length === 0 && changes.deletedIds.length === 0) {
    return base.cursor === changes.cursor ? base : { ...base, cursor: changes.cursor };
  }
  const accounts: Record<string, Account> = changes.isWhole ? {} : { ...base.accounts };
  // an id that was deleted and made again is in both lists
  for (const id of changes.deletedIds) delete accounts[id];
  for (const account of changes.accounts) accounts[account.id] = account;
  return { accounts, cursor: changes.cursor };
}
