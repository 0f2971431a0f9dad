import { expect, test } from 'vitest';
import type { Clock } from '../ports/clock.ts';
import type { OpenStorage } from '../ports/storage.ts';
import type { OpenTabs } from '../ports/tabs.ts';
import { META } from './store/record-keys.ts';
import { countText, epochAnew } from './store/stored-meta.ts';
import { note, TestDevice } from './testing-queue/test-device.ts';

const STORE = 'holdfast/notes/home/ann';
const SECOND_MS = 1_000;

/** A tab that its browser holds for alive, and that neither says nor hears anything. */
const deaf =
  (openTabs: OpenTabs): OpenTabs =>
  (name) => ({ ...openTabs(name), post: () => {}, onMessage: () => () => {} });

/** A tab to which a broken lock manager gives the lead whoever else has it. */
const granted =
  (openTabs: OpenTabs): OpenTabs =>
  (name) => ({
    ...openTabs(name),
    lead: ({ onGranted }) => {
      queueMicrotask(onGranted);
      return () => {};
    },
  });

test('Q19 · a dead leader that still holds the lock is replaced within 15 s', async () => {
  const device = new TestDevice();
  device.browser.openTabs(STORE).lead({ onGranted: () => {}, onLost: () => {} });
  const queue = await device.open();
  await device.clock.pass(60 * SECOND_MS);

  const { id } = await queue.add(note('a'));
  await device.clock.pass(8 * SECOND_MS);
  expect(device.server.effects).toEqual([]);
  await device.clock.pass(7 * SECOND_MS);

  expect(device.server.effects).toEqual([id]);
  expect(queue.getSnapshot()).toMatchObject({ isLeader: true, pendingCount: 0 });
});

test('Q19 · a tab that gives way while it takes over does not put the one that leads out of it', async () => {
  const device = new TestDevice();
  let lead: Parameters<ReturnType<OpenTabs>['lead']>[0] | undefined;
  let proceed = (): void => {};
  const openTabs: OpenTabs = (name) => ({
    ...device.browser.openTabs(name),
    lead: (asked) => {
      lead = asked;
      return () => {};
    },
  });
  const openStorage: OpenStorage = async (name) => {
    const opened = await device.storage.open(name);
    return {
      ...opened,
      read: async (keys) => {
        const isTakingOver = keys.length === 2 && keys.includes('meta/epoch');
        if (isTakingOver) await new Promise<void>((resolve) => (proceed = resolve));
        return opened.read(keys);
      },
    };
  };
  await device.open({ tabs: openTabs, storage: openStorage });
  lead?.onGranted();
  await device.clock.settle();
  const epoch = (await device.storage.dump())['meta/epoch'];

  lead?.onLost();
  proceed();
  await device.clock.settle();

  expect((await device.storage.dump())['meta/epoch']).toBe(epoch);
});

test('Q19 · with nothing to be done, nobody takes the lead by force', async () => {
  const device = new TestDevice();
  device.browser.openTabs(STORE).lead({ onGranted: () => {}, onLost: () => {} });
  const queue = await device.open();

  await device.clock.pass(3_600 * SECOND_MS);

  expect(queue.getSnapshot().isLeader).toBe(false);
});

test('Q19 · a leader that answers keeps the lead, however long nothing can be sent', async () => {
  const device = new TestDevice();
  const leader = await device.open();
  const other = await device.open();
  await device.goOffline();
  await other.add(note('a'));
  const commits = device.storage.commits.length;

  await device.clock.pass(3_600 * SECOND_MS);

  expect(leader.getSnapshot()).toMatchObject({ isLeader: true, waitingFor: 'network' });
  expect(other.getSnapshot()).toMatchObject({ isLeader: false, waitingFor: 'network' });
  expect(device.storage.commits.length).toBe(commits);
});

test('Q19 · one that was replaced while its request was on its way sends no more, and each effect takes place once', async () => {
  const device = new TestDevice();
  const frozen = await device.open({ tabs: deaf(device.browser.openTabs) });
  const { id: before } = await frozen.add(note('a'));
  await device.clock.settle();
  device.server.hold();
  const { id: onItsWay } = await frozen.add(note('b'));
  const other = await device.open();

  await device.clock.pass(15 * SECOND_MS);
  device.server.release();
  await device.clock.settle();

  expect(other.getSnapshot()).toMatchObject({ isLeader: true, pendingCount: 0 });
  expect(frozen.getSnapshot().isLeader).toBe(false);
  expect(device.server.effects).toEqual([before, onItsWay]);
  expect(device.server.sentIds).toEqual([[before], [onItsWay], [onItsWay]]);
});

test('inv-I26 · of two tabs that both believe to deliver, one says that it took a change back', async () => {
  const device = new TestDevice();
  const replaced = await device.open({ tabs: deaf(device.browser.openTabs) });
  const { id } = await replaced.add({ ...note('a'), delayMs: 600 * SECOND_MS });
  const other = await device.open({ tabs: granted(device.browser.openTabs) });
  expect([replaced, other].map((queue) => queue.getSnapshot().isLeader)).toEqual([true, true]);

  const both = [replaced.cancel(id, { actor: 'ann' }), other.cancel(id, { actor: 'bob' })];
  await device.clock.settle();

  expect(await Promise.all(both)).toEqual(['unknown', 'cancelled']);
  expect(await other.listActs()).toMatchObject([{ kind: 'cancel', actor: 'bob', ids: [id] }]);
});

test('Q19, S10 · an epoch that is made anew is higher than one that was only heard of, whatever the clock says', async () => {
  const device = new TestDevice();
  const clock: Clock = {
    // As long as it stands still, what is made anew of it is one and the same.
    wallMs: () => 1_000,
    nowMs: () => device.clock.nowMs(),
    schedule: (delayMs, callback) => device.clock.schedule(delayMs, callback),
  };
  await (await device.open({ clock })).close();
  const storage = await device.storage.peek();
  const write = (value: string) => storage.commit({ expect: [], changes: [{ kind: 'put', key: META.epoch, value }] });
  await write(countText(epochAnew(1_000, 0) - 1));
  const one = await device.open({ clock });
  let grant = (): void => {};
  const tabs: OpenTabs = (name) => ({
    ...device.browser.openTabs(name),
    lead: ({ onGranted }) => {
      grant = onGranted;
      return () => {};
    },
  });
  const other = await device.open({ clock, tabs });
  await one.add(note('a'));
  await device.clock.settle();
  await write('garbage');

  grant();
  await device.clock.settle();
  await other.add(note('b'));
  await device.clock.settle();

  expect([one, other].map((queue) => queue.getSnapshot().isLeader)).toEqual([false, true]);
  expect(device.server.effects).toHaveLength(2);
});

test('Q19 · a page that is put away gives up the lead and what is on its way; another goes on at once', async () => {
  const device = new TestDevice();
  const away = await device.open();
  const other = await device.open();
  device.server.hold();
  const { id } = await away.add(note('a'));
  await device.clock.settle();

  const comeBack = device.browser.putLeaderAway();
  await device.clock.settle();
  device.server.release();
  await device.clock.pass(SECOND_MS);

  expect(away.getSnapshot().isLeader).toBe(false);
  expect(other.getSnapshot()).toMatchObject({ isLeader: true, pendingCount: 0 });
  expect(device.server.effects).toEqual([id]);
  const requests = device.server.requests.length;
  comeBack();
  await device.clock.pass(60 * SECOND_MS);
  expect(device.server.requests.length).toBe(requests);
  await other.close();
  await device.clock.pass(2 * SECOND_MS);
  expect(away.getSnapshot().isLeader).toBe(true);
});

test('Q19 · the only page goes on when it comes back', async () => {
  const device = new TestDevice();
  const queue = await device.open();
  const comeBack = device.browser.putLeaderAway();
  const { id } = await queue.add(note('a'));
  await device.clock.settle();
  expect(device.server.effects).toEqual([]);

  comeBack();
  await device.clock.settle();

  expect(device.server.effects).toEqual([id]);
});

test('Q19 · without a lock manager one tab leads all the same, and its going is noticed within 2 s', async () => {
  const device = new TestDevice();
  device.browser.hasLock = false;
  const first = await device.open();
  await device.clock.pass(SECOND_MS);
  const second = await device.open();
  await device.clock.pass(SECOND_MS);
  expect([first, second].map((queue) => queue.getSnapshot().isLeader)).toEqual([true, false]);
  await second.add(note('a'));
  await device.clock.pass(60 * SECOND_MS);
  expect(device.server.requests).toHaveLength(1);

  await first.close();
  const { id } = await second.add(note('b'));
  await device.clock.pass(2 * SECOND_MS);

  expect(device.server.effects.at(-1)).toBe(id);
  expect(second.getSnapshot()).toMatchObject({ isLeader: true, pendingCount: 0 });
});

test('Q19 · without a lock manager and without messages, everything is delivered, each once', async () => {
  const device = new TestDevice();
  device.browser.hasLock = false;
  device.browser.isLosingMessages = true;
  const queues = [await device.open(), await device.open(), await device.open()];

  for (const [index, queue] of queues.entries()) await queue.add(note('a', `${index}`));
  await device.clock.pass(120 * SECOND_MS);

  expect(device.server.effects.toSorted()).toEqual(['id-2', 'id-3', 'id-4']);
  for (const queue of queues) expect(queue.getSnapshot()).toMatchObject({ pendingCount: 0 });
});

test('Q19, Q14 · taken back by a commit that nobody heard of, in a tab that lost the lead then, it is told all the same', async () => {
  const device = new TestDevice();
  await device.goOffline();
  let isUnheard = true;
  const queue = await device.open({
    storage: async (name) => {
      const opened = await device.storage.open(name);
      return {
        ...opened,
        commit: async (batch) => {
          const result = await opened.commit(batch);
          if (isUnheard && batch.changes.some(({ key }) => key.startsWith('x/')))
            throw new Error('The disk said nothing.');
          return result;
        },
      };
    },
  });
  const { id, settled } = await queue.add(note('a'));
  const cancelling = queue.cancel(id);
  await device.clock.settle();
  isUnheard = false;
  device.browser.putLeaderAway()();
  await device.clock.pass(60_000);

  expect(await cancelling).toBe('cancelled');
  expect(await settled).toMatchObject({ status: 'cancelled' });
  expect(queue.getSnapshot().pendingCount).toBe(0);
  await queue.close();
});

test('Q19, S10 · one whose taking back could not be stored, and that is damaged when the next tab looks, ends as a dead letter everywhere', async () => {
  const device = new TestDevice();
  await device.goOffline();
  const first = await device.open({
    storage: async (name) => {
      const opened = await device.storage.open(name);
      return {
        ...opened,
        commit: async (batch) => {
          if (batch.changes.some(({ key }) => key.startsWith('x/'))) throw new Error('There is no room.');
          return opened.commit(batch);
        },
      };
    },
  });
  const next = await device.open();
  const { id, settled } = await first.add(note('a'));
  await device.clock.pass(SECOND_MS);
  void first.cancel(id).catch(() => {});
  await device.clock.settle();
  const storage = await device.storage.peek();
  const [header] = await storage.scan({ prefix: 'p/', limit: 1 });
  await storage.commit({ expect: [], changes: [{ kind: 'put', key: header?.key ?? '', value: 'torn' }] });

  device.browser.putLeaderAway();
  await device.clock.pass(60 * SECOND_MS);

  expect(next.peekStatus(id)).toMatchObject({ status: 'failed', lastError: { code: 'UNREADABLE_RECORD' } });
  expect(await settled).toMatchObject({ status: 'failed', error: { code: 'UNREADABLE_RECORD' } });
  await Promise.all([first.close(), next.close()]);
});
