import { renderToString } from 'react-dom/server';
import { expect, it, vi } from 'vitest';
import { createQueue } from '../queue/create-queue.ts';
import { memoryStorage } from '../storage/memory-storage.ts';
import { soloTabs } from '../tabs/solo-tabs.ts';
import { HoldfastProvider } from './holdfast-provider.tsx';
import { PendingList } from './pending-list.tsx';
import { StatusPill } from './status-pill.tsx';

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
  const html = renderToString(
    <HoldfastProvider queue={queue}>
      <StatusPill />
      <PendingList />
    </HoldfastProvider>,
  );
  expect(html).toContain('Opening');
  expect(html).toContain('Opening what is stored');
  expect(warned).not.toHaveBeenCalled();
});
