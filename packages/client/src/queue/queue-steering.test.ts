import { describe, expect, test } from 'vitest';
import { checksum } from '../mutation/checksum.ts';
import { note, TestDevice, type TestQueue } from './testing-queue/test-device.ts';

const NOTHING = { touchedCount: 0, ids: [] };

/** Dead letters of notes `a`, `b`, `c`, of which `b` is called bad by the server. */
async function withDeadLetters(): Promise<{
  readonly device: TestDevice;
  readonly queue: TestQueue;
  readonly ids: readonly [string, string, string];
}> {
  const device = new TestDevice();
  const queue = await device.open();
  device.server.judge = () => 'rejected';
  const ids: string[] = [];
  for (const each of ['a', 'b', 'c']) {
    const { id, settled } = await queue.add(note(each, each));
    await settled;
    ids.push(id);
  }
  await device.clock.settle();
  device.server.judge = () => 'applied';
  return { device, queue, ids: ids as unknown as readonly [string, string, string] };
}

describe('acts on many', () => {
  test('Q14 · all dead letters are sent again in their order, and say how many they are', async () => {
    const { device, queue, ids } = await withDeadLetters();

    expect(await queue.retryFailed()).toEqual({ touchedCount: 3, ids });
    await device.clock.settle();

    expect(device.server.effects).toEqual(ids);
    expect(await queue.listActs()).toMatchObject([{ kind: 'retry', actor: 'ann', reason: null, touchedCount: 3, ids }]);
    expect(await queue.retryFailed()).toEqual(NOTHING);
  });

  test('Q14 · who retries it wants it sent now: its undo window is over, whatever the clock says', async () => {
    const device = new TestDevice();
    device.server.judge = () => 'rejected';
    const queue = await device.open();
    const { id, settled } = await queue.add({ ...note('a'), delayMs: 5_000 });
    await device.clock.pass(5_000);
    expect((await settled).status).toBe('failed');
    device.server.judge = () => 'applied';
    device.clock.wallOffsetMs -= 3_600_000;

    await queue.retry(id);
    await device.clock.settle();

    expect(device.server.effects).toEqual([id]);
  });

  test.each([
    { filter: { lane: 'notes:b' }, touched: [1] },
    {
      filter: { type: 'note.save', code: 'BUSY', category: 'SERVER_ERROR', priority: 'medium' } as const,
      touched: [0, 1, 2],
    },
    { filter: { type: 'log.write' }, touched: [] },
    { filter: { code: 'ELSE' }, touched: [] },
    { filter: { olderThanMs: 1_000 }, touched: [] },
    { filter: { where: ({ entity }: { entity: { id: string } | null }) => entity?.id !== 'a' }, touched: [1, 2] },
  ])('Q14 · only those that the filter means are touched ($filter)', async ({ filter, touched }) => {
    const { queue, ids } = await withDeadLetters();

    expect((await queue.retryFailed(filter)).ids).toEqual(touched.map((index) => ids[index]));
  });

  test('Q14 · a child is sent again after its parent, whichever died first', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    await queue.pause();
    const parent = await queue.add(note('a'));
    const child = await queue.add({ ...note('b'), dependsOn: [parent] });
    device.server.judge = () => 'rejected';
    await queue.resume();
    await device.clock.settle();
    await queue.retry(parent.id);
    await device.clock.settle();
    expect((await queue.getStatus()).counts.failed).toBe(2);
    device.server.judge = () => 'applied';

    expect((await queue.retryFailed()).ids).toEqual([parent.id, child.id]);
    await device.clock.settle();

    expect(device.server.effects).toEqual([parent.id, child.id]);
  });

  test('Q14 · a thousand are touched in commits of a hundred', async () => {
    const device = new TestDevice();
    const queue = await device.open({ queueCapCount: 2_000 });
    device.server.judge = () => 'rejected';
    await Promise.all(Array.from({ length: 1_000 }, (_, index) => queue.add(note(`n${index}`))));
    await device.clock.settle();
    await device.clock.pass(1_000);
    expect(queue.getSnapshot().failedCount).toBe(1_000);
    device.storage.commits = [];

    expect((await queue.clear()).touchedCount).toBe(1_000);

    expect(device.storage.commits).toHaveLength(10);
    expect(await queue.listActs()).toMatchObject([{ kind: 'discard', touchedCount: 1_000 }]);
    expect(Object.keys(await device.storage.dump()).filter((key) => /^[pfb]\//.test(key))).toEqual([]);
  });

  test('Q14 · clearing takes what was never sent and the dead letters, from any tab, and leaves what may have been sent', async () => {
    const { device, queue, ids } = await withDeadLetters();
    device.server.hold();
    const sent = await queue.add(note('sent'));
    await device.clock.settle();
    const fresh = await queue.add(note('fresh'));
    const other = await device.open();

    expect((await other.clear({}, { actor: 'bea', reason: 'starts over' })).ids.toSorted()).toEqual(
      [...ids, fresh.id].toSorted(),
    );
    device.server.release();
    await device.clock.settle();

    expect(await sent.settled).toMatchObject({ status: 'completed' });
    expect(await fresh.settled).toMatchObject({ status: 'cancelled' });
    expect((await queue.getStatus()).counts).toMatchObject({ pending: 0, failed: 0, completed: 1 });
    expect((await queue.listActs()).map(({ kind, actor, touchedCount }) => [kind, actor, touchedCount])).toEqual(
      expect.arrayContaining([
        ['discard', 'bea', 3],
        ['cancel', 'bea', 1],
      ]),
    );
  });
});

describe('acts on one', () => {
  test('Q14 · forced, a pending one goes without waiting for its backoff, also from another tab', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    device.server.judge = () => 'refused';
    const { id } = await queue.add(note('a'));
    await device.clock.settle();
    device.server.judge = () => 'applied';
    const other = await device.open();

    expect(await other.forceRetry(id)).toEqual({ touchedCount: 1, ids: [id] });
    await device.clock.settle();

    expect(device.server.effects).toEqual([id]);
    expect(await other.forceRetry(id)).toEqual(NOTHING);
    expect(await queue.listActs()).toMatchObject([{ kind: 'forceRetry', ids: [id] }]);
  });

  test('Q14 · an admin names who and why, and both are kept', async () => {
    const { queue, ids } = await withDeadLetters();

    expect(await queue.adminRetry(ids[0], { actor: 'bea', reason: 'row restored' })).toEqual({
      touchedCount: 1,
      ids: [ids[0]],
    });
    expect(await queue.listActs()).toMatchObject([{ kind: 'forceRetry', actor: 'bea', reason: 'row restored' }]);
    await expect(queue.adminRetry(ids[1], { actor: '', reason: 'x' })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    });
    await expect(queue.adminRetry(ids[1], { actor: 'bea' } as never)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
  });

  test('Q14 · a dead letter and one that was never sent can be removed, what may have been sent cannot', async () => {
    const { device, queue, ids } = await withDeadLetters();
    device.server.hold();
    const sent = await queue.add(note('sent'));
    await device.clock.settle();
    const fresh = await queue.add(note('fresh'));

    expect(await queue.remove(ids[0])).toMatchObject({ touchedCount: 1 });
    expect(await queue.remove(fresh.id)).toMatchObject({ touchedCount: 1 });
    expect(await queue.remove(sent.id)).toEqual(NOTHING);
    expect(await queue.remove('nobody')).toEqual(NOTHING);
  });

  test('R6 · a dead letter can be looked at whole, and exported with a checksum; it stays', async () => {
    const { queue, ids } = await withDeadLetters();

    expect(await queue.readDeadLetter(ids[1])).toMatchObject({
      id: ids[1],
      payload: { id: 'b', text: 'b' },
      error: { code: 'BUSY' },
      attempts: [{ attemptNumber: 1, error: { code: 'BUSY' } }],
    });
    expect(await queue.readDeadLetter('nobody')).toBeUndefined();

    const file = JSON.parse(await queue.exportDeadLetters({ lane: 'notes:b' }, { reason: 'for support' })) as {
      readonly checksum: string;
      readonly deadLetters: readonly { readonly id: string }[];
    };
    expect(file).toMatchObject({
      holdfast: 'dead-letters',
      format: 1,
      userId: 'ann',
      exported: { reason: 'for support' },
    });
    expect(file.deadLetters.map(({ id }) => id)).toEqual([ids[1]]);
    expect(Number.parseInt(file.checksum, 16)).toBe(checksum(JSON.stringify(file.deadLetters)));
    expect(queue.getSnapshot().failedCount).toBe(3);
    expect(await queue.listActs()).toMatchObject([{ kind: 'export', ids: [ids[1]] }]);
  });
});

describe('stuck', () => {
  test('Q14 · what is on its way beyond twice its deadline is called off and sent again, and takes effect once', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    device.server.hold();
    const { id } = await queue.add(note('a'));
    await device.clock.settle();
    expect(await queue.clearStuck()).toEqual(NOTHING);
    // its alarm is lost, as on a phone that has slept: time passes, and nothing fires
    Object.assign(device.clock, { elapsedMs: device.clock.nowMs() + 61_000 });

    expect(await queue.clearStuck({ reason: 'hangs' })).toEqual({ touchedCount: 1, ids: [id] });
    device.server.release();
    await device.clock.settle();

    expect(device.server.requests.length).toBe(2);
    expect(device.server.effects).toEqual([id]);
    expect(await queue.listActs()).toMatchObject([{ kind: 'clearStuck', reason: 'hangs', ids: [id] }]);
  });
});

describe('pause', () => {
  test('Q13 · asked for in another tab, it is answered only when the tab that delivers has nothing on its way', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    const other = await device.open();
    device.server.hold();
    await queue.add(note('a'));
    await device.clock.settle();
    let isPaused = false;
    const pausing = other.pause({ actor: 'bea', reason: 'audit' }).then(() => {
      isPaused = true;
    });
    await device.clock.settle();
    expect(isPaused).toBe(false);

    device.server.release();
    await pausing;
    await queue.add(note('b'));
    await device.clock.pass(10_000);

    expect(device.server.requests).toHaveLength(1);
    const { id } = await queue.add(note('c'));
    expect(await queue.explain(id)).toMatchObject({
      waitingFor: 'paused',
      pausedBy: { actor: 'bea', reason: 'audit', kind: 'pause' },
      canCancel: true,
    });
  });

  test('Q13 · when no tab that delivers answers, it is answered within 7 s all the same', async () => {
    const device = new TestDevice();
    await device.open();
    const other = await device.open();
    device.browser.isLosingMessages = true;
    let isPaused = false;
    const pausing = other.pause().then(() => {
      isPaused = true;
    });

    await device.clock.pass(6_999);
    expect(isPaused).toBe(false);
    await device.clock.pass(1);
    await pausing;
  });
});

describe('drain', () => {
  test('Q18 · asked for in a tab that does not deliver, a drain ends when the one that does has nothing more to do', async () => {
    const device = new TestDevice();
    await device.open();
    const other = await device.open();
    await device.goOffline();
    const { id } = await other.add(note('a'));
    await device.goOnline(() => 'unavailable');
    await device.clock.pass(300_000);
    expect(other.getSnapshot()).toMatchObject({ isLeader: false, waitingFor: 'circuit' });
    device.server.judge = () => 'applied';

    const draining = other.process();
    await device.clock.pass(1_000);

    expect(await draining).toEqual({ succeeded: 1, failed: 0, total: 1 });
    expect(device.server.effects).toEqual([id]);
  });

  test('Q18 · when nothing can go on without something else happening, it says so at once, in any tab', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    const other = await device.open();
    await queue.pause();
    await other.add(note('a'));

    expect(await other.process()).toEqual({ succeeded: 0, failed: 0, total: 1 });
  });

  test('Q18 · from a tab that is closed meanwhile, whoever waits is told how far it came', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    const other = await device.open();
    device.server.hold();
    await queue.add(note('a'));
    await device.clock.settle();
    const draining = other.process();
    await device.clock.pass(600);

    await other.close();

    expect(await draining).toEqual({ succeeded: 0, failed: 0, total: 1 });
  });
});
