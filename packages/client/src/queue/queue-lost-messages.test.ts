import { expect, test } from 'vitest';
import { createOptimisticStore } from '../optimistic/optimistic-store.ts';
import type { OpenStorage, Storage } from '../ports/storage.ts';
import type { Settled } from './queue-events.ts';
import { type Notes, note, TestDevice } from './testing-queue/test-device.ts';

const MINUTE_MS = 60_000;

test('Q1 · a handle learns its verdict although another tab has stored in between, unheard', async () => {
  const device = new TestDevice();
  const leader = await device.open();
  const other = await device.open();
  device.browser.isLosingMessages = true;
  await other.add(note('a'));

  const { settled } = await leader.add(note('b'));

  await device.clock.settle();
  expect(await settled).toMatchObject({ status: 'completed' });
});

test('Q13 · what a tab stored unheard is sent within a minute', async () => {
  const device = new TestDevice();
  await device.open();
  const other = await device.open();
  device.browser.isLosingMessages = true;
  const { id } = await other.add(note('a'));

  await device.clock.pass(MINUTE_MS);

  expect(device.server.effects).toEqual([id]);
});

test('Q13 · a tab that missed a refusal learns of it within a minute, and tells those who wait for it', async () => {
  const device = new TestDevice();
  device.server.judge = () => 'rejected';
  await device.open();
  const other = await device.open();
  device.server.hold();
  const { settled } = await other.add(note('a'));
  await device.clock.settle();
  device.browser.isLosingMessages = true;
  device.server.release();
  let verdict: Settled | null = null;
  settled.then((ended) => {
    verdict = ended;
  }, fail);

  await device.clock.pass(MINUTE_MS + 1_000);

  expect(verdict).toMatchObject({ status: 'failed' });
  expect(other.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 1 });
});

test('Q8 · a child added in a tab that had not heard that its parent was taken back fails, and is not sent', async () => {
  const device = new TestDevice();
  const leader = await device.open();
  const other = await device.open();
  await device.goOffline();
  const parent = await leader.add(note('a'));
  await device.clock.settle();
  device.browser.isLosingMessages = true;
  expect(await parent.cancel()).toBe('cancelled');
  const child = await other.add({ ...note('b'), dependsOn: [parent] });
  device.browser.isLosingMessages = false;
  await device.goOnline();
  await device.clock.pass(60_000);

  expect(await child.settled).toMatchObject({ status: 'failed', error: { code: 'PARENT_FAILED' } });
  expect(device.server.effects).toEqual([]);
});

test('Q8 · nor is one whose parent was taken back on a full disk, which nobody can read there yet', async () => {
  const device = new TestDevice();
  const leader = await device.open();
  const other = await device.open();
  await device.goOffline();
  const parent = await leader.add(note('a'));
  await device.clock.settle();
  device.storage.isFull = ({ changes }) => changes.some(({ key }) => key.startsWith('x/'));
  const cancelling = parent.cancel();
  await device.clock.settle();
  const child = await other.add({ ...note('b'), dependsOn: [parent] });
  await device.goOnline();
  await device.clock.pass(10_000);
  device.storage.isFull = () => false;
  await device.clock.pass(60_000);

  expect(await cancelling).toBe('unknown');
  expect(await child.settled).toMatchObject({ status: 'failed', error: { code: 'PARENT_FAILED' } });
  expect(device.server.effects).toEqual([]);
});

test('Q7, S12 · what another tab added is not overtaken when a look at the store breaks off', async () => {
  const device = new TestDevice();
  const leader = await device.open();
  const other = await device.open();
  await device.goOffline();
  const parent = await leader.add(note('a'));
  await device.clock.settle();
  device.browser.isLosingMessages = true;
  await parent.cancel();
  // To learn whether it was taken back, the tab that delivers has to read.
  device.storage.isUnreadable = (key) => key.startsWith('x/');
  const child = await other.add({ ...note('b', 'on top of a'), dependsOn: [parent] });
  const first = await other.add(note('c', 'first'));
  device.browser.isLosingMessages = false;
  const last = await other.add(note('d'));
  await device.clock.settle();
  device.storage.isUnreadable = () => false;
  const second = await leader.add(note('c', 'second'));
  await device.goOnline();
  await device.clock.pass(60_000);

  expect((await child.settled).status).toBe('failed');
  expect(device.server.effects).toEqual([first.id, last.id, second.id]);
});

test('Q13 · what was refused and discarded unheard does not come back with the tab that leads next', async () => {
  const device = new TestDevice();
  device.server.judge = () => 'rejected';
  const leader = await device.open();
  const other = await device.open();
  device.server.hold();
  const { id } = await leader.add(note('a'));
  await device.clock.settle();
  device.browser.isLosingMessages = true;
  device.server.release();
  await device.clock.settle();
  await leader.discard(id, 'not needed');

  await leader.close();
  await device.clock.pass(1_000);

  expect(other.getSnapshot()).toMatchObject({ isLeader: true, pendingCount: 0, failedCount: 0 });
  expect(device.server.requests).toHaveLength(1);
});

test('S3 · a look into the store that a settlement has overtaken does not bring the mutation back', async () => {
  const device = new TestDevice();
  // Reads the pending ones at once, and tells of it only when it is let.
  let isSlow = false;
  let release = (): void => {};
  const storage: OpenStorage = async (name) => {
    const opened = await device.storage.open(name);
    return {
      ...opened,
      scan: async (query) => {
        const found = await opened.scan(query);
        if (isSlow && query.prefix === 'p/') await new Promise<void>((resolve) => (release = resolve));
        return found;
      },
    };
  };
  const leader = await device.open();
  const queue = await device.open({ storage });
  await leader.pause();
  const { id } = await leader.add(note('a'));
  await device.clock.settle();
  isSlow = true;
  // Three looks in a row: of one that does not lead, of one that takes over, and one asked for before that.
  device.network.say('foreground');
  await leader.close();
  await device.clock.settle();
  device.network.say('foreground');
  for (let look = 0; look < 2; look += 1) {
    await device.clock.settle();
    release();
  }
  await device.clock.settle();
  await queue.resume();
  await device.clock.settle();
  expect(device.server.effects).toEqual([id]);

  isSlow = false;
  release();
  await device.clock.pass(MINUTE_MS);

  expect(device.server.sentIds).toEqual([[id]]);
  expect(queue.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 0 });
});

test('S3 · a look at everything while a refusal is being stored does not make the tab forget it', async () => {
  const device = new TestDevice();
  device.server.judge = () => 'rejected';
  let release = (): void => {};
  const storage: OpenStorage = async (name) => {
    const opened = await device.storage.open(name);
    return {
      ...opened,
      commit: async (batch) => {
        if (batch.changes.some(({ key }) => key.startsWith('f/')))
          await new Promise<void>((resolve) => (release = resolve));
        return opened.commit(batch);
      },
    };
  };
  const queue = await device.open({ storage });
  const parent = await queue.add(note('a'));
  await device.clock.settle();

  // An id that nobody knows is looked for everywhere.
  expect(await queue.getMutationStatus('nobody')).toBeUndefined();

  expect(queue.peekStatus(parent.id)).toMatchObject({ status: 'failed' });
  release();
  await device.clock.settle();
  expect(queue.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 1 });
});

test('O1 · what failed while its payload was read is not shown', async () => {
  const device = new TestDevice();
  device.server.judge = () => 'rejected';
  let release = (): void => {};
  const storage: OpenStorage = async (name) => {
    const opened = await device.storage.open(name);
    return {
      ...opened,
      read: async (keys) => {
        const values = await opened.read(keys);
        // The view's own read: a payload and nothing else.
        if (keys.every((key) => key.startsWith('b/'))) await new Promise<void>((resolve) => (release = resolve));
        return values;
      },
    };
  };
  const leader = await device.open();
  const queue = await device.open({ storage });
  const view = createOptimisticStore<Notes>({ queue, base: { notes: {} } });
  await leader.add(note('a', 'never'));
  await device.clock.settle();

  release();
  await device.clock.settle();

  expect(view.getSnapshot()).toEqual({ notes: {} });
});

test('O1 · what a tab has added is not shown any more once it has failed, although a look found the failure first', async () => {
  const device = new TestDevice();
  device.server.judge = () => 'rejected';
  let isSlow = false;
  let release = (): void => {};
  const storage: OpenStorage = async (name) => {
    const opened = await device.storage.open(name);
    return {
      ...opened,
      scan: async (query) => {
        const found = await opened.scan(query);
        if (isSlow && query.prefix === 'p/') await new Promise<void>((resolve) => (release = resolve));
        return found;
      },
    };
  };
  const leader = await device.open();
  const other = await device.open({ storage });
  const view = createOptimisticStore<Notes>({ queue: other, base: { notes: {} } });
  const ends: Settled[] = [];
  other.on('settled', (settled) => ends.push(settled));
  // Stored in between and unheard, so that the other tab has to look before it counts its own.
  device.browser.isLosingMessages = true;
  await leader.add(note('a'));
  await device.clock.settle();
  // A look at everything has read the pending ones, and not yet the dead letters.
  isSlow = true;
  device.network.say('foreground');
  await device.clock.settle();
  device.browser.isLosingMessages = false;
  device.server.hold();
  const adding = other.add(note('b'));
  await device.clock.pass(250);
  const { id } = await adding;
  await device.clock.settle();
  device.browser.isLosingMessages = true;
  device.server.release();
  await device.clock.settle();

  isSlow = false;
  release();
  await device.clock.settle();

  expect(ends).toMatchObject([{ id, status: 'failed' }]);
  expect(view.getSnapshot()).toEqual({ notes: {} });
});

function fail(error: unknown): never {
  throw error;
}

test('Q14 · one that died and was retried unheard is found behind others by the tab that takes over page by page, and is sent', async () => {
  const device = new TestDevice();
  const leader = await device.open();
  const other = await device.open({ readPageCount: 1 });
  await device.goOffline();
  const { id } = await leader.add(note('a'));
  await device.clock.settle();
  device.browser.isLosingMessages = true;
  await device.goOnline(() => 'rejected');
  await device.goOffline();
  const between = await leader.add(note('b'));
  await leader.retry(id);
  expect(other.peekStatus(id)).toMatchObject({ status: 'pending' });

  await leader.close();
  await device.clock.settle();
  expect(other.peekStatus(id)).toMatchObject({ status: 'pending' });
  await device.goOnline();
  await device.clock.pass(5_000);

  expect(device.server.effects).toEqual([between.id, id]);
  await other.close();
});

test('Q1 · a handle learns its verdict although that came before the store had said that it is stored', async () => {
  const device = new TestDevice();
  const leader = await device.open();
  let report = (): void => {};
  const reported = new Promise<void>((resolve) => {
    report = resolve;
  });
  const storage: OpenStorage = async (name) => {
    const opened = await device.storage.open(name);
    const commit: Storage['commit'] = async (batch) => {
      const result = await opened.commit(batch);
      if (batch.changes.some(({ key }) => key.startsWith('b/'))) await reported;
      return result;
    };
    return { ...opened, commit };
  };
  const other = await device.open({ storage });
  const told: Settled[] = [];
  other.on('settled', (event) => told.push(event));
  const adding = other.add(note('a'));
  await device.clock.settle();
  // The tab that delivers looks, and finds it.
  await leader.getMutationStatus('of nobody');
  await device.clock.settle();
  expect(device.server.effects).toHaveLength(1);

  report();
  const handle = await adding;
  let settled: Settled | null = null;
  void handle.settled.then((ended) => {
    settled = ended;
  });
  await device.clock.pass(MINUTE_MS + 1_000);

  expect(settled).toMatchObject({ id: handle.id, status: 'completed' });
  expect(told.map(({ id }) => id)).toEqual([handle.id]);
});
