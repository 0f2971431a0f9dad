import { describe, expect, test } from 'vitest';
import { parseDisposed } from '../mutation/record.ts';
import { createOptimisticStore } from '../optimistic/optimistic-store.ts';
import type { OpenStorage } from '../ports/storage.ts';
import { type Notes, note, TestDevice, type TestQueue } from './testing-queue/test-device.ts';

/** What the server was sent, in order. */
function sentTexts(device: TestDevice): unknown[] {
  return device.server.requests.flatMap(({ request }) => request.mutations.map(({ payload }) => payload['text']));
}

/** Two tabs on a paused device: the first delivers. */
async function twoTabs(
  slow = new SlowRewriting(),
): Promise<{ device: TestDevice; leader: TestQueue; other: TestQueue }> {
  const device = new TestDevice();
  const leader = await device.open();
  await leader.pause();
  const other = await device.open({ storage: slow.over(device.storage.open) });
  return { device, leader, other };
}

describe('edit', () => {
  test('Q21 · one that was never sent keeps its id and its place, and is sent with the new payload', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    await device.goOffline();
    const handle = await queue.add(note('a', 'first'));
    await queue.add(note('a', 'second'));

    expect(await handle.edit({ id: 'a', text: 'edited' })).toEqual({ kind: 'edited', id: handle.id });

    await device.goOnline();
    expect(sentTexts(device)).toEqual(['edited', 'second']);
    expect(await handle.settled).toMatchObject({ status: 'completed' });
  });

  test('Q21 · after a restart the edited payload stands', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    await device.goOffline();
    const handle = await queue.add({ ...note('a', 'first'), source: { screen: 'Notes' } });
    await handle.edit({ id: 'a', text: 'edited' });
    await queue.close();

    await device.goOnline();
    await device.open();

    expect(device.server.requests.flatMap(({ request }) => request.mutations)).toMatchObject([
      { id: handle.id, payload: { text: 'edited' }, source: { screen: 'Notes' } },
    ]);
  });

  test('Q21 · one that may have been sent is not changed: a new one behind it says that it replaces it', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    device.server.judge = () => 'unknown';
    const handle = await queue.add({ ...note('a', 'first'), priority: 'high' });
    await device.clock.settle();

    const answer = await handle.edit({ id: 'a', text: 'edited' });

    if (answer.kind !== 'replaced') throw new Error('It may have been sent.');
    expect(answer.id).not.toBe(handle.id);
    expect(await queue.getMutationStatus(answer.id)).toMatchObject({ replaces: handle.id, revision: 0 });
    device.server.judge = () => 'applied';
    await device.clock.pass(60_000);
    expect(await answer.handle.settled).toMatchObject({ status: 'completed' });
    expect(device.server.effects).toEqual([handle.id, answer.id]);
    expect(sentTexts(device)).toEqual(['first', 'first', 'edited']);
  });

  test('Q21 · a confirmed one is followed by a new one', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    const handle = await queue.add(note('a', 'first'));
    await handle.settled;

    expect(await handle.edit({ id: 'a', text: 'edited' })).toMatchObject({ kind: 'replaced' });

    await device.clock.settle();
    expect(sentTexts(device)).toEqual(['first', 'edited']);
  });

  test('Q21, R6 · a dead letter makes way for a new one with the corrected payload', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    device.server.judge = ({ payload }) => (payload['text'] === 'wrong' ? 'rejected' : 'applied');
    const handle = await queue.add(note('a', 'wrong'));
    await handle.settled;
    expect(queue.getSnapshot().failedCount).toBe(1);

    const answer = await queue.edit(handle.id, { id: 'a', text: 'right' });

    if (answer.kind !== 'replaced') throw new Error('A dead letter was sent.');
    expect(await answer.handle.settled).toMatchObject({ status: 'completed' });
    expect(queue.getSnapshot()).toMatchObject({ failedCount: 0, pendingCount: 0 });
    expect(await queue.settled(handle.id)).toEqual({ status: 'cancelled', id: handle.id });
    expect(parseDisposed((await device.storage.dump())[`x/${handle.id}`] ?? '')).toMatchObject({
      record: { replacedBy: answer.id, act: { kind: 'edit', actor: 'ann' } },
    });
    expect(await queue.listActs()).toMatchObject([{ kind: 'edit', ids: [handle.id] }]);
    await expect(queue.edit(handle.id, { id: 'a', text: 'again' })).rejects.toMatchObject({ code: 'UNKNOWN_MUTATION' });
  });

  test('Q21 · a payload that could not be added is refused, and nothing changes', async () => {
    const device = new TestDevice();
    const queue = await device.open({ queueCapBytes: 200 });
    await device.goOffline();
    const handle = await queue.add(note('a', 'first'));
    const before = await device.storage.dump();

    await expect(handle.edit({ id: 'a', text: 5 })).rejects.toMatchObject({ code: 'INVALID_PAYLOAD' });
    await expect(handle.edit({ id: 'b', text: 'x' })).rejects.toMatchObject({
      code: 'INVALID_PAYLOAD',
      message: expect.stringContaining('notes:b') as string,
    });
    await expect(handle.edit({ id: 'a', text: 'x'.repeat(300) })).rejects.toMatchObject({ code: 'QUEUE_FULL' });
    await expect(queue.edit('nobody', { id: 'a', text: 'x' })).rejects.toMatchObject({ code: 'UNKNOWN_MUTATION' });
    expect(await device.storage.dump()).toEqual(before);
  });

  test('Q21 · every view shows the edited payload, also that of another tab', async () => {
    const { device, leader, other } = await twoTabs();
    const views = [leader, other].map((queue) => createOptimisticStore<Notes>({ queue, base: { notes: {} } }));
    const handle = await leader.add(note('a', 'first'));
    await leader.add(note('a', '+'));
    await device.clock.settle();
    expect(views.map((view) => view.getSnapshot().notes)).toEqual([{ a: 'first+' }, { a: 'first+' }]);

    await handle.edit({ id: 'a', text: 'edited' });
    expect(views[0]?.getSnapshot().notes).toEqual({ a: 'edited+' });

    await device.clock.settle();
    expect(views[1]?.getSnapshot().notes).toEqual({ a: 'edited+' });
  });
});

describe('amending from a tab that does not deliver', () => {
  test('Q21 · it asks the one that does, and that sends the new payload', async () => {
    const { device, leader, other } = await twoTabs();
    const handle = await other.add(note('a', 'first'));

    expect(await handle.edit({ id: 'a', text: 'edited' })).toEqual({ kind: 'edited', id: handle.id });

    await leader.resume();
    await device.clock.settle();
    expect(sentTexts(device)).toEqual(['edited']);
    expect(await handle.settled).toMatchObject({ status: 'completed' });
  });

  test('Q21 · when the one that delivers does not answer, nothing is changed, and the new payload goes behind it', async () => {
    const { device, leader, other } = await twoTabs();
    const handle = await other.add(note('a', 'first'));
    await device.clock.settle();
    device.browser.isLosingMessages = true;

    const editing = handle.edit({ id: 'a', text: 'edited' });
    await device.clock.pass(2_000);

    expect(await editing).toMatchObject({ kind: 'replaced' });
    await leader.resume();
    await device.clock.pass(60_000);
    expect(sentTexts(device)).toEqual(['first', 'edited']);
  });

  test('Q21 · when the news of it is lost, the one that delivers finds the new payload before it sends', async () => {
    const slow = new SlowRewriting();
    const { device, leader, other } = await twoTabs(slow);
    const handle = await other.add(note('a', 'first'));
    await device.clock.settle();
    slow.isHolding = true;
    const editing = handle.edit({ id: 'a', text: 'edited' });
    await device.clock.settle();
    device.browser.isLosingMessages = true;
    slow.release();
    expect(await editing).toMatchObject({ kind: 'edited' });

    await leader.resume();
    await device.clock.settle();
    expect(sentTexts(device), 'kept back').toEqual([]);
    await device.clock.pass(2_000);

    expect(sentTexts(device)).toEqual(['edited']);
    expect(leader.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 0 });
  });

  const calls = ['read', 'commit'] as const;
  test.each(calls)('Q21 · one whose %s takes too long changes nothing: what was sent stays as it was', async (call) => {
    const slow = new SlowRewriting(call);
    const { device, leader, other } = await twoTabs(slow);
    const handle = await other.add(note('a', 'first'));
    await device.clock.settle();
    slow.isHolding = true;
    const editing = handle.edit({ id: 'a', text: 'edited' });
    await device.clock.settle();
    await leader.resume();
    await device.clock.settle();
    expect(sentTexts(device), 'kept back').toEqual([]);
    device.server.hold();
    await device.clock.pass(2_000);
    expect(sentTexts(device), 'it goes on as it is').toEqual(['first']);

    slow.release();
    slow.isHolding = false;

    expect(await editing).toMatchObject({ kind: 'replaced' });
    device.server.release();
    await device.clock.settle();
    expect(sentTexts(device)).toEqual(['first', 'edited']);
    expect(device.server.effects).toHaveLength(2);
    expect(leader.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 0 });
  });

  test('Q21 · when the one that delivers is gone meanwhile, the next one knows nothing of it, and nothing is changed', async () => {
    const slow = new SlowRewriting();
    const { device, leader, other } = await twoTabs(slow);
    const handle = await other.add(note('a', 'first'));
    await device.clock.settle();
    slow.isHolding = true;
    const editing = handle.edit({ id: 'a', text: 'edited' });
    await device.clock.settle();
    // A third tab takes over, and sends.
    const third = await device.open();
    await leader.close();
    await device.clock.settle();
    const [next, otherOne] = third.getSnapshot().isLeader ? [third, other] : [other, third];
    expect([next.getSnapshot().isLeader, otherOne.getSnapshot().isLeader]).toContain(true);

    slow.isHolding = false;
    slow.release();

    expect(await editing).toMatchObject({ kind: 'replaced' });
    await third.resume();
    await device.clock.pass(60_000);
    expect(sentTexts(device)).toEqual(['first', 'edited']);
  });

  test('Q21 · two tabs that edit at once do not lose the later text, and neither changes what the other has sent', async () => {
    const { device, leader, other } = await twoTabs();
    const handle = await other.add(note('a', 'first'));
    await device.clock.settle();

    const answers = await Promise.all([
      leader.edit(handle.id, { id: 'a', text: 'one' }),
      other.edit(handle.id, { id: 'a', text: 'two' }),
    ]);

    await leader.resume();
    await device.clock.settle();
    expect(answers.filter(({ kind }) => kind === 'edited')).toHaveLength(sentTexts(device).length === 1 ? 2 : 1);
    expect(leader.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 0 });
  });

  test('O2 · what was taken back before its edit was heard of is not shown again', async () => {
    const device = new TestDevice();
    let heard = (): void => {};
    const storage: OpenStorage = async (name) => {
      const opened = await device.storage.open(name);
      return {
        ...opened,
        commit: async (batch) => {
          const result = await opened.commit(batch);
          if (batch.changes.some((change) => change.kind === 'put' && change.value.includes('second')))
            await new Promise<void>((resolve) => (heard = resolve));
          return result;
        },
      };
    };
    const queue = await device.open({ storage });
    const view = createOptimisticStore<Notes>({ queue, base: { notes: {} } });
    await device.goOffline();
    const { id } = await queue.add(note('a', 'first'));
    const editing = queue.edit(id, { id: 'a', text: 'second' });
    await device.clock.settle();
    expect(await queue.cancel(id)).toBe('cancelled');

    heard();
    await editing;
    await device.clock.settle();

    expect(view.getSnapshot()).toEqual({ notes: {} });
  });

  test('O2 · one whose parent fails while it is edited shows the edit until it counts as failed', async () => {
    const slow = new SlowRewriting();
    const device = new TestDevice();
    const queue = await device.open({ storage: slow.over(device.storage.open) });
    const view = createOptimisticStore<Notes>({ queue, base: { notes: {} } });
    device.server.judge = () => 'rejected';
    device.server.hold();
    const parent = await queue.add(note('a', 'first'));
    const child = await queue.add({ ...note('b', 'first'), dependsOn: [parent] });
    slow.isHolding = true;
    const editing = child.edit({ id: 'b', text: 'edited' });
    await device.clock.settle();
    device.server.release();
    await device.clock.settle();
    expect(view.getSnapshot().notes).toEqual({ b: 'first' });
    const shown: unknown[] = [];
    view.subscribe(() => shown.push(view.getSnapshot().notes));

    slow.isHolding = false;
    slow.release();
    expect(await editing).toMatchObject({ kind: 'edited' });

    expect(await child.settled).toMatchObject({ status: 'failed', error: { code: 'PARENT_FAILED' } });
    await device.clock.settle();
    expect(shown).toEqual([{ b: 'edited' }, {}]);
  });

  test('Q8 · what is being rewritten can still be taken back, and then it is gone', async () => {
    const slow = new SlowRewriting();
    const { device, leader, other } = await twoTabs(slow);
    const handle = await other.add(note('a', 'first'));
    await device.clock.settle();
    slow.isHolding = true;
    const editing = handle.edit({ id: 'a', text: 'edited' });
    await device.clock.settle();

    expect(await leader.cancel(handle.id)).toBe('cancelled');
    slow.isHolding = false;
    slow.release();

    expect(await editing).toMatchObject({ kind: 'replaced' });
    await leader.resume();
    await device.clock.settle();
    expect(sentTexts(device)).toEqual(['edited']);
  });
});

/** A tab in which rewriting takes as long as the test wants: the reading of what it was, or the commit. */
class SlowRewriting {
  isHolding = false;
  private waiting: (() => void)[] = [];
  private readonly slowCall: 'read' | 'commit';

  constructor(slowCall: 'read' | 'commit' = 'commit') {
    this.slowCall = slowCall;
  }

  over(open: OpenStorage): OpenStorage {
    return async (name) => {
      const storage = await open(name);
      return {
        ...storage,
        read: async (keys) => {
          await this.hold('read', keys);
          return storage.read(keys);
        },
        commit: async (batch) => {
          const keys = batch.expect.map(({ key }) => key);
          await this.hold('commit', keys);
          return storage.commit(batch);
        },
      };
    };
  }

  release(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  private async hold(call: 'read' | 'commit', keys: readonly string[]): Promise<void> {
    if (!this.isHolding || call !== this.slowCall || !keys.some((key) => key.startsWith('p/'))) return;
    await new Promise<void>((resolve) => this.waiting.push(resolve));
  }
}
