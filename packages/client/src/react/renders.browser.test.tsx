import { act, cleanup, render } from '@testing-library/react';
import { memo, type ReactNode, useState } from 'react';
import { afterEach, describe, expect, it } from 'vitest';
import { HoldfastProvider } from './holdfast-provider.tsx';
import { useConflicts } from './conflicts/use-conflicts.ts';
import { type AccountApp, openAccounts } from './testing-accounts/accounts.ts';
import { useMutationHistory } from './use-mutation-history.ts';
import { useMutationQueue } from './use-mutation-queue.ts';
import { useMutationStatus } from './use-mutation-status.ts';
import { useStorageHealth } from './use-storage-health.ts';
import { useSyncProgress } from './use-sync-progress.ts';

afterEach(cleanup);

const ROW_COUNT = 5_000;

/** What was rendered since it was last asked. */
const rendered: string[] = [];
const renders = (): readonly string[] => rendered.splice(0);

const Row = memo(({ id }: { readonly id: string }): ReactNode => {
  const status = useMutationStatus(id);
  rendered.push(id);
  return <li data-id={id}>{status === undefined ? 'not known' : `${status.status}, ${status.waitingFor}`}</li>;
});

const textOf = (id: string): string | null | undefined => document.querySelector(`[data-id="${id}"]`)?.textContent;

function show(app: AccountApp, children: ReactNode): void {
  render(<HoldfastProvider queue={app.queue}>{children}</HoldfastProvider>);
}

/** Adds so many while the line is down; returns their ids. */
async function addOffline(app: AccountApp, count: number): Promise<string[]> {
  app.network.setOffline();
  const adding = Array.from({ length: count }, (_, index) =>
    app.queue.add({ type: 'account.create', payload: { id: `${index}`, name: `Account ${index}` } }),
  );
  const handles = await app.clock.until(Promise.all(adding));
  await app.settle();
  return handles.map(({ id }) => id);
}

const add = (app: AccountApp, id: string, name = id) =>
  act(async () => {
    await app.queue.add({ type: 'account.create', payload: { id, name } });
    await app.settle();
  });

describe('a list of rows that each show their mutation', () => {
  it('E1 · renders the one that changes, and those alone that wait behind it', async () => {
    const app = await openAccounts({ queueCapCount: ROW_COUNT + 10 });
    const ids = await addOffline(app, ROW_COUNT);
    const first = ids[0] as string;
    const behind = await app.queue.add({ type: 'account.update', payload: { id: '0', name: 'Again' } });
    await app.settle();
    show(
      app,
      <ul>
        {[...ids, behind.id].map((id) => (
          <Row key={id} id={id} />
        ))}
      </ul>,
    );
    await act(() => app.settle());
    renders();

    await add(app, 'another');
    expect(renders()).toEqual([]);

    await act(() => app.clock.until(app.queue.edit(ids[7] as string, { id: '7', name: 'Edited' })));
    await act(() => app.settle());
    expect(renders()).toEqual([ids[7]]);

    expect(textOf(behind.id)).toBe('pending, lane');
    await act(() => app.clock.until(app.queue.cancel(first)));
    await act(() => app.settle());
    expect(new Set(renders())).toEqual(new Set([first, behind.id]));
    expect([textOf(first), textOf(behind.id)]).toEqual(['not known', 'failed, nothing']);
  });

  it('E1 · what stops all of them is shown on all, and each goes on by itself from there', async () => {
    const app = await openAccounts();
    const ids = await addOffline(app, 500);
    show(
      app,
      <ul>
        {ids.map((id) => (
          <Row key={id} id={id} />
        ))}
      </ul>,
    );
    await act(() => app.settle());
    expect(ids.every((id) => textOf(id) === 'pending, network')).toBe(true);
    renders();

    await act(() => app.clock.until(app.queue.pause()));
    await act(() => app.settle());
    expect(ids.every((id) => textOf(id) === 'pending, paused')).toBe(true);
    expect(renders().length).toBe(ids.length);

    await act(async () => {
      app.network.setOnline();
      await app.clock.until(app.queue.resume());
      await app.drain();
    });
    // Only the last 200 confirmed ones are in memory.
    expect(ids.every((id) => textOf(id) === 'completed, nothing')).toBe(true);
  });
});

describe('what a hook returns is rendered when it changes', () => {
  it('E1 · useMutationQueue renders for what is read of it', async () => {
    const app = await openAccounts();
    function Form(): ReactNode {
      const { addMutation } = useMutationQueue();
      rendered.push('form');
      return typeof addMutation;
    }
    function Failures(): ReactNode {
      const { failedCount } = useMutationQueue();
      rendered.push('failures');
      return <output>{failedCount}</output>;
    }
    show(
      app,
      <>
        <Form />
        <Failures />
      </>,
    );
    await act(() => app.settle());
    renders();

    await add(app, '1');
    expect(renders()).toEqual([]);

    await add(app, '2', 'bad one');
    expect(renders()).toEqual(['failures']);
    expect(document.querySelector('output')?.textContent).toBe('1');
  });

  it('E1 · a count that is shown only since it has changed is shown anew when it changes back', async () => {
    const app = await openAccounts();
    function Counts(): ReactNode {
      const counts = useMutationQueue();
      const [isOpen, setOpen] = useState(false);
      return isOpen ? <output>{counts.pendingCount}</output> : <button onClick={() => setOpen(true)}>Show</button>;
    }
    show(app, <Counts />);
    const [id = ''] = await act(() => addOffline(app, 1));
    act(() => document.querySelector('button')?.click());
    expect(document.querySelector('output')?.textContent).toBe('1');

    await act(() => app.clock.until(app.queue.cancel(id)));
    await act(() => app.settle());

    expect(document.querySelector('output')?.textContent).toBe('0');
  });

  it('E1 · the others do not render for what they do not show', async () => {
    const app = await openAccounts();
    await addOffline(app, 5);
    function History(): ReactNode {
      const history = useMutationHistory({ limit: 3 });
      rendered.push('history');
      return history.length;
    }
    function Conflicts(): ReactNode {
      rendered.push('conflicts');
      return useConflicts().length;
    }
    function Health(): ReactNode {
      rendered.push('health');
      return useStorageHealth().kind;
    }
    function Progress(): ReactNode {
      rendered.push('progress');
      return useSyncProgress().totalCount;
    }
    show(
      app,
      <>
        <History />
        <Conflicts />
        <Health />
        <Progress />
      </>,
    );
    await act(() => app.settle());
    renders();

    await add(app, 'behind all that is shown');
    expect(renders()).toEqual(['progress']);
  });
});
