import * as v from 'valibot';
import { defineMutation } from '../../mutation/definition.ts';
import type { Row } from '../../testing/server-tables.ts';
import { createTestApp, type TestApp } from '../../testing/test-app.ts';

const entity = ({ id }: { readonly id: string }): { readonly table: string; readonly id: string } => ({
  table: 'accounts',
  id,
});
const named = v.object({ id: v.string(), name: v.string() });
const identified = v.object({ id: v.string() });
export const createAccount = defineMutation({
  type: 'account.create',
  payload: named,
  result: named,
  operation: 'create',
  entity,
});
export const updateAccount = defineMutation({ type: 'account.update', payload: named, operation: 'update', entity });
export const deleteAccount = defineMutation({
  type: 'account.delete',
  payload: identified,
  operation: 'delete',
  entity,
});
export const restoreAccount = defineMutation({
  type: 'account.restore',
  payload: identified,
  operation: 'restore',
  entity,
});
export const ACCOUNT_MUTATIONS = [createAccount, updateAccount, deleteAccount, restoreAccount] as const;

export type AccountApp = TestApp<typeof ACCOUNT_MUTATIONS>;

/** An app with accounts, of which the server takes none that is called "bad". */
export async function openAccounts(queue: { readonly queueCapCount?: number } = {}): Promise<AccountApp> {
  const check = (row: Row): string | null => (String(row['name']).startsWith('bad') ? 'A name must not be bad.' : null);
  return createTestApp({ mutations: ACCOUNT_MUTATIONS, tables: { accounts: { check } }, queue });
}
