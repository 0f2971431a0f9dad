import { defineMutation } from 'holdfast';
import type { Account } from './account.ts';
import { createAccountSchema, deleteAccountSchema, updateAccountSchema } from './account-schema.ts';
import type { CrmState } from './crm-state.ts';

const entity = ({ id }: { readonly id: string }): { readonly table: string; readonly id: string } => ({
  table: 'accounts',
  id,
});

export const createAccount = defineMutation({
  type: 'account.create',
  payload: createAccountSchema,
  operation: 'create',
  entity,
  optimistic: (draft: CrmState, payload) => {
    draft.accounts[payload.id] = { ...payload, updated_at: null, version: null };
  },
});

export const updateAccount = defineMutation({
  type: 'account.update',
  payload: updateAccountSchema,
  operation: 'update',
  entity,
  // what only one of two people has changed stands; where both have, one of them chooses
  conflict: 'merge',
  optimistic: (draft: CrmState, payload) => {
    const account = draft.accounts[payload.id];
    // someone may have deleted it meanwhile; the server will say so
    if (account !== undefined) draft.accounts[payload.id] = { ...account, ...(payload as Partial<Account>) };
  },
});

export const deleteAccount = defineMutation({
  type: 'account.delete',
  payload: deleteAccountSchema,
  operation: 'delete',
  entity,
  optimistic: (draft: CrmState, payload) => {
    delete draft.accounts[payload.id];
  },
});

export const restoreAccount = defineMutation({
  type: 'account.restore',
  payload: deleteAccountSchema,
  operation: 'restore',
  entity,
});
