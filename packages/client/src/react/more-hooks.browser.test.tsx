import { act, cleanup, render, renderHook } from '@testing-library/react';
import { StrictMode, startTransition, useEffect, useState } from 'react';
import * as v from 'valibot';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { defineMutation } from '../mutation/definition.ts';
import type { AuditPageQuery, AuditSource } from '../ports/audit-source.ts';
import type { AuditEntry } from '../protocol/audit.ts';
import { createTestApp } from '../testing/test-app.ts';
import { HoldfastProvider } from './holdfast-provider.tsx';
import { useAdminQueueControls } from './use-admin-queue-controls.ts';
import { useAuditLogs } from './use-audit-logs.ts';
import { useMutationHistory } from './use-mutation-history.ts';
import { useMutationQueue } from './use-mutation-queue.ts';
import { useMutationStatus } from './use-mutation-status.ts';
import { useNetworkStatus } from './use-network-status.ts';
import { useStorageHealth } from './use-storage-health.ts';
import { useSyncProgress } from './use-sync-progress.ts';

const saveNote = defineMutation({
  type: 'note.save',
  payload: v.object({ id: v.string(), text: v.string() }),
  operation: 'create',
  entity: ({ id }) => ({ table: 'notes', id }),
});
const dropNote = defineMutation({
  type: 'note.drop',
  payload: v.object({ id: v.string() }),
  operation: 'delete',
  entity: ({ id }) => ({ table: 'notes', id }),
});
const mutations = [saveNote, dropNote] as const;

afterEach(cleanup);

async function open(audit?: AuditSource) {
  const app = await createTestApp({
    mutations,
    tables: { notes: { check: ({ text }) => (text === 'bad' ? 'Not this one.' : null) } },
  });
  const wrapper = ({ children }: { readonly children: React.ReactNode }) => (
    <StrictMode>
      <HoldfastProvider queue={app.queue} {...(audit === undefined ? {} : { audit })}>
        {children}
      </HoldfastProvider>
    </StrictMode>
  );
  const add = (id: string, text = 'x') =>
    act(async () => {
      await app.queue.add({ type: 'note.save', payload: { id, text } });
      await app.settle();
    });
  return { app, wrapper, add };
}

describe('progress', () => {
  it('E1 · useSyncProgress counts what settles, what comes meanwhile too, and begins anew afterwards', async () => {
    const { app, wrapper, add } = await open();
    const { result } = renderHook(() => useSyncProgress(), { wrapper });
    expect(result.current).toMatchObject({ doneCount: 0, totalCount: 0, doneShare: 1, isSyncing: false });
    app.network.setOffline();
    await add('1');
    await add('2', 'bad');
    expect(result.current).toMatchObject({ doneCount: 0, totalCount: 2, doneShare: 0 });

    app.server.hold();
    await act(async () => {
      app.network.setOnline();
      await app.settle();
    });
    await add('3');
    expect(result.current).toMatchObject({ doneCount: 0, totalCount: 3, isSyncing: true });
    await act(async () => {
      app.server.release();
      await app.drain();
    });
    expect(result.current).toMatchObject({
      doneCount: 3,
      confirmedCount: 2,
      totalCount: 3,
      doneShare: 1,
      failedCount: 1,
      isSyncing: false,
    });

    app.network.setOffline();
    await add('4');
    expect(result.current).toMatchObject({ doneCount: 0, confirmedCount: 0, totalCount: 1 });
    await add('5');
    await act(() => app.clock.until(app.queue.cancel(app.queue.listUnconfirmed(5).at(-1)?.id ?? '')));
    expect(result.current).toMatchObject({ doneCount: 0, totalCount: 1 });
  });
});

describe('the operator', () => {
  it('E1 · useAdminQueueControls pauses, resumes, retries and clears, with functions that stay the same', async () => {
    const { app, wrapper, add } = await open();
    const { result, rerender } = renderHook(() => useAdminQueueControls(), { wrapper });
    const controls = result.current;
    await act(() => app.clock.until(controls.pauseQueue({ actor: 'ada', reason: 'A look around' })));
    await add('1', 'bad');
    expect((await controls.getQueueStatus()).isPaused).toBe(true);
    await act(() => app.clock.until(controls.resumeQueue()));
    await act(() => app.drain());
    expect((await controls.getQueueStatus()).counts.failed).toBe(1);

    expect(await act(() => app.clock.until(controls.retryFailed()))).toMatchObject({ touchedCount: 1 });
    await act(() => app.drain());
    expect(await act(() => app.clock.until(controls.clearQueue()))).toMatchObject({ touchedCount: 1 });
    await act(() => app.clock.until(controls.restartQueue()));
    rerender();

    expect(result.current).toBe(controls);
  });
});

describe('history', () => {
  it('E1 · useMutationHistory of a type has as many of it as were asked for, wherever they stand', async () => {
    const { app, wrapper, add } = await open();
    app.network.setOffline();
    for (const id of ['1', '2', '3', '4']) await add(id);
    await app.queue.add({ type: 'note.drop', payload: { id: '9' } });
    const { result } = renderHook(() => useMutationHistory({ type: 'note.drop', limit: 2 }), { wrapper });
    const { result: pending } = renderHook(() => useMutationHistory({ status: 'pending', limit: 2 }), { wrapper });
    const { result: confirmed } = renderHook(() => useMutationHistory({ status: 'completed' }), { wrapper });

    expect(result.current.map(({ entity }) => entity?.id)).toEqual(['9']);
    expect(pending.current).toHaveLength(2);
    expect(confirmed.current).toEqual([]);
  });

  it('E1 · useMutationHistory shows dead letters, what waits, and what was confirmed, and follows it', async () => {
    const { app, wrapper, add } = await open();
    const { result } = renderHook(() => useMutationHistory({ limit: 3 }), { wrapper });
    const { result: failed } = renderHook(() => useMutationHistory({ status: 'failed' }), { wrapper });
    await add('1');
    await act(() => app.drain());
    await add('2', 'bad');
    await act(() => app.drain());
    app.network.setOffline();
    await add('3');

    expect(result.current.map(({ entity, status }) => [entity?.id, status])).toEqual([
      ['2', 'failed'],
      ['3', 'pending'],
      ['1', 'completed'],
    ]);
    expect(failed.current.map(({ entity }) => entity?.id)).toEqual(['2']);
  });
});

/** Longer than a slice of React's: a render in a transition is interrupted between two components. */
function takeTime(): void {
  const until = performance.now() + 2;
  while (performance.now() < until);
}

describe('no tearing', () => {
  it('E1 · components that render in one go show one state, however the queue changes in between', async () => {
    const { app, wrapper } = await open();
    app.network.setOffline();
    const seen: string[] = [];
    function Count({ name }: { readonly name: string }) {
      const { pendingCount } = useMutationQueue();
      const { totalCount } = useSyncProgress();
      takeTime();
      return <i data-name={name}>{`${pendingCount}/${totalCount}`}</i>;
    }
    const grow = { current: (): void => {} };
    function Screen() {
      const [count, setCount] = useState(1);
      useEffect(() => {
        grow.current = () => startTransition(() => setCount((before) => before + 5));
      }, []);
      return Array.from({ length: count }, (_, name) => <Count key={name} name={String(name)} />);
    }
    const { container } = render(<Screen />, { wrapper });
    const observer = new MutationObserver(() =>
      seen.push([...new Set([...container.querySelectorAll('i')].map(({ textContent }) => textContent))].join(' ')),
    );
    observer.observe(container, { subtree: true, childList: true, characterData: true });

    // Inside of `act` React renders without a break.
    const environment = globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean };
    environment.IS_REACT_ACT_ENVIRONMENT = false;
    onTestFinished(() => {
      environment.IS_REACT_ACT_ENVIRONMENT = true;
    });
    for (const id of ['1', '2', '3', '4', '5']) {
      grow.current();
      await app.queue.add({ type: 'note.save', payload: { id, text: 'x' } });
      await app.settle();
    }
    const isShown = (): boolean =>
      [...container.querySelectorAll('i')].every(({ textContent }) => textContent === '5/5');
    while (container.querySelectorAll('i').length < 26 || !isShown()) await new Promise(requestAnimationFrame);
    observer.disconnect();

    expect(seen.length).toBeGreaterThan(0);
    expect(seen.filter((each) => each.includes(' '))).toEqual([]);
    expect(container.querySelectorAll('i').length).toBe(26);
  });
});

describe('the audit log', () => {
  /** A log of which the test says what stands in it. */
  class Log implements AuditSource {
    entries: AuditEntry[] = [];
    readonly asked: AuditPageQuery[] = [];
    failsWith: Error | null = null;
    readonly listeners = new Set<() => void>();

    add(...ids: readonly number[]): void {
      for (const id of ids) this.entries = [entry(id), ...this.entries];
    }

    readPage: AuditSource['readPage'] = async (query) => {
      this.asked.push(query);
      if (this.failsWith !== null) throw this.failsWith;
      const older = this.entries.filter(({ id }) => query.before === null || Number(id) < Number(query.before));
      const entries = older.slice(0, query.limit);
      return { entries, nextBefore: older.length > query.limit ? (entries.at(-1)?.id ?? null) : null };
    };

    onNews = (listener: () => void): (() => void) => {
      this.listeners.add(listener);
      return () => this.listeners.delete(listener);
    };
  }
  const entry = (id: number): AuditEntry => ({
    id: String(id),
    occurredAt: '2026-01-01T00:00:00.000Z',
    actor: 'ada',
    action: 'update',
    entityType: 'notes',
    entityId: '1',
    oldValues: null,
    newValues: null,
    changedFields: null,
    mutationId: null,
    clientId: null,
    ip: null,
    userAgent: null,
  });
  const turn = () => act(async () => {});

  it('E1 · useAuditLogs reads page by page, and puts what is new before it, when told and when this device has confirmed', async () => {
    const log = new Log();
    log.add(1, 2, 3, 4, 5);
    const { app, wrapper, add } = await open(log);
    const filter = { entityType: 'notes', startDate: new Date(0) };
    const { result, unmount } = renderHook(() => useAuditLogs('north', { ...filter }, { limit: 2 }), { wrapper });
    const ids = () => result.current.entries.map(({ id }) => Number(id));
    await turn();
    expect([ids(), result.current.hasMore]).toEqual([[5, 4], true]);
    expect(log.asked.at(-1)).toEqual({
      entityType: 'notes',
      startDate: '1970-01-01T00:00:00.000Z',
      workspaceId: 'north',
      limit: 2,
      before: null,
    });
    await act(async () => result.current.loadMore());
    await act(async () => result.current.loadMore());
    expect([ids(), result.current.hasMore]).toEqual([[5, 4, 3, 2, 1], false]);

    log.add(6);
    await act(async () => {
      for (const listener of log.listeners) listener();
    });
    expect(ids()).toEqual([6, 5, 4, 3, 2, 1]);
    log.add(7);
    await add('1');
    await act(() => app.drain());
    expect(ids()).toEqual([7, 6, 5, 4, 3, 2, 1]);

    // more than a page at once: what is between is not known, so it begins anew
    log.add(8, 9, 10);
    await act(async () => result.current.refresh());
    expect([ids(), result.current.hasMore]).toEqual([[10, 9], true]);
    unmount();
    expect(log.listeners.size).toBe(0);
  });

  it('E1 · a log that cannot be read says why, keeps what it has, and reads again when the server is back', async () => {
    const log = new Log();
    log.add(1);
    const { app, wrapper } = await open(log);
    const { result } = renderHook(() => useAuditLogs('north'), { wrapper });
    await turn();
    app.network.setOffline();
    log.failsWith = new Error('No connection.');
    await act(async () => result.current.refresh());
    expect(result.current).toMatchObject({ isLoading: false, error: { message: 'No connection.' } });
    expect(result.current.entries.length).toBe(1);

    log.failsWith = null;
    log.add(2);
    await act(async () => {
      app.network.setOnline();
      await app.drain();
    });
    expect(result.current.error).toBeNull();
    expect(result.current.entries.length).toBe(2);
  });

  it('E1 · what renders again does not listen anew, as thousands of rows would with each change', async () => {
    const { app, wrapper } = await open();
    const counted = vi.spyOn(app.queue, 'subscribe');
    const { rerender } = renderHook(
      () => [useMutationQueue(), useMutationHistory(), useMutationStatus('1'), useStorageHealth(), useNetworkStatus()],
      { wrapper },
    );
    const { length } = counted.mock.calls;

    for (const id of ['1', '2', '3']) {
      await act(async () => {
        await app.queue.add({ type: 'note.save', payload: { id, text: 'x' } });
        await app.settle();
      });
      rerender();
    }

    expect(counted.mock.calls.length).toBe(length);
  });

  it('E1 · without anywhere to read from, useAuditLogs says what to do', async () => {
    const { wrapper } = await open();
    expect(() => renderHook(() => useAuditLogs('north'), { wrapper, onCaughtError: () => {} })).toThrow(
      'nowhere to read from',
    );
  });
});
