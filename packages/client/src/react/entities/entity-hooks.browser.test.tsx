import { QueryClient, QueryClientProvider, useQuery } from '@tanstack/react-query';
import { act, cleanup, render, screen } from '@testing-library/react';
import { StrictMode } from 'react';
import { Toaster, toast } from 'sonner';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { userEvent } from 'vitest/browser';
import { connectQueries } from '../../optimistic/connect-queries.ts';
import { optimisticQuery } from '../../optimistic/optimistic-query.ts';
import { HoldfastError } from '../../mutation/holdfast-error.ts';
import type { AuditSource } from '../../ports/audit-source.ts';
import type { AuditEntry } from '../../protocol/audit.ts';
import { HoldfastProvider } from '../holdfast-provider.tsx';
import {
  type ACCOUNT_MUTATIONS,
  type AccountApp,
  createAccount,
  deleteAccount,
  openAccounts,
  restoreAccount,
  updateAccount,
} from '../testing-accounts/accounts.ts';
import { createToasts } from '../toasts/mutation-toasts.ts';
import { sonnerToasts } from '../toasts/sonner-toasts.ts';
import { useBulkMutation } from '../use-bulk-mutation.ts';
import { createEntityHooks } from './create-entity-hooks.ts';

const { useCreateAccount, useUpdateAccount, useDeleteAccount } = createEntityHooks({
  name: 'account',
  create: createAccount,
  update: updateAccount,
  delete: deleteAccount,
  restore: restoreAccount,
});

interface Account {
  readonly id: string;
  readonly name: string;
}

afterEach(cleanup);

/** The hooks of the component on the screen. */
type Hooks = {
  create: ReturnType<typeof useCreateAccount>;
  update: ReturnType<typeof useUpdateAccount>;
  remove: ReturnType<typeof useDeleteAccount>;
  bulk: ReturnType<typeof useBulkMutation<typeof ACCOUNT_MUTATIONS>>;
};

async function open(accounts: readonly Account[] = [], audit?: (app: AccountApp) => AuditSource) {
  const app = await openAccounts();
  app.server.insert('accounts', ...accounts.map((each) => ({ ...each })));
  const queryClient = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const connection = connectQueries({ queue: app.queue, queryClient });
  const toasts = createToasts({
    queue: app.queue,
    port: sonnerToasts(toast),
    clock: app.clock,
    texts: { 'account.create': { item: ({ name }) => name }, 'account.update': { item: ({ name }) => name } },
  });
  const query = optimisticQuery(
    {
      queryKey: ['accounts'],
      queryFn: async () => [...app.server.rows('accounts')] as unknown as Account[],
    },
    { table: 'accounts', placeNew: 'end' },
  );
  const current: Partial<Hooks> = {};
  function Accounts() {
    Object.assign(current, {
      create: useCreateAccount(),
      update: useUpdateAccount(),
      remove: useDeleteAccount(),
      bulk: useBulkMutation(app.queue),
    });
    const { data = [] } = useQuery(query);
    return <p data-testid="names">{data.map(({ name }) => name).join(', ')}</p>;
  }
  render(
    <StrictMode>
      <QueryClientProvider client={queryClient}>
        <HoldfastProvider queue={app.queue} toasts={toasts} {...(audit === undefined ? {} : { audit: audit(app) })}>
          <Accounts />
        </HoldfastProvider>
      </QueryClientProvider>
      <Toaster closeButton />
    </StrictMode>,
  );
  onTestFinished(() => {
    connection.close();
    queryClient.clear();
    toast.dismiss();
  });
  const settle = () => act(() => app.settle());
  await settle();
  return {
    app,
    hooks: current as Hooks,
    settle,
    drain: () => act(() => app.drain()),
    names: () => screen.getByTestId('names').textContent,
    toasts: () =>
      [...document.querySelectorAll('[data-sonner-toast]:not([data-removed="true"])')].map(
        (each) => `${each.getAttribute('data-type')}: ${each.querySelector('[data-title]')?.textContent}`,
      ),
    press: async (label: string) => {
      await act(async () => {
        screen.getByRole('button', { name: label }).click();
        await app.settle();
      });
    },
  };
}

describe('making, editing, deleting', () => {
  test('E3, E2 · a new one is in the list at once, and one toast of sonner goes from saved here to created', async () => {
    const { app, hooks, names, toasts, settle, drain } = await open([{ id: '1', name: 'Acme' }]);
    app.network.setOffline();

    act(() => hooks.create.mutate({ id: '2', name: 'Bolt' }));
    await settle();
    expect([names(), toasts(), hooks.create.status]).toEqual([
      'Acme, Bolt',
      ['info: Bolt saved on this device'],
      'stored',
    ]);
    app.network.setOnline();
    await drain();

    expect([names(), toasts(), hooks.create.status]).toEqual(['Acme, Bolt', ['success: Bolt created'], 'confirmed']);
  });

  test('E3 · refused, the row is taken back, the hook says why, and the toast tries again', async () => {
    const { hooks, names, toasts, drain } = await open([{ id: '1', name: 'Acme' }]);
    act(() => hooks.update.mutate({ id: '1', name: 'bad' }));
    await drain();

    expect([names(), toasts()]).toEqual(['Acme', ['error: bad could not be saved']]);
    expect(hooks.update).toMatchObject({ status: 'failed', error: { message: 'A name must not be bad.' } });
    act(() => hooks.update.reset());
    expect(hooks.update.status).toBe('idle');
  });

  test('E3 · what cannot be stored is said so: mutateAsync rejects, mutate does not throw, and the toast offers another try', async () => {
    const { app, hooks, names, toasts, settle, press, drain } = await open();
    app.storage.setFull(true);
    act(() => hooks.create.mutate({ id: '1', name: 'Acme' }));
    await settle();
    expect([names(), toasts(), hooks.create.status]).toEqual(['', ['error: Acme could not be created'], 'notStored']);
    await act(() =>
      expect(hooks.create.mutateAsync({ id: '1', name: 'Acme' })).rejects.toMatchObject({ code: 'STORAGE_FULL' }),
    );

    app.storage.setFull(false);
    await act(async () => {
      screen.getAllByRole('button', { name: 'Try again' })[0]?.click();
      await app.settle();
    });
    await drain();
    expect(names()).toBe('Acme');
    expect(press).toBeDefined();
  });

  test.each([
    ['create', 3],
    ['delete', 2],
  ] as const)('E3 · %s is tried %i times in all', async (verb, count) => {
    const { app, hooks, drain } = await open([{ id: '1', name: 'Acme' }]);
    app.server.setErrorMode('busy');
    const [make, options] =
      verb === 'create'
        ? [hooks.create.mutateAsync({ id: '2', name: 'Bolt' }), {}]
        : [hooks.remove.mutateAsync({ id: '1' }, { skipUndo: true }), {}];
    const { id } = await act(() => make);
    await drain();

    expect([app.queue.peekStatus(id)?.attemptCount, options]).toEqual([count, {}]);
  });
});

describe('undo', () => {
  test('E3, Q15 · a deletion waits five seconds; taken back meanwhile, it never was sent', async () => {
    const { app, hooks, names, press, settle, drain, toasts } = await open([{ id: '1', name: 'Acme' }]);
    act(() => hooks.remove.mutate({ id: '1' }));
    await settle();
    expect(names()).toBe('');

    await press('Undo');
    await drain();

    expect([names(), toasts()]).toEqual(['Acme', ['success: 1: taken back']]);
    expect([hooks.remove.status, app.server.row('accounts', '1')]).toEqual(['cancelled', { id: '1', name: 'Acme' }]);
  });

  test('E3 · a deletion that was sent is restored from the audit log', async () => {
    const { app, hooks, names, drain } = await open([{ id: '1', name: 'Acme' }]);
    await act(() => hooks.remove.mutateAsync({ id: '1' }, { delayMs: 0 }));
    await drain();
    expect([names(), app.server.row('accounts', '1')]).toEqual(['', undefined]);

    expect(await act(() => app.clock.until(hooks.remove.undo()))).toBe('undone');
    await drain();

    expect([names(), app.server.row('accounts', '1')]).toEqual(['Acme', { id: '1', name: 'Acme' }]);
  });

  test('E3 · a creation that was sent is deleted, and an edit is put back to what the audit log says was before', async () => {
    const entries: AuditEntry[] = [];
    const { app, hooks, names, drain } = await open([{ id: '1', name: 'Acme' }], () => ({
      readPage: async () => ({ entries, nextBefore: null }),
    }));
    const { id } = await act(() => hooks.update.mutateAsync({ id: '1', name: 'Zenith' }));
    await act(() => hooks.create.mutateAsync({ id: '2', name: 'Bolt' }));
    await drain();
    expect(names()).toBe('Zenith, Bolt');
    entries.push({
      id: '7',
      occurredAt: '2026-01-01T00:00:00.000Z',
      actor: 'ada',
      action: 'update',
      entityType: 'accounts',
      entityId: '1',
      oldValues: { name: 'Acme' },
      newValues: { name: 'Zenith' },
      changedFields: ['name'],
      mutationId: id,
      clientId: null,
      ip: null,
      userAgent: null,
    });

    expect(await act(() => app.clock.until(hooks.update.undo()))).toBe('undone');
    expect(await act(() => app.clock.until(hooks.create.undo()))).toBe('undone');
    await drain();

    expect(names()).toBe('Acme');
  });

  test('E3, E2 · with the audit log out of reach the toast says why, and it is undone when there is a connection again', async () => {
    const entries: AuditEntry[] = [];
    const { app, hooks, names, toasts, settle, drain, press } = await open([{ id: '1', name: 'Acme' }], (of) => ({
      readPage: async () => {
        if (!of.network.isOnline())
          throw new HoldfastError({ code: 'OFFLINE', message: 'The server cannot be reached.' });
        return { entries, nextBefore: null };
      },
    }));
    const { id } = await act(() => hooks.update.mutateAsync({ id: '1', name: 'Zenith' }));
    await drain();
    entries.push({
      id: '7',
      occurredAt: '2026-01-01T00:00:00.000Z',
      actor: 'ada',
      action: 'update',
      entityType: 'accounts',
      entityId: '1',
      oldValues: { name: 'Acme' },
      newValues: { name: 'Zenith' },
      changedFields: ['name'],
      mutationId: id,
      clientId: null,
      ip: null,
      userAgent: null,
    });
    await act(async () => app.network.setOffline());

    await press('Undo');
    expect([names(), toasts()]).toEqual(['Zenith', ['error: Zenith: not taken back']]);
    expect(screen.getByText('The server cannot be reached.')).toBeDefined();
    await act(() => expect(app.clock.until(hooks.update.undo())).rejects.toMatchObject({ code: 'OFFLINE' }));
    expect([toasts(), screen.getAllByRole('button', { name: 'Undo' }).length]).toEqual([
      ['error: Zenith: not taken back'],
      1,
    ]);
    await act(() => app.clock.advance(60_000));
    await act(async () => app.network.setOnline());
    await settle();
    await drain();

    expect([names(), toasts()]).toEqual(['Acme', ['success: Zenith: taken back']]);
    expect((await app.queue.getStatus()).counts).toMatchObject({ failed: 0, completed: 2 });
  });

  test('E3 · asked for twice, it is undone once', async () => {
    const { app, hooks, names, press, drain } = await open([]);
    await act(() => hooks.create.mutateAsync({ id: '2', name: 'Bolt' }));
    await drain();
    const [first, second] = await act(() => app.clock.until(Promise.all([hooks.create.undo(), hooks.create.undo()])));
    await press('Undo').catch(() => {});
    await drain();

    expect([first, second, names()]).toEqual(['undone', 'undone', '']);
    expect((await app.queue.getStatus()).counts).toMatchObject({ failed: 0, completed: 2 });
  });

  test('E3 · what could not be undone is not offered to be: an edit without an audit log', async () => {
    const { hooks, drain, toasts } = await open([{ id: '1', name: 'Acme' }]);
    await act(() => hooks.update.mutateAsync({ id: '1', name: 'Zenith' }));
    await drain();

    expect(toasts()).toEqual(['success: Zenith saved']);
    expect(screen.queryByRole('button', { name: 'Undo' })).toBeNull();
  });

  test('E3 · with skipUndo nothing waits, and no undo is offered; after five seconds it is not offered any more either', async () => {
    const { app, hooks, settle } = await open([
      { id: '1', name: 'Acme' },
      { id: '2', name: 'Bolt' },
    ]);
    app.server.hold();
    act(() => hooks.remove.mutate({ id: '1' }, { skipUndo: true }));
    await settle();
    expect(screen.queryByRole('button', { name: 'Undo' })).toBeNull();
    act(() => hooks.create.mutate({ id: '3', name: 'Corp' }));
    await settle();
    expect(screen.getByRole('button', { name: 'Undo' })).toBeDefined();

    await act(() => app.clock.advance(5_000));

    expect(screen.queryByRole('button', { name: 'Undo' })).toBeNull();
  });
});

describe('the focus', () => {
  test.each([
    ['Undo', 'by keyboard'],
    ['Undo', 'by mouse'],
    ['Close toast', 'by keyboard'],
    ['Close toast', 'by mouse'],
  ] as const)('E2 · after %s %s it is where it was before', async (label, how) => {
    const { app, hooks, settle, toasts } = await open();
    app.network.setOffline();
    const field = document.createElement('input');
    document.body.prepend(field);
    onTestFinished(() => field.remove());
    act(() => hooks.create.mutate({ id: '1', name: 'Acme' }));
    await settle();
    field.focus();

    const button = screen.getByRole('button', { name: label });
    if (how === 'by mouse') await act(() => userEvent.click(button));
    else {
      button.focus();
      await act(() => userEvent.keyboard('{Enter}'));
    }
    await settle();

    expect(toasts()).toEqual(label === 'Undo' ? ['success: Acme: taken back'] : []);
    expect(document.activeElement).toBe(field);
  });

  test('E2 · the place where it was is gone: it stays with the toast', async () => {
    const { app, hooks, settle } = await open();
    app.network.setOffline();
    const field = document.createElement('input');
    document.body.prepend(field);
    act(() => hooks.create.mutate({ id: '1', name: 'Acme' }));
    await settle();
    field.focus();

    screen.getByRole('button', { name: 'Undo' }).focus();
    field.remove();
    await act(() => userEvent.keyboard('{Enter}'));
    await settle();

    expect(document.activeElement?.hasAttribute('data-sonner-toast')).toBe(true);
  });
});

describe('many at once', () => {
  test('E4 · useBulkMutation shows the rows at once and how far they are, says what failed, and tries it again', async () => {
    const { app, hooks, names, toasts, drain, settle } = await open();
    app.network.setOffline();
    app.server.setErrorMode('validation', { when: ({ payload }) => payload['id'] === '7' });
    const inputs = Array.from({ length: 300 }, (_, at) => ({
      type: 'account.create' as const,
      payload: { id: String(at), name: `N${at}` },
    }));
    let report: Awaited<ReturnType<typeof hooks.bulk.run>> | null = null;
    act(() => {
      void hooks.bulk.run(inputs).then((done) => {
        report = done;
      });
    });
    await settle();
    expect(hooks.bulk).toMatchObject({ isRunning: true, progress: { state: 'delivering', storedCount: 300 } });
    expect(names()?.split(', ').length).toBe(300);
    await act(() => app.clock.advance(100));
    expect(toasts()).toContain('info: 297 changes saved on this device');

    app.network.setOnline();
    await drain();
    expect(hooks.bulk).toMatchObject({ isRunning: false, progress: { confirmedCount: 299, failedCount: 1 } });
    expect(names()?.split(', ').length).toBe(299);

    app.server.setErrorMode(null);
    if (report === null) throw new Error('It is done.');
    const done = report;
    expect(await act(() => app.clock.until(hooks.bulk.retryFailed(done)))).toBe(1);
    await drain();
    expect(app.server.rows('accounts').length).toBe(300);
  });

  test('E4 · stopped by its button, the rows that were not sent leave the list', async () => {
    const { app, hooks, names, settle } = await open();
    app.network.setOffline();
    const inputs = [1, 2, 3].map((at) => ({
      type: 'account.create' as const,
      payload: { id: String(at), name: `N${at}` },
    }));
    act(() => void hooks.bulk.run(inputs));
    await settle();
    expect(names()).toBe('N1, N2, N3');

    act(() => hooks.bulk.cancel());
    await settle();

    expect([names(), hooks.bulk.progress?.state]).toEqual(['', 'cancelled']);
  });
});
