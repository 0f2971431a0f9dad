import { describe, expect, test } from 'vitest';
import { type Notes, note, TestDevice, type TestQueue } from '../queue/testing-queue/test-device.ts';
import { createOptimisticStore, type OptimisticStore } from './optimistic-store.ts';

interface Tab {
  readonly queue: TestQueue;
  readonly view: OptimisticStore<Notes>;
}

async function openTab(device: TestDevice): Promise<Tab> {
  const queue = await device.open();
  const view = createOptimisticStore<Notes>({ queue, base: { notes: {} } });
  await device.clock.settle();
  return { queue, view };
}

/** Two tabs; the first delivers, the second has a dead letter. */
async function withDeadLetter(): Promise<{ device: TestDevice; leader: Tab; other: Tab; id: string }> {
  const device = new TestDevice();
  const leader = await openTab(device);
  const other = await openTab(device);
  device.server.judge = () => 'rejected';
  const { id } = await other.queue.add(note('a', 'first'));
  await device.clock.settle();
  return { device, leader, other, id };
}

describe('an end that a tab does not hear of', () => {
  test.each(['edited', 'discarded'])(
    'O2 · retried, failed again and %s unheard, it leaves the view all the same',
    async (how) => {
      const { device, leader, other, id } = await withDeadLetter();
      device.server.hold();
      await other.queue.retry(id);
      await device.clock.settle();
      expect(other.view.getSnapshot().notes).toEqual({ a: 'first' });

      device.browser.isLosingMessages = true;
      device.server.release();
      await device.clock.settle();
      device.server.judge = () => 'applied';
      if (how === 'edited') await leader.queue.edit(id, { id: 'a', text: 'second' });
      else await leader.queue.discard(id, 'not needed any more');
      await device.clock.pass(60_000);

      expect(other.view.getSnapshot().notes).toEqual({});
    },
  );

  test.each(['applied', 'rejected'] as const)(
    'O2 · %s and swept from the history before this tab looked, it is shown until there is fresh data',
    async (verdict) => {
      const device = new TestDevice();
      const leader = await openTab(device);
      const other = await openTab(device);
      device.server.hold();
      const { id } = await other.queue.add(note('a', 'first'));
      await device.clock.settle();
      device.browser.isLosingMessages = true;
      device.server.judge = () => verdict;
      device.server.release();
      await device.clock.settle();
      if (verdict === 'rejected') await leader.queue.discard(id, 'not needed any more');
      const store = await device.storage.peek();
      const swept = (await store.scan({ prefix: '', limit: 1_000 })).filter(({ key }) => key.endsWith(id));
      await store.commit({ expect: [], changes: swept.map(({ key }) => ({ kind: 'delete' as const, key })) });
      await device.clock.pass(60_000);

      const fresh: Notes = { notes: verdict === 'applied' ? { a: 'first' } : {} };
      await other.view.refresh(async () => fresh);

      expect(other.view.getSnapshot()).toEqual(fresh);
    },
  );
});
