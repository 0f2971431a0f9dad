import { act, cleanup, render, screen, within } from '@testing-library/react';
import { type ReactNode, StrictMode } from 'react';
import { afterEach, describe, expect, it } from 'vitest';
import { userEvent } from 'vitest/browser';
import { HoldfastProvider } from '../holdfast-provider.tsx';
import { PendingList } from '../pending-list.tsx';
import { type AccountApp, openAccounts } from '../testing-accounts/accounts.ts';
import { expectAccessibleInBothThemes } from '../testing-page/axe.ts';
import { MutationTimeline } from '../timeline/mutation-timeline.tsx';
import { QueueControls } from './queue-controls.tsx';

afterEach(cleanup);

function show(app: AccountApp, children: ReactNode): void {
  render(
    <StrictMode>
      <HoldfastProvider queue={app.queue}>{children}</HoldfastProvider>
    </StrictMode>,
  );
}

async function opened(children: ReactNode): Promise<AccountApp> {
  const app = await openAccounts();
  show(app, children);
  return app;
}

const add = (app: AccountApp, id: string, name = 'Acme') =>
  act(async () => {
    const { id: mutationId } = await app.queue.add({ type: 'account.create', payload: { id, name } });
    await app.settle();
    return mutationId;
  });
/** By keyboard, as it is used without a mouse. */
const press = (app: AccountApp, name: string | RegExp) =>
  act(async () => {
    screen.getByRole('button', { name }).focus();
    await userEvent.keyboard('{Enter}');
    await app.clock.advance(100);
  });
const said = () => [...document.querySelectorAll('[role=status], [aria-live]')].map(({ textContent }) => textContent);

describe('queue controls', () => {
  it('E8 · what would overwrite a later change is not retried among others, and asks when it is tried by itself', async () => {
    const app = await opened(
      <>
        <QueueControls actor="ada" />
        <PendingList />
      </>,
    );
    app.server.insert('accounts', { id: '1', name: 'old' });
    for (const name of ['bad', 'newer'])
      await act(async () => {
        await app.queue.add({ type: 'account.update', payload: { id: '1', name } });
        await app.drain();
      });
    await press(app, 'Retry failed (1)');
    expect(said()).toContain('None was sent again. 1 would overwrite a later change: try them one by one.');

    await press(app, 'Try again');
    await act(() => userEvent.keyboard('{Escape}'));
    expect(await app.queue.listActs()).toEqual([]);
    await press(app, 'Try again');
    await press(app, 'Overwrite');
    expect(await app.queue.listActs()).toMatchObject([{ kind: 'forceRetry' }]);
  });

  it('E8 · the queue is paused, resumed and retried by keyboard, and each act says what it came to', async () => {
    const app = await opened(<QueueControls actor="ada" />);
    await add(app, '1', 'bad');
    await press(app, 'Retry failed (1)');
    expect(said()).toContain('1 change sent again.');
    await press(app, 'Pause');
    expect(said()[0]).toContain('Paused, in every tab');
    await add(app, '2');
    expect(screen.getByText('1 change not accepted')).toBeDefined();
    await press(app, 'Resume');
    expect(app.server.row('accounts', '2')).toBeDefined();
    await press(app, /^Clear stuck/);
    await press(app, 'Restart');
    expect(said()).toContain('Built anew from what is stored on this device.');
    expect(await app.queue.listActs()).toMatchObject([
      { kind: 'pause', actor: 'ada', reason: 'Queue controls' },
      { kind: 'retry', actor: 'ada' },
    ]);
  });

  it('E8 · clearing says how much is deleted and asks first; Escape keeps all, and the focus comes back', async () => {
    const app = await opened(<QueueControls />);
    await add(app, '1', 'bad');
    app.network.setOffline();
    await add(app, '2');
    await press(app, 'Clear (2)');
    const dialog = screen.getByRole('dialog', { name: 'Delete 2 changes from this device?' });
    expect(dialog.textContent).toContain('1 not accepted and 1 not confirmed');
    expect(document.activeElement?.textContent).toBe('Keep');
    await expectAccessibleInBothThemes();
    await act(() => userEvent.keyboard('{Escape}'));
    expect(screen.queryByRole('dialog')).toBeNull();
    expect(document.activeElement?.textContent).toBe('Clear (2)');
    expect(app.queue.getSnapshot()).toMatchObject({ pendingCount: 1, failedCount: 1 });

    await press(app, 'Clear (2)');
    await press(app, 'Delete 2');
    expect(said()).toContain('2 changes deleted.');
    expect(app.queue.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 0 });
  });

  it('E8 · what waits out a backoff is sent at once when that is forced', async () => {
    const app = await opened(<QueueControls />);
    app.server.setErrorMode('busy');
    await add(app, '1');
    app.server.setErrorMode(null);
    expect(app.server.row('accounts', '1')).toBeUndefined();
    await press(app, 'Force retry');
    expect(app.server.row('accounts', '1')).toBeDefined();
    expect(said()).toContain('1 change sent now.');
  });
});

describe('the pending list', () => {
  it('E8 · each change says what it waits for, is tried now or cancelled, and says when it is too late for that', async () => {
    const app = await opened(<PendingList />);
    app.network.setOffline();
    await add(app, '1');
    expect(
      screen.getByText(/It is saved on this device and is sent as soon as the server can be reached/),
    ).toBeDefined();
    await press(app, 'Cancel');
    expect(said()).toContain('Cancelled: it was never sent.');
    expect(screen.getByText('Nothing is waiting. All changes are confirmed.')).toBeDefined();

    app.network.setOnline();
    app.server.setErrorMode('failsAfterCommit');
    await add(app, '2');
    expect(app.server.row('accounts', '2')).toBeDefined();
    await press(app, 'Cancel');
    expect(said()).toContain('Too late to cancel: it may have been sent already.');
    expect(screen.getByText(/Next try: /)).toBeDefined();
    await expectAccessibleInBothThemes();
    app.server.setErrorMode(null);
    await press(app, 'Try now');
    expect(said()).toContain('It is sent as soon as the server can be asked.');
    await act(() => app.drain());
    expect(app.queue.getSnapshot().pendingCount).toBe(0);
  });

  it('E8 · a change that was refused is discarded only after a question', async () => {
    const app = await opened(<PendingList />);
    await add(app, '1', 'bad');
    await press(app, 'Discard');
    await press(app, 'Keep');
    expect(app.queue.getSnapshot().failedCount).toBe(1);
    await press(app, 'Discard');
    await act(async () => within(screen.getByRole('dialog')).getByRole('button', { name: 'Discard' }).click());
    await act(() => app.clock.advance(10));
    expect(app.queue.getSnapshot().failedCount).toBe(0);
  });
});

describe('the timeline of a change', () => {
  const steps = () =>
    screen
      .getAllByRole('listitem')
      .map((item) => `${item.dataset['state']}: ${item.querySelector('.holdfast-step-text')?.firstChild?.textContent}`);

  it('E8 · it goes from stored over a retry to confirmed and seen, with times and what was said', async () => {
    const app = await openAccounts();
    app.server.setErrorMode('busy');
    const id = await add(app, '1');
    show(app, <MutationTimeline id={id} />);
    expect(steps()).toEqual([
      'done: Saved on this device',
      'done: Attempt 1 was not accepted',
      'current: Waiting to be sent again',
      'ahead: Sent',
      'ahead: Confirmed by the server',
      'ahead: Seen in fresh data',
    ]);
    expect(screen.getByText(/^Next try: /).tagName).toBe('TIME');
    await expectAccessibleInBothThemes();

    app.server.setErrorMode(null);
    await act(() => app.drain());
    await act(async () => app.queue.markObserved([id]));
    expect(steps()).toEqual([
      'done: Saved on this device',
      'done: Attempt 1 was not accepted',
      'done: Sent',
      'done: Confirmed by the server',
      'done: Seen in fresh data',
    ]);
  });

  it('E8 · one that was refused ends with what the server said, told once', async () => {
    const app = await openAccounts();
    const id = await add(app, '1', 'bad');
    show(
      app,
      <>
        <MutationTimeline id={id} />
        <MutationTimeline id="unknown" />
      </>,
    );
    // Nobody has looked yet, so nobody can say that there is none.
    expect(screen.queryByText(/knows nothing of this change/)).toBeNull();
    await act(() => app.settle());
    expect(steps()).toEqual(['done: Saved on this device', 'done: Not accepted']);
    expect(screen.getAllByText(/A name must not be bad/)).toHaveLength(1);
    expect(screen.getByText('This device knows nothing of this change (any more).')).toBeDefined();
  });
});
