import { act, cleanup, render, screen } from '@testing-library/react';
import { StrictMode } from 'react';
import * as v from 'valibot';
import { afterEach, expect, it, onTestFinished } from 'vitest';
import { defineMutation } from '../mutation/definition.ts';
import { HoldfastError } from '../mutation/holdfast-error.ts';
import { createQueue } from '../queue/create-queue.ts';
import type { QueueOptions } from '../queue/options.ts';
import { memoryStorage } from '../storage/memory-storage.ts';
import { soloTabs } from '../tabs/solo-tabs.ts';
import { HoldfastProvider } from './holdfast-provider.tsx';
import { PendingList } from './pending-list.tsx';
import { StatusPill } from './status-pill.tsx';
import { StorageBanner } from './storage-banner.tsx';

const write = defineMutation({ type: 'log.write', payload: v.object({ line: v.string() }), operation: 'custom' });

afterEach(cleanup);

it('S11 · the banner says that changes are kept in this tab only, for as long as it is so, and tries again when asked', async () => {
  let isBroken = true;
  const open = memoryStorage();
  const queue = await openOffline({
    whenStorageFails: 'memory',
    storage: async (name) => {
      if (isBroken) throw new HoldfastError({ code: 'STORAGE_UNAVAILABLE', message: 'No disk.', hint: 'None.' });
      return { ...bound(await open(name)), durability: 'strict' };
    },
  });
  render(
    <StrictMode>
      <HoldfastProvider queue={queue}>
        <StorageBanner />
        <StatusPill />
        <PendingList />
      </HoldfastProvider>
    </StrictMode>,
  );
  expect(screen.getByRole('alert').textContent).toContain('This device cannot store your changes.');
  expect(screen.getByRole('alert').textContent).toContain('No disk.');
  const announced = screen.getByRole('alert').textContent;

  await act(() => queue.add({ type: 'log.write', payload: { line: 'a' } }));
  expect(screen.getByText('1 change is kept so now.')).toBeDefined();
  // Said once: a figure in it would have a screen reader interrupt each time that something is changed.
  expect(screen.getByRole('alert').textContent).toBe(announced);
  expect(pill()).toBe('Offline · 1 change in this tab only');
  expect(screen.getByText('In this tab only')).toBeDefined();
  await act(async () => {
    screen.getByRole('button', { name: 'Try again' }).click();
    await queue.retryStorage();
  });
  expect(screen.getByRole('alert')).toBeDefined();

  isBroken = false;
  await act(async () => {
    screen.getByRole('button', { name: 'Try again' }).click();
    await queue.retryStorage();
    await queue.ready;
  });
  expect(screen.queryByRole('alert')).toBeNull();
  expect(pill()).toBe('Offline · 1 change saved on this device');
  expect(screen.getByText('Saved on this device')).toBeDefined();
});

it('S11 · the banner says so too where a store of the app’s own keeps nothing beyond the page, and offers nothing that would not help', async () => {
  const queue = await openOffline({ storage: memoryStorage() });
  render(
    <StrictMode>
      <HoldfastProvider queue={queue}>
        <StorageBanner />
        <StatusPill />
      </HoldfastProvider>
    </StrictMode>,
  );
  await act(() => queue.add({ type: 'log.write', payload: { line: 'a' } }));

  expect(screen.getByRole('alert').textContent).toContain('kept in this tab only');
  expect(screen.getByText('1 change is kept so now.')).toBeDefined();
  expect(screen.queryByRole('button')).toBeNull();
  expect(pill()).toBe('Offline · 1 change in this tab only');
});

function pill(): string | undefined {
  return document.querySelector('.holdfast-pill')?.textContent;
}

/** A queue without a connection, on a store that the test can break. */
async function openOffline(options: Pick<QueueOptions<[typeof write]>, 'storage' | 'whenStorageFails'>) {
  const queue = createQueue({
    name: 'banner',
    identity: { userId: 'ada', workspaceId: 'north' },
    mutations: [write],
    transport: { send: () => new Promise(() => {}) },
    network: {
      isOnline: () => false,
      onHint: () => () => {},
      probe: async () => ({ kind: 'notReached', reason: 'off' }),
    },
    tabs: soloTabs,
    ...options,
  });
  onTestFinished(() => queue.close());
  await queue.ready;
  return queue;
}

/** A queue on a store that is so full, in percent; the platform can be asked at any time. */
async function openFilling() {
  const world = { used: 10, isRefusing: false };
  const open = memoryStorage();
  const queue = await openOffline({
    storage: async (name) => {
      const storage = bound(await open(name));
      return {
        ...storage,
        durability: 'strict',
        estimate: async () => ({ usedBytes: world.used, quotaBytes: 100 }),
        commit: async (batch) => {
          if (world.isRefusing) throw new HoldfastError({ code: 'STORAGE_FULL', message: 'No room.', hint: 'None.' });
          return storage.commit(batch);
        },
      };
    },
  });
  return Object.assign(world, { queue });
}

it('S8 · the banner says that the storage is almost full, frees what it can, and goes when there is room', async () => {
  const world = await openFilling();
  world.used = 85;
  render(
    <StrictMode>
      <StorageBanner queue={world.queue} />
    </StrictMode>,
  );
  expect((await screen.findByRole('status')).textContent).toContain('almost full');

  // The first try frees too little, the second enough.
  await act(async () => screen.getByRole('button', { name: 'Free some room' }).click());
  expect((await screen.findByText(/nothing more to free here/)).textContent).toContain('other sites');
  world.used = 40;
  await act(async () => screen.getByRole('button', { name: 'Free some room' }).click());

  await expect.poll(() => screen.queryByRole('status')).toBeNull();

  // Full again another day, it says nothing of what was tried then.
  world.isRefusing = true;
  await act(() => world.queue.add({ type: 'log.write', payload: { line: 'a' } }).catch(() => undefined));
  expect((await screen.findByRole('alert')).textContent).toContain('The storage of this device is full.');
  expect(screen.queryByText(/nothing more to free here/)).toBeNull();
});

it('S8 · a change that finds no room is announced at once, until it is dismissed', async () => {
  const world = await openFilling();
  render(<StorageBanner queue={world.queue} />);
  expect(screen.queryByRole('alert')).toBeNull();

  world.isRefusing = true;
  await act(() => world.queue.add({ type: 'log.write', payload: { line: 'a' } }).then(undefined, () => undefined));

  expect((await screen.findByRole('alert')).textContent).toContain('The storage of this device is full.');
  await act(async () => screen.getByRole('button', { name: 'Dismiss' }).click());
  expect(screen.queryByRole('alert')).toBeNull();
});

it('S8, E8 · full is not said any more when a change could be stored again, and is said anew when one could not', async () => {
  const world = await openFilling();
  render(<StorageBanner queue={world.queue} />);
  const add = () => act(() => world.queue.add({ type: 'log.write', payload: { line: 'a' } }).catch(() => undefined));
  // What is asked at the beginning has been answered.
  await act(() => world.queue.getStorageUsage());
  world.isRefusing = true;
  await add();
  expect((await screen.findByRole('alert')).textContent).toContain('The storage of this device is full.');

  world.isRefusing = false;
  await add();
  await expect.poll(() => screen.queryByRole('alert')).toBeNull();

  world.isRefusing = true;
  await add();
  expect((await screen.findByRole('alert')).textContent).toContain('The storage of this device is full.');
});

/** A store whose functions can be spread. */
function bound(storage: Awaited<ReturnType<ReturnType<typeof memoryStorage>>>) {
  return {
    commit: storage.commit.bind(storage),
    read: storage.read.bind(storage),
    scan: storage.scan.bind(storage),
    estimate: storage.estimate.bind(storage),
    close: storage.close.bind(storage),
  };
}
