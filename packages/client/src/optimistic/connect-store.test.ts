import { expect, onTestFinished, test } from 'vitest';
import { create } from 'zustand';
import { type Notes, note, TestDevice } from '../queue/testing-queue/test-device.ts';
import { connectStore, type StoreLike } from './connect-store.ts';

interface Screen extends Notes {
  readonly filter: string;
  readonly setFilter: (filter: string) => void;
}

async function openZustand() {
  const device = new TestDevice();
  const queue = await device.open();
  const store = create<Screen>()((set) => ({
    notes: { a: '-' },
    filter: '',
    setFilter: (filter) => set({ filter }),
  }));
  const connection = connectStore({ queue, store });
  onTestFinished(() => connection.close());
  return { device, queue, store, connection };
}

test('O4 · a store of zustand shows what is pending, takes back what fails, and keeps its own fields and actions', async () => {
  const { device, queue, store, connection } = await openZustand();
  const { setFilter } = store.getState();
  await device.goOffline();
  await queue.add(note('a', '1'));
  await queue.add(note('a', 'bad'));
  await queue.add(note('a', '3'));
  expect(store.getState().notes).toEqual({ a: '-1bad3' });

  setFilter('open');
  expect(store.getState()).toEqual({ notes: { a: '-1bad3' }, filter: 'open', setFilter });
  expect(connection.getBase()).toEqual({ notes: { a: '-' }, filter: 'open', setFilter });

  await device.goOnline(({ payload }) => (payload['text'] === 'bad' ? 'rejected' : 'applied'));
  expect(store.getState().notes).toEqual({ a: '-13' });
  await connection.refresh(async () => ({ notes: { a: '-13', b: 'new' } }));
  expect(store.getState()).toEqual({ notes: { a: '-13', b: 'new' }, filter: 'open', setFilter });
});

test('O4 · a field that the app sets is confirmed, and what is pending stays on top of it', async () => {
  const { device, queue, store } = await openZustand();
  await device.goOffline();
  await queue.add(note('a', '1'));

  store.setState({ notes: { a: 'by the app ' } });

  expect(store.getState().notes).toEqual({ a: 'by the app 1' });
});

test('O4, O1 · what the app makes from what is shown confirms nothing that is pending: that can still be taken back', async () => {
  const { device, queue, store } = await openZustand();
  await device.goOffline();
  const mine = await queue.add(note('a', '1'));

  store.setState(({ notes }) => ({ notes: { ...notes, b: 'by the app' } }));
  expect(store.getState().notes).toEqual({ a: '-1', b: 'by the app' });
  await mine.cancel();
  await device.clock.settle();

  expect(store.getState().notes).toEqual({ a: '-', b: 'by the app' });
});

test('O4 · listeners see nothing half done: what is stored together, and a field with what is pending on top', async () => {
  const { device, queue, store } = await openZustand();
  await device.goOffline();
  const seen: string[] = [];
  onTestFinished(store.subscribe(({ notes, filter }) => seen.push(`${notes['a']} ${filter}`)));

  await Promise.all([queue.add(note('a', '1')), queue.add(note('a', '2'))]);
  store.getState().setFilter('x');

  expect([...new Set(seen)]).toEqual(['-12 ', '-12 x']);
});

test('O4 · what a listener of the app sets in answer to what is shown stays', async () => {
  const device = new TestDevice();
  const queue = await device.open();
  const store = create<Notes & { readonly told: string }>()(() => ({ notes: {}, told: '' }));
  let isTold = false;
  onTestFinished(
    store.subscribe(({ notes }) => {
      if (isTold || notes['b'] === undefined) return;
      isTold = true;
      store.setState({ told: 'there is a b' });
    }),
  );
  const connection = connectStore({ queue, store });
  onTestFinished(() => connection.close());
  await device.goOffline();

  await queue.add(note('b', '1'));
  await queue.add(note('c', '1'));

  expect(store.getState()).toEqual({ notes: { b: '1', c: '1' }, told: 'there is a b' });
  expect(connection.getBase()).toEqual({ notes: {}, told: 'there is a b' });
});

test('O4 · a plain store does as well; closed, it holds what is confirmed', async () => {
  const device = new TestDevice();
  const queue = await device.open();
  let state: Notes = { notes: {} };
  const listeners = new Set<(state: Notes) => void>();
  const store: StoreLike<Notes> = {
    getState: () => state,
    setState: (next) => {
      state = next;
      for (const listener of listeners) listener(state);
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const connection = connectStore({ queue, store });
  await device.goOffline();

  await queue.add(note('a', '1'));
  expect(state).toEqual({ notes: { a: '1' } });
  connection.close();
  expect(state).toEqual({ notes: {} });
});
