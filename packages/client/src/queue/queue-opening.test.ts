import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { defineMutation } from '../mutation/definition.ts';
import { HoldfastError } from '../mutation/holdfast-error.ts';
import type { OpenStorage, Storage } from '../ports/storage.ts';
import type { Transport } from '../ports/transport.ts';
import { createQueue } from './create-queue.ts';
import { TestKeys } from '../storage/testing-keys/test-keys.ts';
import { note, TestDevice, type TestQueue } from './testing-queue/test-device.ts';

const PENDING = 'p/';

/** A store whose pages of pending mutations come only when they are let, after the first `freeCount`. */
class SlowPages {
  isHolding = true;
  /** So many reads of later pages fail. */
  failCount = 0;
  pageCount = 0;
  private hasBegun = false;
  private readonly freeCount: number;
  private readonly device: TestDevice;
  private releases: (() => void)[] = [];

  constructor(device: TestDevice, freeCount: number) {
    this.device = device;
    this.freeCount = freeCount;
  }

  readonly open: OpenStorage = async (name) => {
    const opened = await this.device.storage.open(name);
    return {
      ...opened,
      scan: async (query) => {
        const isFirst = query.after === 'p/00000000000';
        this.hasBegun ||= query.prefix === PENDING && isFirst;
        // Before the first page it is looked whether something stands above the last number.
        const isLater = query.prefix === PENDING && this.hasBegun && !isFirst;
        if (isLater) {
          this.pageCount += 1;
          if (this.failCount > 0) {
            this.failCount -= 1;
            throw new Error('This page does not come.');
          }
          if (this.isHolding && this.pageCount > this.freeCount)
            await new Promise<void>((resolve) => this.releases.push(resolve));
        }
        return opened.scan(query);
      },
    };
  };

  async release(): Promise<void> {
    this.isHolding = false;
    for (const release of this.releases.splice(0)) release();
    await this.device.clock.settle();
  }
}

/** Leaves these in the store, unsent. */
async function leave(device: TestDevice, work: (queue: TestQueue) => Promise<unknown>): Promise<void> {
  await device.goOffline();
  const queue = await device.open();
  await work(queue);
  await queue.close();
  await device.goOnline();
}

const addAll = (ids: readonly string[]) => async (queue: TestQueue) => {
  for (const [index, id] of ids.entries()) await queue.add(note(id, `${index}`));
};

describe('S3 · opening a long queue', () => {
  test('S3 · delivery begins with the first page, and is ready when all is read', async () => {
    const device = new TestDevice();
    await leave(device, addAll(['a', 'b', 'c', 'd', 'a']));
    const pages = new SlowPages(device, 0);
    const queue = device.create({ storage: pages.open, readPageCount: 2 });
    await device.clock.settle();

    expect(device.server.effects).toEqual(['id-2', 'id-3']);
    expect(queue.getSnapshot()).toMatchObject({ isReady: false, isLeader: true });
    let isAnswered = false;
    const status = queue.getStatus().then((answer) => {
      isAnswered = true;
      return answer;
    });
    const verdict = queue.settled('id-6');
    await device.clock.settle();
    expect(isAnswered).toBe(false);

    await pages.release();

    expect(device.server.effects).toEqual(['id-2', 'id-3', 'id-4', 'id-5', 'id-6']);
    expect((await status).counts).toMatchObject({ pending: 0, completed: 5 });
    expect(await verdict).toMatchObject({ status: 'completed', id: 'id-6' });
    expect(queue.getSnapshot()).toMatchObject({ isReady: true, pendingCount: 0 });
  });

  test('S3 · what is added while the rest is read comes behind all of it', async () => {
    const device = new TestDevice();
    await leave(device, addAll(['a', 'b', 'a', 'c']));
    const pages = new SlowPages(device, 0);
    const queue = device.create({ storage: pages.open, readPageCount: 1 });
    await device.clock.settle();
    const adding = queue.add(note('a', 'newest'));
    await device.clock.settle();
    expect(device.server.effects).toEqual(['id-2']);

    await pages.release();
    const { id } = await adding;
    await device.clock.settle();

    expect(device.server.effects).toEqual(['id-2', 'id-3', 'id-4', 'id-5', id]);
  });

  test('P12 · a server that is told what is settled is never told of what is not read yet', async () => {
    const device = new TestDevice();
    await leave(device, addAll(['a', 'b', 'c']));
    const pages = new SlowPages(device, 1);
    device.create({ storage: pages.open, readPageCount: 1 });
    await device.clock.settle();
    await pages.release();

    const floors = device.server.requests.map(({ request }) => request.acknowledgedFloor);
    expect(floors.length).toBe(3);
    expect(floors.filter((floor, index) => floor > index)).toEqual([]);
  });

  test('Q7 · one that was retried into its old place is waited for, wherever it is stored', async () => {
    const device = new TestDevice();
    const hold = defineMutation({
      type: 'row.save',
      payload: v.object({ id: v.string() }),
      operation: 'update',
      entity: ({ id }) => ({ table: 'rows', id }),
      onDeadLetter: 'hold',
    });
    const before = await device.openWith([hold]);
    device.server.judge = () => 'rejected';
    const first = await before.add({ type: 'row.save', payload: { id: 'a' } });
    await device.clock.settle();
    await device.goOffline();
    const behind = await before.add({ type: 'row.save', payload: { id: 'a' } });
    const other = await before.add({ type: 'row.save', payload: { id: 'b' } });
    await before.retry(first.id);
    await before.close();
    await device.goOnline();
    const pages = new SlowPages(device, 0);
    device.server.requests.length = 0;
    const queue = createQueue({ ...device.ports, storage: pages.open, mutations: [hold], readPageCount: 1 });
    await device.clock.settle();
    expect(device.server.effects).toEqual([]);

    await pages.release();

    await queue.ready;
    expect(device.server.effects.filter((id) => id !== other.id)).toEqual([first.id, behind.id]);
  });

  test('Q19 · a tab that takes over sends what it has seen again in the store, and nothing that is settled', async () => {
    const device = new TestDevice();
    const leader = await device.open();
    const pages = new SlowPages(device, 0);
    pages.isHolding = false;
    const next = await device.open({ storage: pages.open, readPageCount: 1 });
    await device.goOffline();
    for (const id of ['a', 'b', 'c', 'd']) await leader.add(note(id));
    await device.clock.settle();
    expect(next.getSnapshot().pendingCount).toBe(4);
    await leader.cancel('id-3');
    await device.goOnline();
    pages.isHolding = true;
    device.server.requests.length = 0;
    device.server.effects.length = 0;

    await leader.close();
    await device.clock.settle();
    await pages.release();

    expect(next.getSnapshot()).toMatchObject({ isLeader: true, pendingCount: 0 });
    expect(device.server.effects).not.toContain('id-3');
  });

  test('Q14 · a tab that has just taken over answers only when it knows what is still there', async () => {
    const device = new TestDevice();
    const leader = await device.open();
    const pages = new SlowPages(device, 0);
    pages.isHolding = false;
    const next = await device.open({ storage: pages.open, readPageCount: 1 });
    await device.goOffline();
    const handles = [];
    for (const id of ['a', 'b', 'c']) handles.push(await leader.add(note(id)));
    await device.clock.settle();
    const last = handles.at(-1)?.id ?? '';
    device.browser.isLosingMessages = true;
    expect(await leader.cancel(last)).toBe('cancelled');
    pages.isHolding = true;
    pages.pageCount = 0;
    await leader.close();
    await device.clock.settle();
    expect(next.getSnapshot()).toMatchObject({ isLeader: true, pendingCount: 3 });

    let answer = 'none yet';
    void next.cancel(last).then((given) => {
      answer = given;
    });
    await device.clock.settle();
    expect(answer).toBe('none yet');
    await pages.release();

    expect(answer).toBe('unknown');
    expect(next.getSnapshot().pendingCount).toBe(2);
  });

  test('S12 · a page that does not come is read again, and what is known goes meanwhile', async () => {
    const device = new TestDevice();
    await leave(device, addAll(['a', 'b', 'c']));
    const pages = new SlowPages(device, 0);
    const queue = device.create({ storage: pages.open, readPageCount: 1 });
    const errors: string[] = [];
    queue.onError(({ message }) => errors.push(message));
    await device.clock.settle();
    expect(device.server.effects).toEqual(['id-2']);

    pages.failCount = 1;
    await pages.release();
    expect(errors).toEqual(['This page does not come.']);
    expect(device.server.effects).toEqual(['id-2', 'id-3']);
    await queue.ready;
    await device.clock.pass(1_000);

    expect(device.server.effects).toEqual(['id-2', 'id-3', 'id-4']);
  });

  test('Q19 · closed while it still reads, it ends, and the next run goes on', async () => {
    const device = new TestDevice();
    await leave(device, addAll(['a', 'b', 'c']));
    const pages = new SlowPages(device, 0);
    const queue = device.create({ storage: pages.open, readPageCount: 1 });
    queue.ready.catch(() => {});
    await device.clock.settle();
    const closing = queue.close();
    await pages.release();
    await closing;
    expect(device.server.effects).toEqual(['id-2']);

    await device.open({ readPageCount: 1 });
    expect(device.server.effects).toEqual(['id-2', 'id-3', 'id-4']);
  });

  test('S3 · a page size that is none is refused', () => {
    const device = new TestDevice();
    expect(() => device.create({ readPageCount: 0.5 })).toThrow('`readPageCount` must be a whole number above 0');
  });
});

test('S14, S13 · a queue that opens anew by itself, and finds that its store does not read, says so and tries again', async () => {
  const device = new TestDevice();
  let isBroken = false;
  const storage: OpenStorage = (name) =>
    isBroken ? Promise.reject(new Error('The disk does not answer.')) : device.storage.open(name);
  const behind = { kind: 'answered', outcomes: [], client: { behind: { reason: 'behind', highSeq: 9 } } } as const;
  const transport: Transport = {
    send: (request, call) => (isBroken ? Promise.resolve(behind) : device.server.transport.send(request, call)),
  };
  const queue = await device.open({ storage, transport });
  const errors: string[] = [];
  queue.onError(({ message }) => errors.push(message));

  // The server knows more of this client than its store: it takes another id, and opens anew.
  isBroken = true;
  const { id } = await queue.add(note('a'));
  await device.clock.settle();
  expect(queue.getSnapshot().isReady).toBe(false);
  expect(errors).toContain('The disk does not answer.');

  isBroken = false;
  await device.clock.pass(2_000);
  expect(queue.getSnapshot()).toMatchObject({ isReady: true, pendingCount: 0 });
  expect(device.server.effects).toEqual([id]);
});

test('S8 · history that cannot be swept when a queue opens does not keep it from opening', async () => {
  const device = new TestDevice();
  const storage: OpenStorage = async (name) => {
    const opened = await device.storage.open(name);
    const scan: Storage['scan'] = (query) =>
      query.prefix === 'd/' ? Promise.reject(new Error('This page does not come.')) : opened.scan(query);
    return { ...opened, scan };
  };
  const errors: string[] = [];
  const queue = device.create({ storage });
  queue.onError(({ message }) => errors.push(message));
  await queue.ready;

  expect(queue.getSnapshot().isReady).toBe(true);
  expect(errors).toEqual(['This page does not come.']);
});

describe('a store that does not answer', () => {
  /** Answers only when it is let. */
  class Held {
    private let: (() => void)[] = [];
    isHeld = true;

    async answer<Result>(work: () => Promise<Result>): Promise<Result> {
      if (this.isHeld) await new Promise<void>((resolve) => this.let.push(resolve));
      return work();
    }

    release(): void {
      this.isHeld = false;
      for (const each of this.let.splice(0)) each();
    }
  }

  async function holding(
    which: 'storage' | 'keys',
    options: Parameters<TestDevice['open']>[0] = {},
  ): Promise<{
    readonly device: TestDevice;
    readonly held: Held;
    readonly queue: TestQueue;
    readonly errors: string[];
  }> {
    const device = new TestDevice();
    const held = new Held();
    const keys = new TestKeys({ isInstant: true }).open;
    const storage: OpenStorage = (name) => held.answer(() => device.storage.open(name));
    const queue = await device.open(
      which === 'storage' ? { storage, ...options } : { encryption: { keys: (name) => held.answer(() => keys(name)) } },
    );
    const errors: string[] = [];
    queue.onError(({ code }) => errors.push(code));
    return { device, held, queue, errors };
  }

  test.each(['storage', 'keys'] as const)(
    'Q3, S1 · %s: it is said after a while, adding says that nothing is stored, and the queue goes on by itself',
    async (which) => {
      const { device, held, queue, errors } = await holding(which);
      const adding = queue.add(note('a'));
      adding.catch(() => {});
      await device.clock.pass(9_000);
      expect(queue.getSnapshot()).toMatchObject({ isReady: false, waitingFor: 'nothing', error: null });
      await device.clock.pass(2_000);
      expect(queue.getSnapshot()).toMatchObject({
        isReady: false,
        waitingFor: 'storage',
        error: { code: 'STORAGE_UNAVAILABLE' },
      });
      await device.clock.pass(20_000);
      await expect(adding).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
      await expect(queue.add(note('b'))).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
      expect(errors).toEqual(['STORAGE_UNAVAILABLE']);

      held.release();
      await queue.ready;
      expect(queue.getSnapshot()).toMatchObject({ isReady: true, waitingFor: 'nothing', error: null, pendingCount: 0 });
      const { id } = await queue.add(note('c'));
      await device.clock.settle();
      expect(device.server.effects).toEqual([id]);
      await queue.close();
    },
  );

  test('Q3, S1 · closed meanwhile, the queue ends, and closes the store when it comes', async () => {
    for (const waitMs of [1_000, 60_000]) {
      const { device, held, queue } = await holding('storage');
      await device.clock.pass(waitMs);
      const closing = queue.close();
      await device.clock.pass(60_000);
      await closing;
      held.release();
      await device.clock.settle();
      await expect(queue.add(note('a'))).rejects.toMatchObject({ code: 'QUEUE_CLOSED' });
      expect(await device.storage.dump()).toEqual({});
    }
  });

  test.each(['memory', 'reject'] as const)(
    'Q3, S1 · `restart` opens it anew without waiting for the first (%s)',
    async (whenStorageFails) => {
      const { device, held, queue } = await holding('storage', { whenStorageFails });
      await device.clock.pass(20_000);
      held.isHeld = false;
      await queue.restart();
      const { id } = await queue.add(note('a'));
      held.release();
      await device.clock.settle();
      expect(queue.getSnapshot()).toMatchObject({ isReady: true });
      expect(device.server.effects).toEqual([id]);
      await queue.close();
    },
  );
});

test.each(['STORAGE_LOCKED', 'STORAGE_FAILED'] as const)(
  'S1, Q18 · nothing of a queue outlives its end, although its store failed at the end of opening (%s)',
  async (code) => {
    const device = new TestDevice();
    let failCount = 1;
    const storage: OpenStorage = async (name) => {
      const opened = await device.storage.open(name);
      const read: Storage['read'] = async (keys) => {
        if (keys.join() === 'meta/forked' && failCount > 0) {
          failCount -= 1;
          throw new HoldfastError({ code, message: 'Not now.' });
        }
        return opened.read(keys);
      };
      return { ...opened, read };
    };
    const queue = await device.open({ storage });
    await device.clock.pass(10_000);
    expect(failCount).toBe(0);
    await queue.ready;
    await queue.close();

    const next = await device.open();

    expect(next.getSnapshot().isLeader).toBe(true);
  },
);
