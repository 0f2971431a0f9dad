import { describe, expectTypeOf, test } from 'vitest';
import type { AccountApp } from '../../react/testing-accounts/accounts.ts';
import { addMany } from './bulk.ts';

declare const app: AccountApp;

describe('E4', () => {
  test('E4 · inputs are typed by the queue, and so are those of a report', async () => {
    const run = addMany(app.queue, [{ type: 'account.delete', payload: { id: '1' } }]);
    const { failures } = await run.done;
    expectTypeOf(failures[0]?.input.type).toEqualTypeOf<
      'account.create' | 'account.update' | 'account.delete' | 'account.restore' | undefined
    >();
  });

  test('E4 · a wrong use does not compile', () => {
    // @ts-expect-error -- a name is missing
    addMany(app.queue, [{ type: 'account.create', payload: { id: '1' } }]);
    // @ts-expect-error -- no such type
    addMany(app.queue, [{ type: 'account.archive', payload: { id: '1' } }]);
    // @ts-expect-error -- an abort signal, not its controller
    addMany(app.queue, [], { signal: new AbortController() });
  });
});
