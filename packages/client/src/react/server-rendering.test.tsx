import { renderToString } from 'react-dom/server';
import { expect, it, vi } from 'vitest';
import { httpAuditLog } from '../reading/http-audit-log.ts';
import { createQueue } from '../queue/create-queue.ts';
import { memoryStorage } from '../storage/memory-storage.ts';
import { soloTabs } from '../tabs/solo-tabs.ts';
import { createEntityHooks } from './entities/create-entity-hooks.ts';
import { AuditLogViewer } from './audit/audit-log-viewer.tsx';
import { QueueControls } from './controls/queue-controls.tsx';
import { HoldfastProvider } from './holdfast-provider.tsx';
import { PendingList } from './pending-list.tsx';
import { StorageBanner } from './storage-banner.tsx';
import { StatusPill } from './status-pill.tsx';
import { createAccount } from './testing-accounts/accounts.ts';
import { createToasts } from './toasts/mutation-toasts.ts';
import { MutationTimeline } from './timeline/mutation-timeline.tsx';
import { useToasts } from './toasts/toast-context.ts';
import { useAdminQueueControls } from './use-admin-queue-controls.ts';
import { useAuditLogs } from './use-audit-logs.ts';
import { useBulkMutation } from './use-bulk-mutation.ts';
import { useMutationHistory } from './use-mutation-history.ts';
import { useMutationQueue } from './use-mutation-queue.ts';
import { useNetworkStatus } from './use-network-status.ts';
import { useSyncProgress } from './use-sync-progress.ts';

const { useCreateAccount } = createEntityHooks({ name: 'account', create: createAccount });

it('E1 · hooks and components render on a server, without a warning', () => {
  const warned = vi.spyOn(console, 'error');
  const queue = createQueue({
    name: 'test',
    identity: { userId: 'ada', workspaceId: 'north' },
    mutations: [],
    transport: { send: () => new Promise(() => {}) },
    storage: memoryStorage(),
    tabs: soloTabs,
  });
  const audit = httpAuditLog({ getToken: () => Promise.reject(new Error('A server reads nothing.')) });
  const toasts = createToasts({ queue, port: { show: () => {}, dismiss: () => {} } });
  function Hooks(): string {
    const { doneShare } = useSyncProgress();
    const { entries, isLoading } = useAuditLogs('north', { startDate: new Date(0) });
    const { isOnline } = useNetworkStatus();
    const { pendingCount } = useMutationQueue();
    const history = useMutationHistory();
    useAdminQueueControls();
    useBulkMutation();
    const { status } = useCreateAccount();
    useToasts();
    return [status, doneShare, entries.length, isLoading, isOnline, pendingCount, history.length].join(' ');
  }
  const html = renderToString(
    <HoldfastProvider queue={queue} audit={audit} toasts={toasts}>
      <StorageBanner />
      <StatusPill />
      <PendingList />
      <AuditLogViewer />
      <QueueControls />
      <MutationTimeline id="unknown" />
      <Hooks />
    </HoldfastProvider>,
  );
  expect(html).toContain('idle 1 0 true true 0 0');
  expect(html).toContain('Opening');
  expect(html).toContain('Opening what is stored');
  expect(warned).not.toHaveBeenCalled();
});
