import * as v from 'valibot';
import { describe, expect, onTestFinished, test } from 'vitest';
import { defineMutation } from '../../mutation/definition.ts';
import { HoldfastError } from '../../mutation/holdfast-error.ts';
import { createQueue } from '../../queue/create-queue.ts';
import { FakeClock } from '../../queue/testing-queue/fake-clock.ts';
import { note, TestDevice } from '../../queue/testing-queue/test-device.ts';
import { soloTabs } from '../../tabs/solo-tabs.ts';
import { createTestApp } from '../../testing/test-app.ts';
import type { AnyQueue } from '../queue-context.ts';
import { openAccounts } from '../testing-accounts/accounts.ts';
import { createToasts } from './mutation-toasts.ts';
import type { Toast, ToastPort } from './toast-port.ts';

const payload = v.object({ id: v.string(), name: v.string() });
const entity = ({ id }: { readonly id: string }) => ({ table: 'accounts', id });
const giveWay = defineMutation({ type: 'give.way', operation: 'update', conflict: 'server-wins', payload, entity });
const merged = defineMutation({
  type: 'merged',
  operation: 'update',
  coalesce: (_older, newer) => newer,
  payload,
  entity,
});

/** A screen that keeps what is on it. */
function openScreen() {
  const screen = new Map<string, Toast>();
  const port: ToastPort = { show: (toast) => screen.set(toast.id, toast), dismiss: (id) => screen.delete(id) };
  const words = ({ tone, text, detail }: Toast) => `${tone}: ${text}${detail === null ? '' : ` | ${detail}`}`;
  return {
    port,
    screen: () => [...screen.values()].map(words),
    last: (at = -1) => [...screen.values()].at(at),
    closeAll: () => screen.clear(),
  };
}

async function open() {
  const app = await openAccounts();
  const shown = openScreen();
  const toasts = createToasts({ queue: app.queue, clock: app.clock, port: shown.port });
  onTestFinished(toasts.start());
  const create = async (count: number, name = 'Acme') => {
    for (let id = 1; id <= count; id += 1)
      await app.queue.add({ type: 'account.create', payload: { id: `${name}-${id}`, name } });
    await app.settle();
  };
  return { app, toasts, create, ...shown };
}

describe('what was taken back', () => {
  test('E2 · many that were taken back before they were sent are not called confirmed', async () => {
    const { app, create, screen, last } = await open();
    app.network.setOffline();
    await create(10);

    await app.queue.clear({});
    await app.clock.advance(1_000);

    expect(screen().slice(0, 3)).toEqual(['Acme-1', 'Acme-2', 'Acme-3'].map((id) => `success: ${id}: taken back`));
    expect(screen().at(-1)).toBe('info: 7 changes taken back');
    expect(last()?.durationMs).toBe(4_000);
  });

  test('E2 · of many, those that were taken back are counted apart from those that are confirmed', async () => {
    const { app, create, screen } = await open();
    app.network.setOffline();
    await create(3);
    await create(4, 'Bolt');
    await app.queue.cancel(app.queue.listUnconfirmed(7).at(-1)?.id ?? '');
    await app.clock.advance(200);
    expect(screen().at(-1)).toBe('info: 3 changes saved on this device | 1 change taken back');

    app.network.setOnline();
    await app.drain();

    expect(screen().at(-1)).toBe('success: 3 changes confirmed | 1 change taken back');
  });
});

describe('what was overruled', () => {
  test('C1, E2 · an edit that gave way to what somebody else had changed is said not to be saved', async () => {
    const app = await createTestApp({
      mutations: [giveWay] as const,
      tables: { accounts: { columns: ['name'], versionColumn: 'version' } },
    });
    app.server.insert('accounts', { id: '1', name: 'theirs', version: 5 });
    const { port, screen } = openScreen();
    onTestFinished(createToasts({ queue: app.queue, clock: app.clock, port }).start());

    const base = { rowVersion: 1, row: { id: '1', name: 'old', version: 1 } };
    await app.queue.add({ type: 'give.way', payload: { id: '1', name: 'mine' }, base });
    await app.drain();

    expect(screen()).toEqual(['info: 1 was not saved | Someone else has changed the same.']);
  });
});

describe('where it is kept', () => {
  test('S11, E2 · while this device cannot store, a change is said to be in this tab only', async () => {
    const clock = new FakeClock();
    const queue = createQueue({
      name: 'volatile',
      identity: { userId: 'ada', workspaceId: 'north' },
      mutations: [giveWay],
      transport: { send: () => new Promise(() => {}) },
      network: {
        isOnline: () => false,
        onHint: () => () => {},
        probe: async () => ({ kind: 'notReached', reason: 'off' }),
      },
      tabs: soloTabs,
      whenStorageFails: 'memory',
      storage: async () => {
        throw new HoldfastError({ code: 'STORAGE_UNAVAILABLE', message: 'No disk.', hint: 'None.' });
      },
    });
    onTestFinished(() => queue.close());
    await queue.ready;
    const { port, screen, last } = openScreen();
    onTestFinished(createToasts({ queue: queue as unknown as AnyQueue, clock, port }).start());

    for (const id of ['1', '2', '3', '4', '5']) await queue.add({ type: 'give.way', payload: { id, name: 'mine' } });

    expect(screen().at(0)).toBe('info: 1: change in this tab only | Keep it open, or it is lost.');
    expect(last(0)?.durationMs).toBeNull();
    await clock.pass(1_000);
    expect(screen().at(-1)).toBe('info: 2 changes in this tab only | Keep it open, or it is lost.');
    expect(last()?.durationMs).toBeNull();
  });
});

describe('trying again', () => {
  test('E2 · what could not be stored is not offered to be tried again once the same row was changed by a later change', async () => {
    const { app, toasts, screen } = await open();
    const change = { type: 'account.update', payload: { id: '1', name: 'older' } } as const;
    const toastId = toasts.begin(change.type, change.payload);
    const full = new HoldfastError({ code: 'STORAGE_FULL', message: 'No room.', hint: 'Free some.' });
    toasts.notStored(toastId, change, full, () => {});
    const other = toasts.begin('account.update', { id: '2', name: 'other' });
    toasts.notStored(other, { type: 'account.update', payload: { id: '2', name: 'other' } }, full, () => {});
    expect(screen()).toEqual([1, 2].map((id) => `error: ${id} could not be saved | No room. Free some.`));

    app.network.setOffline();
    await app.queue.add({ type: 'account.update', payload: { id: '1', name: 'newer' } });
    await app.settle();

    expect(screen()).toEqual([
      'error: 2 could not be saved | No room. Free some.',
      expect.stringMatching(/^info: 1: change saved on this device/),
    ]);
  });

  test('E2 · what could not be stored is told once, however often the same row was tried to be changed', async () => {
    const { toasts, screen } = await open();
    const full = new HoldfastError({ code: 'STORAGE_FULL', message: 'No room.', hint: 'Free some.' });
    for (const name of ['first try', 'second try']) {
      const change = { type: 'account.update', payload: { id: '1', name } } as const;
      toasts.notStored(toasts.begin(change.type, change.payload), change, full, () => {});
    }

    expect(screen()).toEqual(['error: 1 could not be saved | No room. Free some.']);
  });

  test('E2 · of a dead letter that was discarded nothing is said any more', async () => {
    const { app, create, screen } = await open();
    await create(1, 'bad');
    await app.drain();
    expect(screen()).toEqual([expect.stringMatching(/^error: bad-1 could not be created/)]);

    const [dead] = app.queue.listUnconfirmed(1);
    await app.queue.discard(dead?.id ?? '', 'Not needed');

    expect(screen()).toEqual([]);
  });

  test('E2 · of many dead letters those are counted that are left, tried again or not, and none when all are discarded', async () => {
    const { app, create, screen, last } = await open();
    app.network.setOffline();
    await create(3);
    await create(5, 'bad');
    app.network.setOnline();
    await app.drain();
    expect(last()?.text).toBe('5 of 5 changes could not be saved');

    const [one] = app.queue.listUnconfirmed(1);
    await app.queue.discard(one?.id ?? '', 'Not needed');
    expect(last()?.text).toBe('4 of 4 changes could not be saved');

    app.network.setOffline();
    last()?.action?.onSelect();
    await app.settle();
    await app.clock.advance(100);
    expect(screen().at(-1)).toBe('info: 4 changes saved on this device');

    app.network.setOnline();
    await app.drain();
    expect(last()?.text).toBe('4 of 4 changes could not be saved');
    await app.queue.clear({});
    await app.settle();
    expect(screen().length).toBe(3);
  });

  test('E2 · a dead letter that is retried from elsewhere goes on on its toast', async () => {
    const { app, create, screen } = await open();
    app.server.setErrorMode('validation');
    await create(1);
    await app.drain();
    app.server.setErrorMode(null);

    await app.queue.retryFailed();
    await app.settle();
    await app.drain();

    expect(screen()).toEqual(['success: Acme-1 created']);
  });
});

describe('a refused change of a row that was changed again since', () => {
  const asked = 'This would overwrite a later change.';
  const openRefused = async (count = 1) => {
    const shown = await open();
    const { app } = shown;
    const change = async (id: number, name: string) => {
      await app.queue.add({ type: 'account.update', payload: { id: String(id), name } });
      await app.clock.advance(1);
    };
    for (let id = 1; id <= count; id += 1) app.server.insert('accounts', { id: String(id), name: 'old' });
    app.server.setErrorMode('validation');
    app.network.setOffline();
    for (let id = 1; id <= count; id += 1) await change(id, 'older');
    app.network.setOnline();
    await app.drain();
    app.server.setErrorMode(null);
    return { ...shown, change, name: (id: number) => app.server.row('accounts', String(id))?.['name'] };
  };

  test('E2 · is not tried again in silence: its toast asks, and overwrites when told to', async () => {
    const { app, change, screen, last, name } = await openRefused();
    const refused = last();
    await change(1, 'newer');
    await app.drain();

    refused?.action?.onSelect();
    await app.settle();
    await app.drain();
    expect([screen()[0], name(1)]).toEqual([`error: 1 could not be saved | ${asked}`, 'newer']);

    last(0)?.action?.onSelect();
    await app.settle();
    await app.drain();
    expect([screen()[0], name(1)]).toEqual(['success: 1 saved', 'older']);
  });

  test('E2 · of many, the others are tried again, and those are asked about', async () => {
    const { app, change, screen, last, name } = await openRefused(6);
    await change(5, 'newer');
    await app.drain();
    const group = screen().findIndex((text) => text.includes('3 of 3'));

    last(group)?.action?.onSelect();
    await app.settle();
    await app.drain();
    expect([4, 5, 6].map(name)).toEqual(['older', 'newer', 'older']);
    expect(screen()[group]).toMatch(/^error: 1 of 3 changes could not be saved/);
    last(group)?.action?.onSelect();
    await app.settle();
    expect(screen()[group]).toBe(`error: 1 of 3 changes could not be saved | ${asked}`);
    last(group)?.action?.onSelect();
    await app.settle();
    await app.drain();

    expect([name(5), screen()[group]]).toEqual(['older', 'success: 3 changes confirmed']);
  });

  test('E2 · is tried again at once where the later one was refused as well', async () => {
    const { app, change, last, name } = await openRefused();
    app.server.setErrorMode('validation');
    await change(1, 'newer');
    await app.drain();
    app.server.setErrorMode(null);

    last(0)?.action?.onSelect();
    await app.settle();
    await app.drain();

    expect(name(1)).toBe('older');
  });
});

test('E2 · of many from an earlier run that are refused the first three have a toast each, and all others share one', async () => {
  const app = await openAccounts();
  app.network.setOffline();
  for (let id = 1; id <= 50; id += 1)
    await app.queue.add({ type: 'account.create', payload: { id: `bad-${id}`, name: 'bad' } });
  const { port, screen, last } = openScreen();
  onTestFinished(createToasts({ queue: app.queue, clock: app.clock, port }).start());

  app.network.setOnline();
  await app.drain();
  await app.clock.advance(1_000);

  expect(screen().length).toBe(4);
  expect(last()?.text).toBe('47 of 47 changes could not be saved');
});

describe('two tabs', () => {
  /** The first delivers. */
  async function openTwo() {
    const app = await openAccounts();
    const queues = [app.queue, await app.openTab()] as const;
    const screens = queues.map((queue) => {
      const shown = openScreen();
      const toasts = createToasts({ queue, clock: app.clock, port: shown.port });
      onTestFinished(toasts.start());
      return shown.screen;
    });
    const bad = (toast?: false) => ({
      type: 'account.create' as const,
      payload: { id: '1', name: 'bad' },
      ...(toast === undefined ? {} : { toast }),
    });
    return { app, second: queues[1], screens: () => screens.map((screen) => screen()), bad };
  }
  const refused = 'error: 1 could not be created | A name must not be bad.';

  test('E2, Q19 · what was refused is told in the tab that has made it, and nowhere else', async () => {
    const { app, second, screens, bad } = await openTwo();
    await second.add(bad());
    await app.drain();
    await app.clock.advance(10_000);

    expect(screens()).toEqual([[], [refused]]);
  });

  test('E2, Q19 · where its tab tells of it in another way, no toast does', async () => {
    const { app, second, screens, bad } = await openTwo();
    await second.add(bad(false));
    await app.drain();
    await app.clock.advance(10_000);

    expect(screens()).toEqual([[], []]);
  });

  test('E2, Q19 · when its tab is gone, the one that delivers tells it', async () => {
    const { app, second, screens, bad } = await openTwo();
    app.network.setOffline();
    await second.add(bad());
    await app.settle();
    await app.killTab(second);
    app.network.setOnline();
    await app.drain();
    await app.clock.advance(10_000);

    expect(screens()[0]).toEqual([refused]);
  });
});

describe('a verdict that a tab did not hear', () => {
  async function openUnheard(count: number) {
    const device = new TestDevice();
    const leader = await device.open();
    const other = await device.open();
    const { port, screen, last } = openScreen();
    const toasts = createToasts({ queue: other as unknown as AnyQueue, clock: device.clock, port });
    onTestFinished(toasts.start());
    device.server.hold();
    const ids: string[] = [];
    for (let index = 1; index <= count; index += 1) ids.push((await other.add(note(`n${index}`))).id);
    await device.clock.settle();
    device.browser.isLosingMessages = true;
    device.server.release();
    await device.clock.settle();
    const sweep = async () => {
      const store = await device.storage.peek();
      const all = await store.scan({ prefix: '', limit: 1_000 });
      const swept = all.filter(({ key }) => ids.some((id) => key.endsWith(id)));
      await store.commit({ expect: [], changes: swept.map(({ key }) => ({ kind: 'delete' as const, key })) });
    };
    return { device, leader, ids, sweep, toasts, screen, last };
  }

  test('E2 · is read from the history, and told', async () => {
    const { device, screen } = await openUnheard(1);
    await device.clock.pass(120_000);

    expect(screen()).toEqual(['success: n1 saved']);
  });

  test('E2 · and is on record no more is said to be unknown; no toast turns for ever', async () => {
    const { device, sweep, screen, last } = await openUnheard(1);
    await sweep();
    await device.clock.pass(120_000);

    expect(screen()).toEqual([
      'info: n1: change no longer in the queue | How it ended was not heard in this tab: look whether it is there.',
    ]);
    expect(last()?.durationMs).toBeNull();
  });

  test('E2 · of many is counted as unknown', async () => {
    const { device, sweep, screen } = await openUnheard(6);
    await sweep();
    await device.clock.pass(120_000);

    expect(screen().at(-1)).toBe('info: 3 changes no longer in the queue');
  });

  test('E2 · while no toasts were there is told when they are again, and what nobody would change is gone meanwhile', async () => {
    const app = await openAccounts();
    const { port, screen } = openScreen();
    const toasts = createToasts({ queue: app.queue, clock: app.clock, port });
    const stop = toasts.start();
    app.server.hold();
    await app.queue.add({ type: 'account.create', payload: { id: '1', name: 'Acme' } });
    await app.settle();
    expect(screen()).toEqual(['loading: 1 saved on this device']);

    stop();
    expect(screen()).toEqual([]);
    app.server.release();
    await app.drain();
    onTestFinished(toasts.start());
    await app.settle();

    expect(screen()).toEqual(['success: 1 created']);
  });
});

test('E2, E4 · of what is told elsewhere no toast speaks, whatever becomes of it', async () => {
  const { app, screen } = await open();
  app.network.setOffline();
  for (const name of ['Acme', 'bad'])
    await app.queue.add({ type: 'account.create', payload: { id: name, name }, toast: false });
  await app.settle();
  expect(screen()).toEqual([]);

  app.network.setOnline();
  await app.drain();
  expect(screen()).toEqual([]);

  // Whoever told of it has had the last word: from here on it is a change like any other.
  await app.queue.retryFailed();
  await app.drain();
  await app.clock.advance(1_000);
  expect(screen()).toEqual([expect.stringMatching(/^error: bad could not be created/)]);
});

test('E2 · refused by the database itself, a toast says it in a sentence, or as the app does', async () => {
  const app = await openAccounts();
  const { port, screen } = openScreen();
  const other = openScreen();
  onTestFinished(createToasts({ queue: app.queue, clock: app.clock, port }).start());
  const refused = ({ message }: { readonly message: string }): string => `Rule ${message.split('"')[3]}`;
  onTestFinished(createToasts({ queue: app.queue, clock: app.clock, port: other.port, words: { refused } }).start());
  const message = 'new row for relation "accounts" violates check constraint "accounts_closed"';
  app.server.setErrorMode({ code: '23514', message, category: 'VALIDATION_ERROR' });

  const { id } = await app.queue.add({ type: 'account.create', payload: { id: '1', name: 'Acme' } });
  await app.drain();

  expect(screen()).toEqual(['error: 1 could not be created | It breaks a rule of the data.']);
  expect(other.screen()).toEqual(['error: 1 could not be created | Rule accounts_closed']);
  const { sentence, lastError } = app.queue.peekStatus(id) ?? {};
  expect([sentence, lastError?.message]).toEqual([
    'The server did not accept it: It breaks a rule of the data.',
    message,
  ]);
});

test('E3, E2 · an edit that was merged into a pending one has a toast and an undo of its own', async () => {
  const app = await createTestApp({ mutations: [merged] as const, tables: { accounts: {} } });
  const { port, screen, last, closeAll } = openScreen();
  const toasts = createToasts({ queue: app.queue, clock: app.clock, port });
  onTestFinished(toasts.start());
  app.network.setOffline();
  const undone: string[] = [];
  const edit = async (name: string) => {
    const change = { type: 'merged', payload: { id: '1', name } } as const;
    const toastId = toasts.begin(change.type, change.payload);
    const { id } = await app.queue.add(change);
    toasts.follow(toastId, { id, ...change }, () => undone.push(name));
    await app.settle();
  };
  await edit('one');
  await app.clock.advance(20_000);
  closeAll();

  await edit('two');

  expect(screen()).toEqual([expect.stringMatching(/^info: 1: change saved on this device/)]);
  last()?.action?.onSelect();
  expect(undone).toEqual(['two']);
});
