import * as v from 'valibot';
import { describe, expect, it, onTestFinished } from 'vitest';
import { defineMutation } from '../../mutation/definition.ts';
import { FakeClock } from '../../queue/testing-queue/fake-clock.ts';
import type { AppState } from '../../ports/network-source.ts';
import type { AppNotification, NotificationPermissionState } from '../../ports/notifications.ts';
import { createTestApp } from '../../testing/test-app.ts';
import { createNotifier, type NotifierOptions, type NotifyingQueue } from './notifier.ts';

function open(options: Partial<NotifierOptions> = {}) {
  const clock = new FakeClock();
  const shown: AppNotification[] = [];
  const closed: string[] = [];
  const world = {
    pendingCount: 0,
    processingCount: 0,
    failedCount: 0,
    isOnline: true,
    appState: 'background' as AppState,
    permission: 'granted' as NotificationPermissionState,
    isBroken: false,
    isVolatile: false,
    settled: new Set<(settled: { readonly status: string }) => void>(),
    stored: new Set<() => void>(),
    storageRestored: new Set<() => void>(),
    changed: new Set<() => void>(),
    line: new Set<() => void>(),
    failed: new Set<(error: { readonly category: 'STORAGE_ERROR' | 'NETWORK_ERROR' }) => void>(),
  };
  const listen = <Listener>(listeners: Set<Listener>, listener: Listener): (() => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  const queue: NotifyingQueue = {
    getSnapshot: () => world,
    subscribe: (listener) => listen(world.changed, listener),
    on: (name: 'settled' | 'stored' | 'storageRestored', listener: (settled: { readonly status: string }) => void) =>
      listen(world[name] as typeof world.settled, listener),
    onError: (listener) => listen(world.failed, listener),
    network: {
      isOnline: () => world.isOnline,
      getSnapshot: () => world,
      onChange: (listener) => listen(world.line, listener),
    },
  };
  const notifier = createNotifier({
    queue,
    clock,
    port: {
      permission: () => world.permission,
      requestPermission: async () => {
        if (world.isBroken) throw new Error('not from here');
        world.permission = 'granted';
        return 'granted';
      },
      show: (notification) => {
        if (world.isBroken) throw new Error('no room');
        shown.push(notification);
      },
      close: (tag) => void closed.push(tag),
    },
    ...options,
  });
  const set = async (next: Partial<typeof world>): Promise<void> => {
    Object.assign(world, next);
    for (const listener of [...world.changed, ...world.line]) listener();
    await clock.settle();
  };
  const settle = async (status: string): Promise<void> => {
    world.pendingCount -= 1;
    if (status === 'failed') world.failedCount += 1;
    for (const listener of world.settled) listener({ status });
    await set({});
  };
  const titles = (): string[] => shown.map(({ title, body }) => `${title}: ${body}`);
  return { clock, world, notifier, shown, closed, set, settle, titles };
}

describe('what happens while the user looks elsewhere', () => {
  it('E10 · what ends while the user looks at the app leaves no notification of how far it is', async () => {
    const { set, world, settle, titles, closed } = open();
    await set({ pendingCount: 12, processingCount: 2 });
    expect(titles()).toEqual(['Sending your changes: 0 of 12 are confirmed.']);

    await set({ appState: 'active' });
    while (world.pendingCount > 0) await settle('completed');

    expect([titles().length, closed]).toEqual([1, ['holdfast/sync']]);
  });

  it('E10 · what is over while it is being shown is taken back when it is', async () => {
    const there = new Set<string>();
    let show = (): void => {};
    const { clock, set } = open({
      port: {
        permission: () => 'granted',
        requestPermission: async () => 'granted',
        show: async ({ tag }) => {
          await new Promise<void>((resolve) => (show = resolve));
          there.add(tag);
        },
        close: (tag) => void there.delete(tag),
      },
    });
    await set({ isOnline: false, pendingCount: 1 });
    await clock.pass(3_600_000);

    await set({ isOnline: true });
    show();
    await clock.settle();

    expect([...there]).toEqual([]);
  });

  it('E10 · stopped at a sign-out it takes back what it has told of as going on', async () => {
    const { set, notifier, clock, closed } = open();
    await set({ pendingCount: 12, processingCount: 2 });

    notifier.stop();
    await clock.settle();

    expect(closed).toEqual(['holdfast/sync', 'holdfast/offline', 'holdfast/failure', 'holdfast/storage']);
  });

  it('E10 · words of the app that throw harm nothing', async () => {
    const { set, world, settle, titles } = open({
      texts: {
        syncProgress: () => {
          throw new Error('no words');
        },
      },
    });
    await set({ pendingCount: 12, processingCount: 2 });
    while (world.pendingCount > 0) await settle('completed');

    expect(titles()).toEqual(['All changes are confirmed: 12 changes were sent.']);
  });

  it('E10 · many changes being sent are told as they go, at most once a second, and then that they are done', async () => {
    const { clock, set, settle, titles, shown } = open();
    await set({ pendingCount: 12, processingCount: 2 });
    for (let number = 0; number < 11; number += 1) {
      await clock.pass(300);
      await settle('completed');
    }
    await clock.pass(300);
    await settle('completed');
    expect(titles()).toEqual([
      'Sending your changes: 0 of 12 are confirmed.',
      'Sending your changes: 4 of 12 are confirmed.',
      'Sending your changes: 8 of 12 are confirmed.',
      'All changes are confirmed: 12 changes were sent.',
    ]);
    expect(new Set(shown.map(({ tag }) => tag)).size).toBe(1);
    expect(shown.map(({ isSilent }) => isSilent)).toEqual([true, true, true, false]);
  });

  it('E10 · what was refused or taken back is not called confirmed', async () => {
    const { clock, set, settle, titles } = open();
    await set({ pendingCount: 12, processingCount: 2 });
    await clock.pass(1_000);
    for (let number = 0; number < 5; number += 1) await settle('failed');
    await clock.pass(1_000);
    await settle('completed');
    await settle('cancelled');
    for (let number = 0; number < 5; number += 1) await settle('completed');
    expect(titles().filter((each) => !each.startsWith('Not accepted'))).toEqual([
      'Sending your changes: 0 of 12 are confirmed.',
      'Sending your changes: 0 of 12 are confirmed, 1 was not accepted.',
      'Sending your changes: 1 of 12 are confirmed, 5 were not accepted.',
      'Not all changes are confirmed: 6 of 11 are confirmed, 5 were not accepted.',
    ]);
  });

  it('E10 · of a queue that had all of 150 changes refused, none is called confirmed or sent; one that is left is counted as one', async () => {
    const save = defineMutation({
      type: 'note.save',
      operation: 'create',
      payload: v.object({ id: v.string() }),
      entity: ({ id }) => ({ table: 'notes', id }),
    });
    const app = await createTestApp({ mutations: [save] as const, tables: { notes: {} } });
    app.server.setErrorMode('validation');
    const said: string[] = [];
    const notifier = createNotifier({
      queue: app.queue,
      clock: app.clock,
      shows: 'always',
      port: {
        permission: () => 'granted',
        requestPermission: async () => 'granted',
        show: ({ title, body }) => void said.push(`${title}: ${body}`),
        close: () => {},
      },
    });
    onTestFinished(notifier.stop);
    app.network.setOffline();
    for (let id = 0; id < 150; id += 1) await app.queue.add({ type: 'note.save', payload: { id: String(id) } });
    app.network.setOnline();
    await app.drain();
    expect(said.at(-1)).toBe('Not all changes are confirmed: 0 of 150 are confirmed, 150 were not accepted.');
    expect(said.filter((each) => /confirmed: |[1-9]\d* of/.test(each))).toHaveLength(1);

    await app.queue.clear({});
    await app.queue.add({ type: 'note.save', payload: { id: 'z' } });
    await app.drain();

    expect(said.at(-1)).toBe('Not accepted: 1 change needs you. Open the app to see why.');
  });

  it('E10 · nothing is told as done where all was taken back', async () => {
    const { set, settle, titles, closed } = open();
    await set({ pendingCount: 10, processingCount: 1 });
    for (let number = 0; number < 10; number += 1) await settle('cancelled');
    expect(titles()).toEqual(['Sending your changes: 0 of 10 are confirmed.']);
    expect(closed).toEqual(['holdfast/sync']);
  });

  it('E10 · changes need their user for as long as they are there: discarded, they are not counted, and the last takes the words along', async () => {
    const { set, settle, titles, closed } = open();
    await set({ pendingCount: 3, failedCount: 7 });
    await settle('failed');
    await set({ failedCount: 0 });
    expect(closed).toEqual(['holdfast/failure']);

    await settle('failed');

    expect(titles()).toEqual([
      'Not accepted: 8 changes need you. Open the app to see why.',
      'Not accepted: 1 change needs you. Open the app to see why.',
    ]);
  });

  it('E10 · a few changes, and whatever is before the user’s eyes, are not told', async () => {
    const few = open();
    await few.set({ pendingCount: 9, processingCount: 1 });
    for (let number = 0; number < 9; number += 1) await few.settle('completed');
    expect(few.titles()).toEqual([]);

    const visible = open();
    await visible.set({ pendingCount: 50, processingCount: 1, appState: 'active' });
    await visible.settle('failed');
    expect(visible.titles()).toEqual([]);
  });

  it('E10 · a long time without the server is told once when something waits, and taken back when it is over', async () => {
    const { clock, set, titles, closed } = open({ longOfflineMs: 600_000 });
    await set({ isOnline: false, pendingCount: 3 });
    await clock.pass(599_000);
    await set({});
    expect(titles()).toEqual([]);
    await clock.pass(2_000);
    await set({});
    expect(titles()).toEqual([
      'Offline for a long time: 3 changes wait on this device for a connection. Nothing is lost.',
    ]);
    await set({ isOnline: true });
    expect(closed).toEqual(['holdfast/offline']);
    // a break starts the time anew
    await set({ isOnline: false });
    await clock.pass(500_000);
    await set({ isOnline: true });
    await set({ isOnline: false });
    await clock.pass(500_000);
    expect(titles()).toHaveLength(1);
  });

  it('E10 · refusals are counted in one notification, without a word of what they were about', async () => {
    const { set, settle, titles, shown, world } = open();
    await set({ pendingCount: 2 });
    await settle('failed');
    await settle('failed');
    for (const listener of world.failed) listener({ category: 'STORAGE_ERROR' });
    for (const listener of world.failed) listener({ category: 'NETWORK_ERROR' });
    await set({});
    expect(titles()).toEqual([
      'Not accepted: 1 change needs you. Open the app to see why.',
      'Not accepted: 2 changes need you. Open the app to see why.',
      'Changes cannot be saved: Open the app to see why.',
    ]);
    expect(shown.map(({ tag }) => tag)).toEqual(['holdfast/failure', 'holdfast/failure', 'holdfast/storage']);
  });

  it('E10 · that changes cannot be saved is taken back when they can again, and what was refused stays', async () => {
    const { set, settle, closed, world, clock } = open();
    await set({ pendingCount: 2 });
    await settle('failed');
    for (const listener of world.failed) listener({ category: 'STORAGE_ERROR' });
    await set({ isVolatile: true });
    for (const listener of world.stored) listener();
    await clock.settle();
    expect(closed).toEqual([]);

    await set({ isVolatile: false });
    for (const listener of world.storageRestored) listener();
    for (const listener of world.stored) listener();
    await clock.settle();

    expect(closed).toEqual(['holdfast/storage']);
  });

  it('E10 · on a device that was full it is taken back with the first change that finds room', async () => {
    const saveNote = defineMutation({
      type: 'note.save',
      operation: 'create',
      payload: v.object({ id: v.string() }),
      entity: ({ id }) => ({ table: 'notes', id }),
    });
    const app = await createTestApp({ mutations: [saveNote], tables: { notes: {} } });
    const there = new Set<string>();
    const notifier = createNotifier({
      queue: app.queue,
      clock: app.clock,
      shows: 'always',
      port: {
        permission: () => 'granted',
        requestPermission: async () => 'granted',
        show: ({ title }) => void there.add(title),
        close: (tag) => void (tag === 'holdfast/storage' && there.clear()),
      },
    });
    onTestFinished(notifier.stop);
    app.server.hold();
    await app.queue.add({ type: 'note.save', payload: { id: '1' } });
    app.storage.setFull(true);
    app.server.release();
    await app.drain();
    expect([...there]).toEqual(['Changes cannot be saved']);

    app.storage.setFull(false);
    await app.queue.add({ type: 'note.save', payload: { id: '2' } });
    await app.settle();

    expect([...there]).toEqual([]);
  });
});

describe('permission', () => {
  it('E10 · denied, or not asked for yet, is silent; asked for and granted, it is told', async () => {
    for (const permission of ['denied', 'default'] as const) {
      const { set, settle, shown, notifier } = open();
      await set({ permission, pendingCount: 20, processingCount: 1 });
      await settle('failed');
      expect(shown).toEqual([]);
      expect(await notifier.requestPermission()).toBe('granted');
      await settle('failed');
      expect(shown.length).toBeGreaterThan(0);
    }
  });

  it('E10 · a platform that fails harms nothing, and one that stopped tells nothing', async () => {
    const { set, settle, notifier, shown, clock } = open();
    await set({ isBroken: true, pendingCount: 20, processingCount: 1 });
    await settle('failed');
    expect(await notifier.requestPermission()).toBe('denied');
    notifier.stop();
    await set({ isBroken: false, isOnline: false });
    await settle('failed');
    await clock.pass(10_000_000);
    expect([shown, clock.waitingCount]).toEqual([[], 0]);
  });

  it('E10 · words can be one’s own', async () => {
    const { set, settle, titles } = open({
      texts: { criticalFailure: ({ failedCount }) => ({ title: 'Abgelehnt', body: `${failedCount}` }) },
    });
    await set({ pendingCount: 1 });
    await settle('failed');
    expect(titles()).toEqual(['Abgelehnt: 1']);
  });
});
