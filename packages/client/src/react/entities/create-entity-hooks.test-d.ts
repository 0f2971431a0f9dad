import { describe, expectTypeOf, test } from 'vitest';
import type { MutationHandle } from '../../queue/mutation-handle.ts';
import { createAccount, deleteAccount, updateAccount } from '../testing-accounts/accounts.ts';
import { createEntityHooks } from './create-entity-hooks.ts';

const hooks = createEntityHooks({ name: 'account', create: createAccount, delete: deleteAccount });

describe('E3', () => {
  test('E3 · the hooks are named after the thing, and typed by its definitions', () => {
    expectTypeOf(hooks).toHaveProperty('useCreateAccount');
    expectTypeOf(hooks).toHaveProperty('useDeleteAccount');
    const { mutateAsync } = hooks.useCreateAccount();
    expectTypeOf(mutateAsync({ id: '1', name: 'Acme' })).resolves.toEqualTypeOf<
      MutationHandle<{ id: string; name: string }>
    >();
  });

  test('E3 · a wrong use does not compile', () => {
    // No definition for it was given.
    expectTypeOf(hooks).not.toHaveProperty('useUpdateAccount');
    // @ts-expect-error -- the name is missing
    hooks.useCreateAccount().mutate({ id: '1' });
    // @ts-expect-error -- an id is a text
    hooks.useDeleteAccount().mutate({ id: 1 });
    // @ts-expect-error -- no such option
    hooks.useDeleteAccount().mutate({ id: '1' }, { skipTheUndo: true });
    // @ts-expect-error -- a definition, not its type
    createEntityHooks({ name: 'account', update: updateAccount.type });
    void hooks
      .useCreateAccount()
      .mutateAsync({ id: '1', name: 'Acme' })
      // @ts-expect-error -- what it returns has no such field
      .then((handle) => handle.slot('beds'));
  });
});
