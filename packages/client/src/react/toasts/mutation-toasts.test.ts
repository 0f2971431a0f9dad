import { describe, expect, onTestFinished, test } from 'vitest';
import { HoldfastError } from '../../mutation/holdfast-error.ts';
import { openAccounts } from '../testing-accounts/accounts.ts';
import { createToasts } from './mutation-toasts.ts';
import type { Toast } from './toast-port.ts';

/** Toasts on a screen that keeps everything that was on it. */
async function open() {
  const app = await openAccounts();
  const shown: Toast[] = [];
  const screen = new Map<string, Toast>();
  const toasts = createToasts({
    queue: app.queue,
    clock: app.clock,
    texts: { 'account.create': { item: ({ name }) => name }, 'account.restore': false },
    port: {
      show: (toast) => {
        shown.push(toast);
        screen.set(toast.id, toast);
      },
      dismiss: (id) => screen.delete(id),
    },
  });
  onTestFinished(toasts.start());
  const create = async (id: string, name = `Account ${id}`) => {
    const handle = await app.queue.add({ type: 'account.create', payload: { id, name } });
    await app.settle();
    return handle;
  };
  const words = ({ tone, text, detail }: Toast) => `${tone}: ${text}${detail === null ? '' : ` | ${detail}`}`;
  return {
    app,
    toasts,
    create,
    history: () => shown.map(words),
    screen: () => [...screen.values()].map(words),
    toast: (at = 0) => [...screen.values()][at],
    ids: () => new Set(shown.map(({ id }) => id)).size,
  };
}

describe('one change', () => {
  test('E2 · on one toast: saved on this device, then confirmed, with the name of the thing', async () => {
    const { app, create, history, ids, toast } = await open();
    app.server.hold();
    await create('1', 'Acme');
    expect(history().at(-1)).toBe('loading: Acme saved on this device');
    app.server.release();
    await app.drain();

    expect(history().at(-1)).toBe('success: Acme created');
    expect([ids(), toast()?.durationMs]).toEqual([1, 4_000]);
  });

  test('E2 · offline it says that it is saved on this device and what it waits for, and nothing of having been sent', async () => {
    const { app, create, history } = await open();
    app.network.setOffline();
    await create('1', 'Acme');

    expect(history()).toEqual([
      'info: Acme saved on this device | It is saved on this device and is sent as soon as the server can be reached.',
    ]);
    app.network.setOnline();
    await app.drain();
    expect(history().at(-1)).toBe('success: Acme created');
  });

  test('E2 · refused, the same toast says why and stays; trying again goes on on it', async () => {
    const { app, create, screen, toast, ids } = await open();
    app.server.setErrorMode({ code: 'NAME_TAKEN', message: 'Acme is there already.' });
    await create('1', 'Acme');
    await app.drain();
    expect(screen()).toEqual(['error: Acme could not be created | Acme is there already.']);
    expect([toast()?.durationMs, toast()?.action?.label]).toEqual([null, 'Try again']);

    app.server.setErrorMode(null);
    toast()?.action?.onSelect();
    await app.settle();
    await app.drain();

    expect([screen(), ids()]).toEqual([['success: Acme created'], 1]);
  });

  test('E2 · a type without toasts has none, and one of an earlier run is spoken of when it fails', async () => {
    const { app, create, screen, history } = await open();
    await app.queue.add({ type: 'account.restore', payload: { id: '1' } });
    await app.drain();
    expect(history()).toEqual([]);
    app.network.setOffline();
    await create('2', 'bad');
    await app.restartApp();
    const shown: string[] = [];
    const again = createToasts({
      queue: app.queue,
      clock: app.clock,
      port: { show: ({ tone, text }) => shown.push(`${tone}: ${text}`), dismiss: () => {} },
    });
    onTestFinished(again.start());

    app.network.setOnline();
    await app.drain();
    // Another tab would have said so by now that it is its own.
    await app.clock.advance(1_000);

    expect(shown).toEqual(['error: 2 could not be created']);
    expect(screen().length).toBe(1);
  });

  test('E2 · it makes no difference how often it is started: one toast, and none after the last has stopped', async () => {
    const { app, toasts, create, ids, history } = await open();
    const stops = [toasts.start(), toasts.start()];
    stops[0]?.();
    await create('1');
    expect(ids()).toBe(1);
    await app.drain();
    const before = history().length;
    stops[1]?.();
    const stopFirst = toasts.start();
    stopFirst();
    await create('2');
    expect(history().length).toBeGreaterThan(before);
  });
});

describe('many changes', () => {
  test('E2 · the first three have a toast each, all others share one, which counts and says what became of them', async () => {
    const { app, create, screen, ids } = await open();
    app.network.setOffline();
    for (let id = 1; id <= 103; id += 1) await create(String(id), id % 50 === 0 ? `bad ${id}` : `Account ${id}`);
    await app.clock.advance(100);
    expect(ids()).toBe(4);
    expect(screen().at(-1)).toBe('info: 100 changes saved on this device');

    app.network.setOnline();
    await app.drain();

    expect(screen().at(-1)).toMatch(/^error: 2 of 100 changes could not be saved \| A name must not be bad/);
    expect(screen().slice(0, 3)).toEqual([1, 2, 3].map((id) => `success: Account ${id} created`));
  });

  test('E2 · trying again on the shared toast sends all that failed again', async () => {
    const { app, create, toast } = await open();
    app.server.setErrorMode('validation');
    app.network.setOffline();
    for (let id = 1; id <= 8; id += 1) await create(String(id));
    app.network.setOnline();
    await app.drain();
    app.server.setErrorMode(null);
    expect(toast(3)?.text).toBe('5 of 5 changes could not be saved');

    toast(3)?.action?.onSelect();
    await app.settle();
    await app.drain();

    expect(app.server.rows('accounts').length).toBe(5);
  });
});

describe('undo', () => {
  /** A confirmed creation whose toast offers to take it back. */
  async function openConfirmed() {
    const opened = await open();
    const { app, toasts } = opened;
    const payload = { id: '1', name: 'Acme' };
    const toastId = toasts.begin('account.create', payload);
    const { id } = await app.queue.add({ type: 'account.create', payload });
    let undoCount = 0;
    toasts.follow(toastId, { id, type: 'account.create', payload }, () => {
      undoCount += 1;
    });
    await app.drain();
    const addUndoing = () =>
      toasts.addUndoing(id, 'account.delete', () =>
        app.queue.add({ type: 'account.delete', payload: { id: '1' }, dependsOn: [id] }),
      );
    return { ...opened, id, addUndoing, undoCount: () => undoCount };
  }

  test('E2 · of a confirmed one it can be chosen once, and goes on on its toast: taken back is said when the server has done it', async () => {
    const { app, toasts, id, addUndoing, undoCount, history, toast, screen } = await openConfirmed();
    expect([history().at(-1), toast()?.action?.label]).toEqual(['success: Acme created', 'Undo']);

    const undo = toast()?.action?.onSelect;
    undo?.();
    undo?.();
    toasts.undoing(id);
    expect([undoCount(), toast()?.action, screen()]).toEqual([1, null, ['loading: Acme: being taken back']]);

    app.network.setOffline();
    await addUndoing();
    await app.settle();
    expect(screen()).toEqual([
      'info: Acme: being taken back | It is saved on this device and is sent as soon as the server can be reached.',
    ]);
    app.network.setOnline();
    await app.drain();
    expect([screen(), toast()?.durationMs]).toEqual([['success: Acme: taken back'], 4_000]);
  });

  test('E2 · what undoes one and is refused says why, can be tried again, and goes when it is discarded', async () => {
    const { app, toasts, id, addUndoing, toast, screen } = await openConfirmed();
    app.server.setErrorMode({ code: 'LOCKED', message: 'It is in use.' });
    toasts.undoing(id);
    const { id: undoingId } = await addUndoing();
    await app.drain();
    expect(screen()).toEqual(['error: Acme: not taken back | It is in use.']);

    toast()?.action?.onSelect();
    await app.settle();
    await app.drain();
    expect(screen()).toEqual(['error: Acme: not taken back | It is in use.']);
    await app.queue.discard(undoingId, 'Not needed');
    expect(screen()).toEqual([]);
  });

  test('E2 · when what was to undo one is taken back, its toast says again what it is', async () => {
    const { app, toasts, id, addUndoing, screen } = await openConfirmed();
    app.network.setOffline();
    toasts.undoing(id);
    const { cancel } = await addUndoing();
    await app.clock.until(cancel());
    expect(screen()).toEqual(['success: Acme created']);
  });

  test('E2 · what cannot be undone says so; what went wrong says what, and offers it again for as long as it takes', async () => {
    const { app, toasts, id, toast, screen } = await openConfirmed();
    let triedCount = 0;
    toasts.undoing(id);
    const error = new HoldfastError({ code: 'UNREACHABLE', message: 'No answer.', hint: 'Try again.' });
    toasts.notUndone(id, { error, again: () => (triedCount += 1) });
    await app.clock.advance(60_000);
    expect(screen()).toEqual(['error: Acme: not taken back | No answer. Try again.']);
    expect(toast()?.durationMs).toBeNull();
    toast()?.action?.onSelect();
    expect(triedCount).toBe(1);

    toasts.undoing(id);
    toasts.notUndone(id, null);
    expect([screen(), toast()?.action]).toEqual([['error: Acme: not taken back | This cannot be taken back.'], null]);
  });

  test('E2 · of a confirmed one it is offered for five seconds, and those that are confirmed crowd nobody out', async () => {
    const { app, toasts, create, toast, ids } = await open();
    for (const key of ['1', '2', '3', '4']) {
      const payload = { id: key, name: key };
      const toastId = toasts.begin('account.create', payload);
      const { id } = await app.queue.add({ type: 'account.create', payload });
      toasts.follow(toastId, { id, type: 'account.create', payload }, () => {});
      await app.drain();
    }
    await create('5');
    expect(ids()).toBe(5);

    await app.clock.advance(5_000);
    const late = toast()?.action?.onSelect;
    late?.();
    toasts.notUndone('nobody', null);
    expect(toast()?.text).toBe('1 created');
  });
});

describe('toasts of the app itself', () => {
  test('E2 · showLoading, updateToast and showWithUndo work on one toast each; undo is offered for 5 seconds', async () => {
    const { toasts, screen, toast } = await open();
    const id = toasts.showLoading('Importing…');
    toasts.updateToast(id, { tone: 'success', text: 'Imported' });
    let undoneCount = 0;
    toasts.showWithUndo('Archived', () => {
      undoneCount += 1;
    });
    expect(screen()).toEqual(['success: Imported', 'success: Archived']);
    expect(toast(1)).toMatchObject({ durationMs: 5_000, action: { label: 'Undo' } });

    toast(1)?.action?.onSelect();

    expect([undoneCount, screen()]).toEqual([1, ['success: Imported']]);
  });

  test('E2 · toasts of two queues never share an id: a page that shows them takes an old one away some frames later', async () => {
    const [one, other] = [await open(), await open()];

    const ids = [one, other, one].map(({ toasts }) => toasts.showLoading('Importing…'));

    expect(new Set(ids).size).toBe(3);
  });
});
