import { describe, expect, test } from 'vitest';
import { HoldfastError } from '../mutation/holdfast-error.ts';
import type { OpenStorage } from '../ports/storage.ts';
import type { Transport } from '../ports/transport.ts';
import type { Settled } from './queue-events.ts';
import { note, TestDevice } from './testing-queue/test-device.ts';

/** What whoever waits for it waits for, from `begin` to `end`. */
class Held {
  over: Promise<void> = Promise.resolve();
  end = (): void => {};

  begin(): void {
    this.over = new Promise((resolve) => {
      this.end = resolve;
    });
  }
}

describe('cancel', () => {
  test('Q14 · what waits is taken back, for good: the server never hears of it, and a restart does not bring it back', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    await device.goOffline();
    const handle = await queue.add({ ...note('a'), delayMs: 5_000 });

    expect(await handle.cancel()).toBe('cancelled');

    expect(await handle.settled).toEqual({ status: 'cancelled', id: handle.id });
    await queue.close();
    const again = await device.open();
    await device.goOnline();
    await device.clock.pass(10_000);
    expect(again.getSnapshot().pendingCount).toBe(0);
    expect(device.server.requests).toEqual([]);
    await again.close();
  });

  test('Q14 · what may have been sent is too late, and an id that nobody knows is unknown', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    const handle = await queue.add(note('a'));
    await device.clock.settle();
    expect(await handle.cancel()).not.toBe('cancelled');
    expect(await queue.cancel('nobody')).toBe('unknown');
    await queue.close();
  });

  test('Q14 · a tab that does not deliver asks the one that does', async () => {
    const device = new TestDevice();
    const leader = await device.open();
    const follower = await device.open();
    expect([leader.getSnapshot().isLeader, follower.getSnapshot().isLeader]).toEqual([true, false]);
    const handle = await follower.add({ ...note('a'), delayMs: 5_000 });

    const answer = handle.cancel();
    await device.clock.settle();

    expect(await answer).toBe('cancelled');
    await device.clock.pass(10_000);
    expect(device.server.requests).toEqual([]);
    expect([leader, follower].map((queue) => queue.getSnapshot().pendingCount)).toEqual([0, 0]);
    await Promise.all([leader.close(), follower.close()]);
  });

  test('Q14 · when nobody answers, the caller is told that it is unknown', async () => {
    const device = new TestDevice();
    const leader = await device.open();
    const follower = await device.open();
    const handle = await follower.add({ ...note('a'), delayMs: 60_000 });
    await leader.pause();
    device.browser.isLosingMessages = true;

    const answer = handle.cancel();
    await device.clock.pass(2_000);

    expect(await answer).toBe('unknown');
    await Promise.all([leader.close(), follower.close()]);
  });
});

describe('caps', () => {
  test('Q12 · at the cap `add` rejects with QUEUE_FULL and stores nothing; room is given back by what settles', async () => {
    const device = new TestDevice();
    const queue = await device.open({ queueCapCount: 2 });
    await device.goOffline();
    await Promise.all([queue.add(note('a')), queue.add(note('b'))]);

    await expect(queue.add(note('c'))).rejects.toMatchObject({ code: 'QUEUE_FULL', category: 'STORAGE_ERROR' });
    expect(queue.getSnapshot().pendingCount).toBe(2);

    await device.goOnline();
    await queue.add(note('c'));
    await queue.close();
  });

  test('Q12 · calls made together do not pass the cap together, and one that fails gives its room back', async () => {
    const device = new TestDevice();
    const queue = await device.open({ queueCapCount: 2 });
    await device.goOffline();
    const results = await Promise.allSettled(['a', 'b', 'c'].map((id) => queue.add(note(id))));
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    await queue.close();
  });

  test('Q12 · dead letters take up no room', async () => {
    const device = new TestDevice();
    const queue = await device.open({ queueCapCount: 1 });
    device.server.judge = () => 'rejected';
    await (await queue.add(note('a'))).settled;

    await (await queue.add(note('b'))).settled;

    expect(queue.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 2 });
    await queue.close();
  });

  test('Q12 · where that is declared, the oldest of low priority makes room, as a dead letter that can be retried', async () => {
    const device = new TestDevice();
    const queue = await device.open({ queueCapCount: 3, evict: 'lowPriority' });
    await device.goOffline();
    const old = await queue.add({ ...note('a'), priority: 'low' });
    await queue.add({ ...note('b'), priority: 'low' });
    await queue.add(note('c'));

    await queue.add(note('d'));

    expect(await old.settled).toMatchObject({ status: 'failed', error: { code: 'EVICTED' } });
    expect((await queue.explain(old.id)).sentence).toMatch(/^Not sent: the queue was full/);
    expect(queue.getSnapshot()).toMatchObject({ pendingCount: 3, failedCount: 1 });
    await device.goOnline();
    await device.clock.pass(1_000);
    expect(await queue.retry(old.id)).toMatchObject({ touchedCount: 1 });
    await device.clock.settle();
    expect(device.server.effects).toHaveLength(4);
    await queue.close();
  });

  test('Q12 · what others stand on, what may have been sent, and what is of higher priority is not evicted', async () => {
    const device = new TestDevice();
    const queue = await device.open({ queueCapCount: 3, evict: 'lowPriority' });
    device.server.judge = () => 'unknown';
    await queue.add({ ...note('sent'), priority: 'low' });
    await device.clock.settle();
    const parent = await queue.add({ ...note('parent'), priority: 'low' });
    await queue.add({ ...note('child'), dependsOn: [parent] });

    await expect(queue.add(note('d'))).rejects.toMatchObject({ code: 'QUEUE_FULL' });

    expect(queue.getSnapshot()).toMatchObject({ pendingCount: 3, failedCount: 0 });
    await queue.close();
  });

  test('Q12 · a tab that does not deliver asks the one that does to make room; nobody answering, it refuses', async () => {
    const device = new TestDevice();
    const options = { queueCapCount: 2, evict: 'lowPriority' } as const;
    const leader = await device.open(options);
    await leader.pause();
    const other = await device.open(options);
    const old = await other.add({ ...note('a'), priority: 'low' });
    await other.add({ ...note('b'), priority: 'low' });

    await other.add(note('c'));
    await device.clock.settle();
    expect(await leader.getMutationStatus(old.id)).toMatchObject({ status: 'failed' });

    device.browser.isLosingMessages = true;
    const adding = other.add(note('d')).catch((error: unknown) => error);
    await device.clock.pass(1_000);
    expect(await adding).toMatchObject({ code: 'QUEUE_FULL' });
    await Promise.all([leader.close(), other.close()]);
  });

  test('Q12 · passing 80 % and 100 % of a cap is told once each, and again after it was left', async () => {
    const device = new TestDevice();
    const queue = await device.open({ queueCapCount: 5 });
    const told: string[] = [];
    queue.on('capacity', ({ percent, count, capCount }) => told.push(`${percent} %: ${count} of ${capCount}`));
    await device.goOffline();
    for (const id of ['a', 'b', 'c', 'd', 'e']) await queue.add(note(id));
    expect(told).toEqual(['80 %: 4 of 5', '100 %: 5 of 5']);

    await device.goOnline();
    await device.goOffline();
    for (const id of ['f', 'g', 'h', 'i']) await queue.add(note(id));
    expect(told).toEqual(['80 %: 4 of 5', '100 %: 5 of 5', '80 %: 4 of 5']);
    await queue.close();
  });

  test('Q12 · the cap in bytes counts the payloads of what is pending', async () => {
    const device = new TestDevice();
    const queue = await device.open({ queueCapBytes: 100 });
    await device.goOffline();
    await queue.add(note('a', 'x'.repeat(50)));
    await expect(queue.add(note('b', 'x'.repeat(50)))).rejects.toMatchObject({ code: 'QUEUE_FULL' });
    await queue.close();
  });
});

describe('dependencies', () => {
  test('Q8 · a child goes after its parent is confirmed', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    const parent = await queue.add(note('a'));
    const child = await queue.add({ ...note('b'), dependsOn: [parent] });

    await device.clock.settle();

    expect(await child.settled).toMatchObject({ status: 'completed' });
    const ids = device.server.requests.map(({ request }) => request.mutations.map(({ id }) => id));
    expect(ids).toEqual([[parent.id], [child.id]]);
    await queue.close();
  });

  test('Q8 · a parent that this device does not know, or that has failed, is refused at once', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    await expect(queue.add({ ...note('b'), dependsOn: ['nobody'] })).rejects.toMatchObject({
      code: 'UNKNOWN_MUTATION',
    });
    device.server.judge = () => 'rejected';
    const parent = await queue.add(note('a'));
    await device.clock.settle();
    await expect(queue.add({ ...note('b'), dependsOn: [parent] })).rejects.toMatchObject({ code: 'PARENT_FAILED' });
    await queue.close();
  });

  test('Q8 · after a restart the child still waits for its parent', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    await device.goOffline();
    const parent = await queue.add(note('a'));
    const child = await queue.add({ ...note('b'), dependsOn: [parent] });
    await queue.close();

    const again = await device.open();
    expect((await again.getMutationStatus(child.id))?.waitingFor).not.toBe('nothing');
    await device.goOnline();
    await device.clock.pass(1_000);

    const delivered = device.server.requests.flatMap(({ request }) => request.mutations.map(({ id }) => id));
    expect(delivered.slice(-2)).toEqual([parent.id, child.id]);
    await again.close();
  });
});

describe('options of one mutation', () => {
  test('Q15 · onRetry is told each answer that uses up a retry', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    device.server.judge = () => 'refused';
    const told: number[] = [];
    await queue.add({ ...note('a'), maxRetries: 2, onRetry: ({ attemptCount }) => told.push(attemptCount) });
    await device.clock.pass(60_000);
    expect(told).toEqual([1, 2]);
    await queue.close();
  });

  test('Q15 · an option that makes no sense is refused, and nothing is stored', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    await expect(queue.add({ ...note('a'), delayMs: -1 })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    await expect(queue.add({ ...note('a'), maxRetries: 1.5 })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    expect(queue.getSnapshot().pendingCount).toBe(0);
    await queue.close();
  });
});

describe('restart', () => {
  test('Q13 · restart builds everything anew from what is stored; calls made meanwhile wait, and all is delivered once', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    await device.goOffline();
    const before = await queue.add(note('a', '1'));

    const restarted = queue.restart();
    const meanwhile = queue.add(note('a', '2'));
    await device.clock.settle();
    await restarted;

    expect(queue.getSnapshot()).toMatchObject({ isReady: true, pendingCount: 2, isLeader: true });
    await device.goOnline();
    await device.clock.pass(5_000);
    expect(device.server.effects).toEqual([before.id, (await meanwhile).id]);
    expect(await before.settled).toMatchObject({ status: 'completed' });
    await queue.close();
  });
});

describe('restart, asked for twice', () => {
  test('Q13 · of two at once the later one stays, and what the earlier one had begun is ended', async () => {
    const device = new TestDevice();
    const [adding, closing] = [new Held(), new Held()];
    let openCount = 0;
    const storage: OpenStorage = async (name) => {
      const opened = await device.storage.open(name);
      openCount += 1;
      return {
        ...opened,
        commit: async (commit) => {
          const result = await opened.commit(commit);
          if (commit.changes.some(({ key }) => key.startsWith('p/'))) await adding.over;
          return result;
        },
        close: async () => {
          await closing.over;
          openCount -= 1;
          await opened.close();
        },
      };
    };
    // The server knows more of this client than its store: it takes another id, and is opened anew by itself.
    let isBehind = true;
    const transport: Transport = {
      send: async (request, call) => {
        if (!isBehind) return device.server.transport.send(request, call);
        isBehind = false;
        const outcomes = request.mutations.map(({ seq, id }) => ({ seq, id, kind: 'deferred' }) as const);
        return { kind: 'answered', outcomes, client: { behind: { reason: 'behind', highSeq: 9 } } };
      },
    };
    await device.goOffline();
    const queue = await device.open({ storage, transport });
    const first = await queue.add(note('a', 'first'));
    adding.begin();
    const second = queue.add(note('a', 'second'));
    await device.clock.settle();
    const restarted = queue.restart();
    closing.begin();
    await device.goOnline();
    expect(isBehind).toBe(false);

    adding.end();
    await device.clock.settle();
    closing.end();
    await restarted;
    await device.clock.pass(5_000);

    expect(queue.getSnapshot()).toMatchObject({ isReady: true, isPaused: false, pendingCount: 0 });
    expect(openCount).toBe(1);
    expect(device.server.effects).toEqual([first.id, (await second).id]);
    await queue.close();
    expect(openCount).toBe(0);
  });

  test('Q13 · what could not be opened is opened by the next one', async () => {
    const device = new TestDevice();
    let isBroken = false;
    const storage: OpenStorage = (name) =>
      isBroken ? Promise.reject(new Error('The disk does not answer.')) : device.storage.open(name);
    const queue = await device.open({ storage });
    isBroken = true;
    await expect(queue.restart()).rejects.toThrow('The disk does not answer.');

    isBroken = false;
    await queue.restart();

    const { id } = await queue.add(note('a'));
    await device.clock.settle();
    expect(device.server.effects).toEqual([id]);
    await queue.close();
    await expect(queue.restart()).rejects.toThrow('This queue is closed.');
  });
});

describe('restart, while another tab delivers', () => {
  test.each([
    { what: 'applied', expected: { status: 'completed' } },
    { what: 'rejected', expected: { status: 'failed' } },
    { what: 'cancelled', expected: { status: 'cancelled' } },
  ] as const)(
    'Q13, Q1 · a verdict ($what) that came meanwhile is told to whoever waits for it',
    async ({ what, expected }) => {
      const device = new TestDevice();
      const leader = await device.open();
      let opening: Promise<void> = Promise.resolve();
      const storage: OpenStorage = async (name) => {
        await opening;
        return device.storage.open(name);
      };
      const queue = await device.open({ storage });
      await device.goOffline();
      const handle = await queue.add(note('a'));
      await device.clock.settle();
      const told: Settled[] = [];
      queue.on('settled', (event) => told.push(event));
      let proceed = (): void => {};
      opening = new Promise((resolve) => {
        proceed = resolve;
      });

      const restarted = queue.restart();
      await device.clock.settle();
      if (what === 'cancelled') await leader.cancel(handle.id);
      else await device.goOnline(() => what);
      proceed();
      await restarted;
      await device.clock.settle();

      expect(told).toMatchObject([{ id: handle.id, ...expected }]);
      expect(await handle.settled).toMatchObject(expected);
      await leader.close();
      await queue.close();
    },
  );
});

describe('where it comes from', () => {
  const metadata = { userId: 'ann', deviceId: 'phone', appVersion: '2.1', experiment: { arm: 3 } };
  const source = { screen: 'notes', action: 'save', component: 'editor', userFlow: 'onboarding' };

  test('Q15 · metadata and source are kept with it, also over a restart, and sent along', async () => {
    const device = new TestDevice();
    await device.goOffline();
    const queue = await device.open();
    const given = { ...metadata };
    await queue.add({ ...note('a'), metadata: given, source });
    given.userId = 'somebody else';
    await queue.add(note('b'));
    expect(await queue.explain('id-2')).toMatchObject({ metadata, source });
    await queue.close();
    await device.open();

    await device.goOnline();

    const sent = device.server.requests.at(-1)?.request.mutations ?? [];
    expect(sent.map((mutation) => [mutation.payload['id'], mutation.metadata, mutation.source])).toEqual([
      ['a', metadata, source],
      ['b', undefined, undefined],
    ]);
  });

  test.each([
    { name: 'metadata that is a list', options: { metadata: [] } },
    { name: 'a user that is no text', options: { metadata: { userId: 5 } } },
    { name: 'metadata that is not JSON', options: { metadata: { at: new Date(0) } } },
    { name: 'metadata over 4 KiB', options: { metadata: { note: 'x'.repeat(4_096) } } },
    { name: 'a screen of 201 characters', options: { source: { screen: 'x'.repeat(201) } } },
    { name: 'a source that is a text', options: { source: 'notes' } },
  ])('Q15 · $name is refused, and nothing is stored', async ({ options }) => {
    const device = new TestDevice();
    const queue = await device.open();

    // @ts-expect-error what the compiler refuses, JavaScript may still give
    await expect(queue.add({ ...note('a'), ...options })).rejects.toMatchObject({ code: 'INVALID_OPTION' });

    expect((await queue.getStatus()).totalMutations).toBe(0);
  });
});

describe('expiresAt', () => {
  const inAnHour = (device: TestDevice): number => device.clock.wallMs() + 3_600_000;

  test('Q15 · what was not sent in time becomes a dead letter, EXPIRED, and can be retried without that limit', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    await queue.pause();
    const { id, settled } = await queue.add({ ...note('a'), expiresAt: inAnHour(device) });
    expect(await queue.getMutationStatus(id)).toMatchObject({ status: 'pending', expiresAtMs: inAnHour(device) });

    await device.clock.pass(3_600_000);

    expect(await settled).toMatchObject({ status: 'failed', error: { code: 'EXPIRED' } });
    expect(await queue.getMutationStatus(id)).toMatchObject({
      status: 'failed',
      sentence: 'Not sent: the time in which it was to be sent has passed.',
    });
    await queue.resume();
    expect(await queue.retry(id)).toMatchObject({ touchedCount: 1 });
    await device.clock.settle();
    expect(device.server.effects).toEqual([id]);
  });

  test('Q15 · one that was sent without an answer is sent again, however late', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    device.server.isLosingAnswers = true;
    const { id } = await queue.add({ ...note('a'), expiresAt: inAnHour(device) });
    await device.clock.pass(7_200_000);
    expect(await queue.getMutationStatus(id)).toMatchObject({ status: 'pending' });
    device.server.isLosingAnswers = false;

    await device.goOnline();

    expect(device.server.effects).toEqual([id]);
    expect(await queue.getMutationStatus(id)).toMatchObject({ status: 'completed' });
  });

  test('Q15 · that it expired is told once it is stored: until then it may still be sent', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    await queue.pause();
    const { id, settled } = await queue.add({ ...note('a'), expiresAt: inAnHour(device) });
    let verdict: unknown = null;
    void settled.then((told) => {
      verdict = told;
    });
    device.storage.isFull = () => true;
    await device.clock.pass(3_600_500);
    expect(verdict).toBeNull();
    expect(await queue.getMutationStatus(id)).toMatchObject({ status: 'pending', waitingFor: 'storage' });

    device.storage.isFull = () => false;
    await device.clock.pass(1_000);

    expect(verdict).toMatchObject({ status: 'failed', error: { code: 'EXPIRED' } });
  });

  test('Q15 · a date, an ISO text and milliseconds say the same', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    await queue.pause();
    const atMs = inAnHour(device);
    for (const expiresAt of [atMs, new Date(atMs), new Date(atMs).toISOString()]) {
      const { id } = await queue.add({ ...note('a'), expiresAt });
      expect(queue.peekStatus(id)?.expiresAtMs).toBe(atMs);
    }
  });

  test.each([
    { name: 'no date', expiresAt: 'soon' },
    { name: 'a date that is past', expiresAt: 0 },
    { name: 'no number', expiresAt: Number.NaN },
    { name: 'a date that does not exist', expiresAt: new Date(Number.NaN) },
  ])('Q15 · $name is refused', async ({ expiresAt }) => {
    const queue = await new TestDevice().open();
    await expect(queue.add({ ...note('a'), expiresAt })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
  });
});

describe('restart, while another tab goes on', () => {
  /** A tab that is opened anew when it is let: what happens until then, it does not hear. */
  async function withHeldTab() {
    const device = new TestDevice();
    const opening = new Held();
    const storage: OpenStorage = async (name) => {
      await opening.over;
      return device.storage.open(name);
    };
    return { device, opening, storage };
  }

  test('Q1, Q13 · what it had taken back, and could not store so, is told as it ended', async () => {
    const { device, opening, storage } = await withHeldTab();
    const queue = await device.open({ storage });
    await device.open();
    await device.goOffline();
    const { id, settled } = await queue.add(note('a'));
    device.storage.isFull = ({ changes }) => changes.some(({ key }) => key.startsWith('x/'));
    const cancelling = queue.cancel(id);
    await device.clock.settle();

    opening.begin();
    const restarted = queue.restart();
    device.storage.isFull = () => false;
    await device.goOnline();
    await device.clock.pass(5_000);
    expect(device.server.effects).toEqual([id]);
    opening.end();
    await restarted;

    expect(await cancelling).toBe('unknown');
    expect(await settled).toMatchObject({ id, status: 'completed' });
  });

  test('Q1, Q13 · what ended meanwhile is told, although it is opened anew once more before it has found that out', async () => {
    const { device, opening, storage } = await withHeldTab();
    await device.open();
    const queue = await device.open({ storage });
    device.server.hold();
    const { id, settled } = await queue.add(note('a'));
    await device.clock.settle();

    opening.begin();
    const restarted = queue.restart();
    await device.clock.settle();
    device.server.release();
    await device.clock.settle();
    expect(device.server.effects).toEqual([id]);
    opening.end();
    await restarted;
    await queue.restart();

    expect(await settled).toMatchObject({ id, status: 'completed' });
  });

  test('S4, Q13 · closed while the keys are away, whoever has restarted it is told, and nobody looks for them any more', async () => {
    const device = new TestDevice();
    let openCount = 0;
    const storage: OpenStorage = async () => {
      openCount += 1;
      throw new HoldfastError({ code: 'STORAGE_LOCKED', message: 'The keys are away.' });
    };
    const queue = await device.open({ storage });
    const restarts = [queue.restart(), queue.restart()].map((restarted) =>
      restarted.then(
        () => 'restarted',
        () => 'rejected',
      ),
    );
    await device.clock.pass(1_000);

    await queue.close();
    const before = openCount;
    await device.clock.pass(60_000);

    expect(await Promise.all(restarts)).toEqual(['rejected', 'rejected']);
    expect(openCount).toBe(before);
  });
});
