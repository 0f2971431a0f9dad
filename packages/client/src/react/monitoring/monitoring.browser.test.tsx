import { act, cleanup, render, screen } from '@testing-library/react';
import { type ReactNode, StrictMode } from 'react';
import { renderToString } from 'react-dom/server';
import * as v from 'valibot';
import { afterEach, describe, expect, it } from 'vitest';
import { defineMutation } from '../../mutation/definition.ts';
import { createTestApp } from '../../testing/test-app.ts';
import { HoldfastProvider } from '../holdfast-provider.tsx';
import { LongOfflineNotice } from '../long-offline-notice.tsx';
import { HealthPanel } from './health-panel.tsx';
import type { MonitoringOptions } from './production-monitor.ts';
import {
  type ProductionMonitoring,
  ProductionMonitoringProvider,
  useProductionMonitoring,
} from './production-monitoring-provider.tsx';

const saveNote = defineMutation({
  type: 'note.save',
  payload: v.object({ id: v.string(), text: v.string() }),
  operation: 'create',
  entity: ({ id }) => ({ table: 'notes', id }),
});

/** Nothing on the server handles it. */
const buyMoon = defineMutation({ type: 'moon.buy', payload: v.object({}), operation: 'custom' });

afterEach(cleanup);

async function open(options: MonitoringOptions & { readonly children?: ReactNode } = {}) {
  const app = await createTestApp({ mutations: [saveNote, buyMoon] });
  const seen: ProductionMonitoring[] = [];
  function Look(): null {
    seen.push(useProductionMonitoring());
    return null;
  }
  const { children = <HealthPanel />, ...monitoring } = options;
  const memory = { usedJSHeapSize: 50, jsHeapSizeLimit: 100, usagePercent: 50 };
  const tree = (
    <StrictMode>
      <HoldfastProvider queue={app.queue}>
        <ProductionMonitoringProvider clock={app.clock} readMemory={() => memory} {...monitoring}>
          <Look />
          {children}
        </ProductionMonitoringProvider>
      </HoldfastProvider>
    </StrictMode>
  );
  const view = await act(async () => {
    const rendered = render(tree);
    await app.settle();
    return rendered;
  });
  const add = (id: string) =>
    act(async () => {
      await app.queue.add({ type: 'note.save', payload: { id, text: 'Milk' } });
      await app.settle();
    });
  const pass = (ms: number) => act(() => app.clock.advance(ms));
  const last = (): ProductionMonitoring => {
    const monitoring = seen.at(-1);
    if (monitoring === undefined) throw new Error('Nothing was rendered.');
    return monitoring;
  };
  return { app, view, tree, seen, add, pass, last };
}

describe('how the queue does', () => {
  it('E5 · it tells what waits, what failed, the line and the memory, and looks again within a second of a change', async () => {
    const { app, add, pass, last } = await open();
    expect(last()).toMatchObject({
      isAutoSyncing: false,
      metrics: { syncQueueCount: 0, failedRequestsCount: 0, errorCount: 0, memoryUsage: { usagePercent: 50 } },
      systemHealth: { status: 'healthy' },
    });
    app.network.setOffline();
    await add('1');
    await pass(1_000);
    expect(last().metrics).toMatchObject({ syncQueueCount: 1, networkStatus: { isOnline: false } });
    expect(last().isOnline()).toBe(false);
    expect(last().metrics.uptimeMs).toBeGreaterThanOrEqual(1_000);
  });

  it('E5 · with a change older than five minutes it is degraded, and healthy again when that is sent', async () => {
    const told: string[] = [];
    const { app, add, pass, last } = await open({ onHealthChange: ({ status }) => told.push(status) });
    app.network.setOffline();
    await add('1');
    await pass(5 * 60_000 + 11_000);
    expect(last().systemHealth).toMatchObject({ status: 'degraded', issues: [{ code: 'OLDEST_PENDING' }] });
    app.network.setOnline();
    await pass(60_000);
    expect([last().systemHealth.status, last().metrics.syncQueueCount]).toEqual(['healthy', 0]);
    expect(told).toEqual(['degraded', 'healthy']);
  });

  it('E5 · refusals and a full memory make it critical, by limits that the app may set', async () => {
    const { app, pass, last, add } = await open({
      limits: { verdictCountMin: 1 },
      readMemory: () => ({ usedJSHeapSize: 96, jsHeapSizeLimit: 100, usagePercent: 96 }),
    });
    await pass(1_000);
    expect(last().systemHealth.issues.map(({ code }) => code)).toEqual(['MEMORY']);
    await act(async () => {
      await app.queue.add({ type: 'moon.buy', payload: {} });
      await app.drain();
    });
    await add('1');
    await pass(2_000);
    expect(last().systemHealth.issues.map(({ code, status }) => `${code} ${status}`)).toEqual([
      'FAILURE_RATE critical',
      'MEMORY critical',
    ]);
    const detailed = await act(() => last().getDetailedMetrics());
    expect(detailed).toMatchObject({
      queue: { verdictCount: 2, successRate: 0.5 },
      status: { counts: { failed: 1 } },
      network: { uptimePercent: 100 },
      metrics: { failedRequestsCount: 1 },
    });
    expect(detailed.errors.map(({ code }) => code)).toEqual(['NO_HANDLER']);

    const cleared = await act(() => last().clearAllData({ actor: 'ada', reason: 'a test' }));
    await pass(1_000);
    expect([cleared.touchedCount, last().metrics.failedRequestsCount]).toEqual([1, 0]);
    expect(await app.queue.listActs()).toMatchObject([{ actor: 'ada', reason: 'a test' }]);
  });

  it('E5 · when it is gone, nothing listens or waits any more; its snapshot stays the same until it looks again', async () => {
    const { app, view, seen, pass } = await open();
    await pass(500);
    expect(seen.at(-1)?.metrics).toBe(seen.at(-2)?.metrics);
    const countBefore = app.clock.waitingCount;
    view.unmount();
    expect(app.clock.waitingCount).toBe(countBefore - 1);
  });

  it('E5 · it renders on a server, and a hook without its provider says what is missing', async () => {
    const { tree, app } = await open();
    expect(renderToString(tree)).toContain('Healthy');
    function Lost(): null {
      useProductionMonitoring();
      return null;
    }
    expect(() =>
      render(
        <HoldfastProvider queue={app.queue}>
          <Lost />
        </HoldfastProvider>,
        { onCaughtError: () => {} },
      ),
    ).toThrow('outside of a `<ProductionMonitoringProvider>`');
  });
});

describe('the panel', () => {
  it('E8 · it sends now, says how that went, and lets the user refresh, by keyboard too', async () => {
    const { app, add, pass } = await open();
    app.network.setOffline();
    for (const id of ['1', '2', '3']) await add(id);
    await pass(1_000);
    const send = screen.getByRole('button', { name: 'Send now' });
    expect(screen.getByText('Waiting to be sent').nextSibling?.textContent).toBe('3');
    app.network.setOnline();
    send.focus();
    expect(document.activeElement).toBe(send);
    await act(async () => {
      send.click();
      await app.drain();
    });
    expect(screen.getByText('3 of 3 confirmed.')).toBeDefined();
    expect(screen.getByRole('button', { name: 'Send now' }).getAttribute('aria-disabled')).toBe('true');
    await act(async () => {
      screen.getByRole('button', { name: 'Refresh' }).click();
      await app.settle();
    });
    expect(screen.getByText('Looked just now.')).toBeDefined();
  });

  it('E8 · after a long time offline a notice says what is safe, and is gone when the server is back', async () => {
    const { app, add, pass, view } = await open({ children: null });
    view.rerender(
      <HoldfastProvider queue={app.queue}>
        <LongOfflineNotice afterMs={60_000} clock={app.clock} />
      </HoldfastProvider>,
    );
    app.network.setOffline();
    await add('1');
    // The region is there before it says something: what comes together with its region is not announced everywhere.
    expect(screen.getByRole('status').textContent).toBe('');
    await pass(61_000);
    expect(screen.getByRole('status').textContent).toContain('Your change is safe on this device');
    app.network.setOnline();
    await act(async () => {
      screen.getByRole('button', { name: 'Try to connect' }).click();
      await app.drain();
    });
    expect(screen.getByRole('status').textContent).toBe('');
  });
});
