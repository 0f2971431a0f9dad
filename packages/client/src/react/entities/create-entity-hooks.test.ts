import { expect, test } from 'vitest';
import { createAccount, deleteAccount, restoreAccount, updateAccount } from '../testing-accounts/accounts.ts';
import { createEntityHooks } from './create-entity-hooks.ts';

test('E3 · types that stand in the place of another are refused, by name', () => {
  expect(() => createEntityHooks({ name: 'account', create: updateAccount, update: createAccount })).toThrow(
    expect.objectContaining({
      code: 'INVALID_OPTION',
      message:
        "createEntityHooks: `create` must be a type of the operation 'create' or 'custom'; account.update is of 'update'.",
    }),
  );
  expect(() => createEntityHooks({ name: 'account', delete: deleteAccount, restore: createAccount })).toThrow(
    /`restore`/,
  );
  expect(() => createEntityHooks({ name: 'account', delete: deleteAccount, restore: restoreAccount })).not.toThrow();
});
