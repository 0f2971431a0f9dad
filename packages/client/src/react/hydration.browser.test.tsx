import { act, cleanup } from '@testing-library/react';
import type { ReactNode } from 'react';
import { hydrateRoot } from 'react-dom/client';
import { renderToString } from 'react-dom/server.browser';
import { afterEach, expect, it, vi } from 'vitest';
import { createQueue } from '../queue/create-queue.ts';
import { memoryStorage } from '../storage/memory-storage.ts';
import { soloTabs } from '../tabs/solo-tabs.ts';
import { ConflictChooser } from './conflicts/conflict-chooser.tsx';
import { QueueControls } from './controls/queue-controls.tsx';
import { HoldfastProvider } from './holdfast-provider.tsx';
import { LongOfflineNotice } from './long-offline-notice.tsx';
import { HealthPanel } from './monitoring/health-panel.tsx';
import { ProductionMonitoringProvider } from './monitoring/production-monitoring-provider.tsx';
import { PendingList } from './pending-list.tsx';
import { StatusPill } from './status-pill.tsx';
import { openAccounts } from './testing-accounts/accounts.ts';
import { MutationTimeline } from './timeline/mutation-timeline.tsx';
import { useMutationHistory } from './use-mutation-history.ts';
import { useMutationStatus } from './use-mutation-status.ts';
import { useSyncProgress } from './use-sync-progress.ts';

afterEach(cleanup);

const ID = '0192f0c0-0000-7000-8000-000000000001';

const History = (): ReactNode => <p>{useMutationHistory().length} changes</p>;
const Status = (): ReactNode => <p>{useMutationStatus(ID)?.sentence ?? 'not known'}</p>;
const Progress = (): ReactNode => <p>{useSyncProgress().totalCount} under way</p>;

it.each<[string, ReactNode, RegExp]>([
  ['PendingList', <PendingList key="it" />, /account\.create 1/],
  ['StatusPill', <StatusPill key="it" />, /1 change saved on this device/],
  ['QueueControls', <QueueControls key="it" />, /Pause/],
  [
    'HealthPanel',
    <ProductionMonitoringProvider key="it">
      <HealthPanel />
    </ProductionMonitoringProvider>,
    /Healthy/,
  ],
  ['ConflictChooser', <ConflictChooser key="it" actor="ann" />, /Nothing is in conflict/],
  ['LongOfflineNotice', <LongOfflineNotice key="it" />, /^$/],
  ['MutationTimeline', <MutationTimeline key="it" id={ID} />, /./],
  ['useMutationHistory', <History key="it" />, /1 changes/],
  ['useMutationStatus', <Status key="it" />, /saved on this device/],
  ['useSyncProgress', <Progress key="it" />, /under way/],
])(
  'E1 · %s takes over what a server has rendered although the queue is open already, and shows it then',
  async (_, part, shown) => {
    const app = await openAccounts();
    app.network.setOffline();
    await app.queue.add({ type: 'account.create', payload: { id: '1', name: 'Acme' }, id: ID });
    await app.settle();
    const onServer = createQueue({
      name: 'on-a-server',
      identity: { userId: 'ada', workspaceId: 'north' },
      mutations: [],
      transport: { send: () => new Promise(() => {}) },
      storage: memoryStorage(),
      tabs: soloTabs,
    });
    const page = document.createElement('div');
    page.innerHTML = renderToString(<HoldfastProvider queue={onServer}>{part}</HoldfastProvider>);
    document.body.append(page);
    const told = vi.spyOn(console, 'error');

    let root = { unmount: (): void => {} };
    await act(async () => {
      root = hydrateRoot(page, <HoldfastProvider queue={app.queue}>{part}</HoldfastProvider>, {
        onRecoverableError: (error) => console.error(error),
      });
      await app.settle();
    });

    expect(told).not.toHaveBeenCalled();
    expect(page.textContent).toMatch(shown);
    await act(async () => root.unmount());
    told.mockRestore();
    page.remove();
    await onServer.close();
  },
);
