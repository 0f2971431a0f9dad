import type { MutationOptions, MutationStatus } from 'holdfast';
import { createEntityHooks, createQueueHooks } from 'holdfast/react';
import { createAccount, deleteAccount, restoreAccount, updateAccount } from '../accounts/account-mutations.ts';
import type { CrmState } from '../accounts/crm-state.ts';
import { createContact, deleteContact, restoreContact, updateContact } from '../contacts/contact-mutations.ts';
import { createDeal, deleteDeal, restoreDeal, updateDeal } from '../deals/deal-mutations.ts';

/** All that can be changed. */
export const MUTATIONS = [
  createAccount,
  updateAccount,
  deleteAccount,
  restoreAccount,
  createContact,
  updateContact,
  deleteContact,
  restoreContact,
  createDeal,
  updateDeal,
  deleteDeal,
  restoreDeal,
] as const;

export const { useBulkMutation } = createQueueHooks<typeof MUTATIONS>();

export const { useCreateAccount, useUpdateAccount, useDeleteAccount } = createEntityHooks({
  name: 'account',
  // sent at once: everybody sees it, and undoing it restores the row from the audit log; contacts and deals wait for that instead
  undoWindowMs: 0,
  create: createAccount,
  update: updateAccount,
  delete: deleteAccount,
  restore: restoreAccount,
});
export const { useCreateContact, useUpdateContact, useDeleteContact } = createEntityHooks({
  name: 'contact',
  create: createContact,
  update: updateContact,
  delete: deleteContact,
  restore: restoreContact,
});
export const { useCreateDeal, useUpdateDeal, useDeleteDeal } = createEntityHooks({
  name: 'deal',
  create: createDeal,
  update: updateDeal,
  delete: deleteDeal,
  restore: restoreDeal,
});

const ACTION_WORDS: Readonly<Record<string, string>> = {
  create: 'New',
  update: 'Edit',
  delete: 'Deletion',
  restore: 'Restoration',
};
const TABLE_WORDS: Readonly<Record<string, string>> = {
  accounts: 'account',
  contacts: 'contact',
  deals: 'deal',
};

/** What a row is called; where it is not there (any more) as `former` values of it say, or else by its kind. */
export function nameOfRow(
  state: CrmState,
  entity: { readonly table: string; readonly id: string } | null,
  ...former: readonly (Readonly<Record<string, unknown>> | null | undefined)[]
): string {
  if (entity === null) return 'something';
  const { table, id } = entity;
  const field = table === 'deals' ? 'title' : 'name';
  const row = table === 'deals' ? state.deals[id] : table === 'contacts' ? state.contacts[id] : state.accounts[id];
  const names = [row as Readonly<Record<string, unknown>> | undefined, ...former].map((each) => each?.[field]);
  const name = names.find((each) => typeof each === 'string' && each !== '') as string | undefined;
  return name ?? `${table === 'accounts' ? 'an' : 'a'} ${TABLE_WORDS[table] ?? table}`;
}

/** What a mutation does, in a word for people. */
export function actionOf({ type }: Pick<MutationStatus, 'type'>): string {
  return ACTION_WORDS[type.split('.')[1] ?? ''] ?? type;
}

/** What a mutation does, and to what. */
export function describeChange(state: CrmState, status: Pick<MutationStatus, 'type' | 'entity'>): string {
  return `${actionOf(status)}: ${nameOfRow(state, status.entity)}`;
}

/** What an edit of this row is made on, as the server gave it; nothing where the server has not seen it. */
export function madeOn(row: { readonly version: number | null } | undefined): Pick<MutationOptions, 'base'> {
  if (row === undefined || row.version === null) return {};
  return { base: { rowVersion: row.version, row } };
}
