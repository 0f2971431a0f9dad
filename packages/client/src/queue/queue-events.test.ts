import { describe, expect, test } from 'vitest';
import { parseDisposed } from '../mutation/record.ts';
import { countText } from './store/stored-meta.ts';
import { note, TestDevice, type TestQueue } from './testing-queue/test-device.ts';

const NOTHING = { touchedCount: 0, ids: [] };

describe('draining', () => {
  test('Q18 · it resolves when all that was pending has settled, with counts and progress', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    await queue.pause();
    await Promise.all([note('a'), note('a', 'y'), note('b'), note('c', 'bad')].map((each) => queue.add(each)));
    device.server.judge = ({ payload }) => (payload['text'] === 'bad' ? 'rejected' : 'applied');
    const progress: string[] = [];
    const events: string[] = [];
    queue.onProgress(({ doneCount, totalCount }) => events.push(`${doneCount}/${totalCount}`));
    await queue.resume();

    const result = await queue.process((doneCount, totalCount) => progress.push(`${doneCount}/${totalCount}`));

    expect(result).toEqual({ succeeded: 3, failed: 1, total: 4 });
    expect(progress).toEqual(['1/4', '2/4', '3/4', '4/4']);
    expect(events).toEqual(progress);
  });

  test('Q18 · with nothing pending it resolves at once', async () => {
    const queue = await new TestDevice().open();

    expect(await queue.sync()).toEqual({ succeeded: 0, failed: 0, total: 0 });
  });

  test('Q18 · it does not wait for delays, nor for a line that was down and is back', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    device.server.judge = () => 'refused';
    await queue.add(note('a'));
    await device.clock.settle();
    device.server.judge = () => 'applied';
    expect(await queue.process()).toEqual({ succeeded: 1, failed: 0, total: 1 });

    await device.goOffline();
    await queue.add(note('b'));
    await device.clock.pass(3_600_000);
    device.network.isReachable = true;
    device.server.judge = () => 'applied';
    expect(await queue.process()).toEqual({ succeeded: 1, failed: 0, total: 1 });
  });

  test('Q18 · what cannot go on is not waited for', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    await device.goOffline();
    await queue.add(note('a'));
    await device.clock.pass(3_600_000);
    expect(await queue.process()).toEqual({ succeeded: 0, failed: 0, total: 1 });

    await queue.pause();
    expect(await queue.process()).toEqual({ succeeded: 0, failed: 0, total: 1 });
  });

  test('Q18 · a token that has to be refreshed is waited for', async () => {
    const device = new TestDevice();
    device.token = null;
    const queue = await device.open();
    await queue.add(note('a'));
    await device.clock.pass(3_600_000);
    device.token = 'fresh';

    expect(await queue.process()).toEqual({ succeeded: 1, failed: 0, total: 1 });
  });

  test('Q18 · from a tab that does not deliver it is the same', async () => {
    const device = new TestDevice();
    const leader = await device.open();
    const other = await device.open();
    device.server.judge = () => 'refused';
    await other.add(note('a'));
    await device.clock.settle();
    device.server.judge = () => 'applied';

    expect(await other.process()).toEqual({ succeeded: 1, failed: 0, total: 1 });
    expect(leader.getSnapshot()).toMatchObject({ isLeader: true, pendingCount: 0 });
  });
});

describe('events', () => {
  test('Q16 · a listener that throws harms nothing, and is reported', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    const errors: string[] = [];
    const throwing = (): never => {
      throw new Error('a mistake of the app');
    };
    for (const name of ['stored', 'settled', 'retryComplete', 'change', 'progress', 'error'] as const)
      queue.on(name, throwing);
    queue.onError(({ message }) => errors.push(message));
    const settled: string[] = [];
    queue.on('settled', ({ id }) => settled.push(id));

    const handle = await queue.add(note('a'));

    expect(await handle.settled).toMatchObject({ status: 'completed' });
    expect(settled).toEqual([handle.id]);
    expect(errors).toContain('a mistake of the app');
    await queue.pause();
    await queue.add(note('b'));
    await queue.resume();
    expect(await queue.process(throwing)).toEqual({ succeeded: 1, failed: 0, total: 1 });
  });

  test('Q16 · a verdict is told once, whichever tab it came to, and a retry that came to one too', async () => {
    const device = new TestDevice();
    const queues = [await device.open(), await device.open()];
    const told = queues.map((queue) => {
      const events: unknown[] = [];
      queue.on('settled', ({ id, status }) => events.push([id, status]));
      queue.onRetryComplete((event) => events.push(event));
      return events;
    });
    let tryCount = 0;
    device.server.judge = () => {
      tryCount += 1;
      return tryCount === 1 ? 'refused' : 'applied';
    };

    const { id } = (await queues[1]?.add(note('a'))) ?? { id: '' };
    await device.clock.pass(5_000);

    for (const events of told) {
      expect(events).toEqual([[id, 'completed'], { id, isSuccess: true, attemptCount: 2 }]);
    }
  });

  test('Q16 · an unsubscribed listener hears nothing more, and the queue`s changes carry its snapshot', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    const pendingCounts: number[] = [];
    const stop = queue.onQueueChange(({ pendingCount }) => pendingCounts.push(pendingCount));
    await (await queue.add(note('a'))).settled;
    await device.clock.settle();
    expect(pendingCounts).toContain(1);
    expect(pendingCounts.at(-1)).toBe(0);

    stop();
    const heard = pendingCounts.length;
    await queue.add(note('b'));

    expect(pendingCounts.length).toBe(heard);
  });

  test('Q16 · a failure is told with code, category and hint', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    const errors: unknown[] = [];
    queue.onError(({ code, category, hint }) => errors.push({ code, category, hint }));
    device.server.judge = () => 'rejected';

    await (await queue.add(note('a'))).settled;

    expect(errors).toEqual([{ code: 'BUSY', category: 'SERVER_ERROR', hint: 'Wait.' }]);
  });

  test('Q16 · a failure says which mutation it is about, how often it was tried, and whether it is tried again', async () => {
    const device = new TestDevice();
    const queues = [await device.open(), await device.open()];
    const told = queues.map((queue) => {
      const details: unknown[] = [];
      queue.onError((error) => details.push(error.details));
      return details;
    });
    device.server.judge = () => 'refused';
    const handle = await queues[0]?.add({ ...note('a'), maxRetries: 1 });
    await device.clock.pass(60_000);

    const about = { mutationId: handle?.id, type: 'note.save', entity: { table: 'notes', id: 'a' } };
    for (const details of told) {
      expect(details).toEqual([
        { ...about, attemptCount: 1, isFinal: false },
        { ...about, attemptCount: 2, isFinal: true },
      ]);
    }
  });

  test('Q16 · what is about no mutation has no details', async () => {
    const device = new TestDevice();
    const queue = await device.open({ transport: { send: () => Promise.reject(new Error('Its own mistake.')) } });
    const details: unknown[] = [];
    queue.onError((error) => details.push(error.details));

    await queue.add(note('a'));
    await device.clock.settle();

    expect(details).toEqual([null]);
  });

  test('Q16 · a listener that fails later harms nothing either, and is reported as what it is', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    const errors: unknown[] = [];
    queue.onError(({ code, message }) => errors.push([code, message]));
    queue.onError(() => Promise.reject(new Error('nobody hears of this one')));
    queue.on('settled', () => Promise.reject(new Error('a mistake of the app')));
    queue.on('stored', () => {
      throw new Error('another mistake');
    });

    await (await queue.add(note('a'))).settled;
    await device.clock.settle();

    expect(errors).toEqual([
      ['LISTENER_FAILED', 'another mistake'],
      ['LISTENER_FAILED', 'a mistake of the app'],
    ]);
  });

  test('Q16 · an event that there is not is refused with the names of those that there are', async () => {
    const queue = await new TestDevice().open();
    const name = 'setteld' as 'settled';

    expect(() => queue.on(name, () => {})).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining('setteld') as unknown }),
    );
  });
});

describe('dead letters', () => {
  async function withDeadLetter(): Promise<{
    readonly device: TestDevice;
    readonly queue: TestQueue;
    readonly id: string;
  }> {
    const device = new TestDevice();
    const queue = await device.open();
    device.server.judge = () => 'rejected';
    const { id, settled } = await queue.add(note('a'));
    await settled;
    await device.clock.settle();
    device.server.judge = () => 'applied';
    return { device, queue, id };
  }

  test('R6 · one that is retried keeps its id, with a new number and generation', async () => {
    const { device, queue, id } = await withDeadLetter();

    expect(await queue.retry(id)).toEqual({ touchedCount: 1, ids: [id] });

    expect(await queue.settled(id)).toMatchObject({ status: 'completed', id });
    expect(device.server.requests.at(-1)?.request.mutations).toMatchObject([
      { id, seq: 2, generation: 1, payload: { id: 'a', text: 'x' } },
    ]);
    expect(await queue.retry(id)).toEqual(NOTHING);
    expect((await queue.getStatus()).counts).toEqual({
      pending: 0,
      processing: 0,
      completed: 1,
      failed: 0,
      corrupted: 0,
    });
  });

  test('R6 · one that is disposed of is gone, and who asked why is kept', async () => {
    const { device, queue, id } = await withDeadLetter();

    expect(await queue.discard(id, 'typed twice')).toEqual({ touchedCount: 1, ids: [id] });

    expect(await queue.settled(id)).toEqual({ status: 'cancelled', id });
    expect(await queue.listActs()).toMatchObject([{ kind: 'discard', actor: 'ann', reason: 'typed twice', ids: [id] }]);
    expect(parseDisposed((await device.storage.dump())[`x/${id}`] ?? '')).toMatchObject({
      record: { id, error: { code: 'BUSY' }, act: { reason: 'typed twice' } },
    });
    expect(Object.keys(await device.storage.dump()).filter((key) => /^[pfb]\//.test(key))).toEqual([]);
    expect(await queue.discard(id, 'again')).toEqual(NOTHING);
  });

  test.each(['retry', 'discard'] as const)('R6 · after a restart %s does the same', async (action) => {
    const { device, queue, id } = await withDeadLetter();
    await queue.close();
    const again = await device.open();
    expect(again.getSnapshot()).toMatchObject({ failedCount: 1, pendingCount: 0 });

    expect(action === 'retry' ? await again.retry(id) : await again.discard(id, 'old')).toMatchObject({
      touchedCount: 1,
    });

    expect(await again.settled(id)).toMatchObject({ status: action === 'retry' ? 'completed' : 'cancelled' });
  });

  test.each(['retry', 'discard'] as const)(
    'R6 · %s from a tab that does not deliver does the same, and every tab knows',
    async (action) => {
      const { device, queue, id } = await withDeadLetter();
      const other = await device.open();

      expect(action === 'retry' ? await other.retry(id) : await other.discard(id, 'old')).toMatchObject({
        touchedCount: 1,
      });
      await device.clock.settle();

      for (const tab of [queue, other]) {
        expect(tab.getSnapshot()).toMatchObject({ failedCount: 0, pendingCount: 0 });
        expect(await tab.settled(id)).toMatchObject({ status: action === 'retry' ? 'completed' : 'cancelled' });
      }
    },
  );

  test('R6 · two tabs that retry one make one retry of it', async () => {
    const { device, queue, id } = await withDeadLetter();
    const other = await device.open();

    const ended = await Promise.all([queue.retry(id), other.retry(id)]);

    expect(ended.reduce((sum, { touchedCount }) => sum + touchedCount, 0)).toBe(1);
    await device.clock.settle();
    expect(device.server.effects).toEqual([id]);
    expect((await queue.getStatus()).counts).toMatchObject({ pending: 0, completed: 1, failed: 0 });
  });

  test('R6 · one that is pending, confirmed or unknown is neither retried nor disposed of', async () => {
    const { device, queue } = await withDeadLetter();
    const confirmed = await queue.add(note('b'));
    await confirmed.settled;
    await device.goOffline();
    const pending = await queue.add(note('c'));

    for (const id of [confirmed.id, pending.id, 'nobody']) {
      expect(await queue.retry(id)).toEqual(NOTHING);
      expect(await queue.discard(id, 'x')).toEqual(NOTHING);
    }
  });
});

describe('two tabs over one store', () => {
  test('Q19 · both store, one delivers, each effect takes place once and both see it', async () => {
    const device = new TestDevice();
    const [first, second] = [await device.open(), await device.open()];
    const tabs = [first, second];
    expect(tabs.map((tab) => tab.getSnapshot().isLeader)).toEqual([true, false]);

    const handles = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        (index % 2 === 0 ? first : second).add(note(`${index % 4}`, `${index}`)),
      ),
    );

    for (const handle of handles) expect(await handle.settled).toMatchObject({ status: 'completed' });
    expect(device.server.effects.length).toBe(40);
    expect(new Set(device.server.effects).size).toBe(40);
    await device.clock.settle();
    for (const tab of tabs) expect(tab.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 0 });
    expect((await second.getStatus()).counts.completed).toBe(40);
    const seqs = device.server.requests.flatMap(({ request }) => request.mutations.map(({ seq }) => seq));
    expect(seqs.toSorted((left, right) => left - right)).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
  });

  test('Q19 · when the one that delivers closes, the other goes on', async () => {
    const device = new TestDevice();
    const [first, second] = [await device.open(), await device.open()];
    device.server.hold();
    const { id } = await first.add(note('a'));
    await device.clock.settle();
    await first.close();
    device.server.release();
    await device.clock.settle();

    expect(second.getSnapshot().isLeader).toBe(true);
    expect(await second.settled(id)).toMatchObject({ status: 'completed' });
    expect(device.server.effects).toEqual([id]);
  });

  test('Q19 · with every message lost, everything is delivered, and every tab finds out', async () => {
    const device = new TestDevice();
    const [leader, other] = [await device.open(), await device.open()];
    device.browser.isLosingMessages = true;
    device.server.judge = ({ payload }) => (payload['text'] === 'bad' ? 'rejected' : 'applied');

    const good = await other.add(note('a'));
    const bad = await other.add(note('b', 'bad'));
    await device.clock.pass(180_000);

    expect(await good.settled).toMatchObject({ status: 'completed' });
    expect(await bad.settled).toMatchObject({ status: 'failed' });
    for (const tab of [leader, other]) expect(tab.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 1 });
    expect(device.server.effects).toEqual([good.id]);
  });

  test('Q19 · a tab whose lead was taken sends nothing more, settles nothing, and takes it again only when it is free', async () => {
    // given: a frozen tab with a batch on its way, and another that was given the lead meanwhile
    const device = new TestDevice();
    const frozen = await device.open();
    device.server.hold();
    const first = await frozen.add(note('a', '1'));
    await frozen.add(note('a', '2'));
    await device.clock.settle();
    const storage = await device.storage.peek();
    await storage.commit({ expect: [], changes: [{ kind: 'put', key: 'meta/epoch', value: countText(7) }] });

    // when: its answer arrives
    device.server.release();
    await device.clock.settle();

    // then: neither its settlement nor its next send counts, and the lead is asked for again, once
    expect(device.server.effects).toEqual([first.id]);
    expect(Object.keys(await device.storage.dump()).filter((key) => key.startsWith('p/')).length).toBe(2);
    expect(frozen.getSnapshot()).toMatchObject({ isLeader: false });
    const other = await device.open();
    await device.clock.pass(60_000);
    expect([frozen, other].filter((tab) => tab.getSnapshot().isLeader).length).toBe(1);
    expect(device.server.effects.length).toBe(2);
    await frozen.close();
    await device.clock.pass(60_000);
    expect(other.getSnapshot().isLeader).toBe(true);
  });
});

describe('the network as the queue sees it', () => {
  test('N3 · it notices going offline and coming back, also with nothing to send', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    const seen: boolean[] = [];
    queue.network.onChange(({ isOnline }) => seen.push(isOnline));
    await device.goOffline();
    expect(queue.network.isOnline()).toBe(false);
    expect(queue.network.getQuality()).toBe('offline');

    await device.goOnline();

    expect(queue.network.isOnline()).toBe(true);
    expect(seen).toEqual([false, true]);
    expect(queue.network.getQuality()).toBe('excellent');
  });

  test('N2 · a captive portal that answers everything is not the server', async () => {
    const device = new TestDevice();
    const error = { category: 'SERVER_ERROR', code: 'NOT_OUR_SERVER', message: 'x' } as const;
    const queue = await device.open({
      transport: { send: async () => ({ kind: 'unavailable', error, retryAfterMs: null }) },
    });

    await queue.add(note('a'));
    await device.clock.settle();

    expect(queue.network.isOnline()).toBe(false);
  });
});
