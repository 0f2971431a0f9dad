import { describe, expect, test } from 'vitest';
import type { OpenStorage, Storage } from '../ports/storage.ts';
import { StorageSimulator } from '../testing/storage-simulator.ts';
import { createQueue } from './create-queue.ts';
import { note, saveNote, TestDevice } from './testing-queue/test-device.ts';

describe('where a mutation stands', () => {
  test('Q3 · a lane tells which one is before it, and a delay when it is over', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    device.server.judge = () => 'refused';
    const first = await queue.add(note('a'));
    await device.clock.settle();
    const second = await queue.add(note('a'));

    expect(await queue.explain(second.id)).toMatchObject({
      behindId: first.id,
      login: { userId: 'ann', workspaceId: 'home' },
    });
    expect(await queue.explain(first.id)).toMatchObject({
      behindId: null,
      attemptCount: 1,
      nextAttemptAtMs: device.clock.wallMs() + 1_000,
      lastError: { code: 'BUSY' },
      attempts: [{ attemptNumber: 1, error: { code: 'BUSY' } }],
    });
    await expect(queue.explain('nobody')).rejects.toMatchObject({ code: 'UNKNOWN_MUTATION' });
  });

  test.each([
    { store: 'refuses reads', close: (storage: Storage) => storage.close() },
    { store: 'still reads', close: async () => {} },
  ])(
    'Q3 · a queue that is closed while it looks for a mutation does not call it unknown; its store $store',
    async ({ close }) => {
      const device = new TestDevice();
      const held: (() => void)[] = [];
      let isHolding = false;
      const slow: OpenStorage = async (name) => {
        const storage = await device.storage.open(name);
        return {
          ...storage,
          scan: async (range) => {
            if (isHolding) await new Promise<void>((resolve) => held.push(resolve));
            return storage.scan(range);
          },
          close: () => close(storage),
        };
      };
      const queue = await device.open({ storage: slow });
      const other = await device.open();
      await device.goOffline();
      isHolding = true;
      const { id } = await other.add(note('a'));
      const asked = queue.getMutationStatus(id);
      await device.clock.settle();

      const closing = queue.close();
      isHolding = false;
      for (const release of held) release();

      await expect(asked).rejects.toMatchObject({ code: 'QUEUE_CLOSED' });
      await closing;
    },
  );

  test('Q3 · from stored to sent to confirmed to observed', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    await queue.pause();
    const { id } = await queue.add(note('a'));
    const stage = async (): Promise<unknown> => (await queue.getMutationStatus(id))?.stage;
    expect(await stage()).toBe('stored');

    device.server.hold();
    await queue.resume();
    await device.clock.settle();
    expect(await stage()).toBe('sent');

    device.server.release();
    await device.clock.settle();
    expect(await stage()).toBe('confirmed');

    queue.markObserved([id]);
    expect(await stage()).toBe('observed');
  });

  test('Q3 · a dead letter says what the server said, and what to do', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    device.server.judge = () => 'rejected';

    const { id, settled } = await queue.add(note('a'));

    expect(await settled).toMatchObject({ status: 'failed', error: { code: 'BUSY' } });
    expect(await queue.explain(id)).toMatchObject({
      status: 'failed',
      settledAtMs: device.clock.wallMs(),
      whatToDo: 'Wait.',
    });
    expect((await queue.explain(id)).sentence).toBe('The server did not accept it: The server is busy.');
  });

  test('Q4 · counts are exact and pages bounded, whatever the mixture', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    device.server.judge = ({ payload }) => (payload['text'] === 'bad' ? 'rejected' : 'applied');
    await Promise.all(Array.from({ length: 3 }, (_, index) => queue.add(note(`ok ${index}`))));
    await Promise.all(Array.from({ length: 2 }, (_, index) => queue.add(note(`bad ${index}`, 'bad'))));
    await device.clock.settle();
    await device.goOffline();
    device.clock.wallOffsetMs -= 10_000;
    await Promise.all(Array.from({ length: 150 }, (_, index) => queue.add(note(`${index}`, 'four'))));
    await device.clock.pass(5_000);

    const status = await queue.getStatus();
    expect(status.counts).toEqual({ pending: 150, processing: 0, completed: 3, failed: 2, corrupted: 0 });
    expect(status.totalMutations).toBe(155);
    expect([status.pendingMutations.length, status.processingMutations.length, status.failedMutations.length]).toEqual([
      100, 0, 2,
    ]);
    expect(status).toMatchObject({ isPaused: false, isProcessing: false, oldestPendingAgeMs: 5_000, retryCount: 0 });
    const bytes = Array.from({ length: 150 }, (_, index) => JSON.stringify({ id: `${index}`, text: 'four' }).length);
    expect(status.sizeBytes).toBe(bytes.reduce((sum, each) => sum + each, 0));
    expect(queue.getSnapshot()).toMatchObject({
      pendingCount: 150,
      failedCount: 2,
      waitingFor: 'network',
      isLeader: true,
    });
  });

  test('Q4 · a confirmed one is counted as completed from the moment its verdict is told', async () => {
    const device = new TestDevice();
    const queue = await device.open();

    await (await queue.add(note('a'))).settled;

    const { counts, totalMutations } = await queue.getStatus();
    expect(counts).toEqual({ pending: 0, processing: 0, completed: 1, failed: 0, corrupted: 0 });
    expect(totalMutations).toBe(1);
  });

  test('Q4 · the snapshot stays the same object until something in it changes', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    await (await queue.add(note('a'))).settled;
    await device.clock.settle();
    const before = queue.getSnapshot();

    queue.markObserved(['nobody']);

    expect(queue.getSnapshot()).toBe(before);
  });
});

describe('delivery', () => {
  test('Q7 · each entity is a lane: order within, a poisoned one blocks no other and only until it is dead', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    await device.goOffline();
    await Promise.all(
      [note('a', '1'), note('a', 'bad'), note('a', '3'), note('b', '4')].map((each) => queue.add(each)),
    );
    await device.goOnline(({ payload }) => (payload['text'] === 'bad' ? 'refused' : 'applied'));
    expect(device.server.effects).toEqual(['id-2', 'id-5']);

    await device.clock.pass(60_000);

    expect(device.server.effects).toEqual(['id-2', 'id-5', 'id-4']);
    expect(await queue.getMutationStatus('id-3')).toMatchObject({ status: 'failed', attemptCount: 6 });
  });

  test('R4 · a lost answer sends the same id again, and it takes effect once', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    device.server.isLosingAnswers = true;
    const { id, settled } = await queue.add(note('a'));
    await device.clock.pass(3_000);
    device.server.isLosingAnswers = false;
    await device.clock.pass(60_000);

    expect(await settled).toEqual({ status: 'completed', id, result: { id }, wasRepeat: true });
    expect(device.server.effects).toEqual([id]);
    expect(new Set(device.server.requests.map(({ request }) => request.mutations[0]?.id))).toEqual(new Set([id]));
  });

  test('R4 · a server that never answers is given up after 30 s, and asked again', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    device.server.hold();
    const { id, settled } = await queue.add(note('a'));

    await device.clock.pass(29_999);
    expect(await queue.getMutationStatus(id)).toMatchObject({ status: 'processing' });
    await device.clock.pass(1);
    expect(await queue.getMutationStatus(id)).toMatchObject({
      status: 'pending',
      waitingFor: 'network',
      attemptCount: 0,
    });
    device.server.release();
    await device.clock.pass(10_000);
    expect(await settled).toMatchObject({ status: 'completed' });
  });

  test.each([
    {
      name: 'a transport that ignores its signal',
      options: { transport: { send: () => new Promise<never>(() => {}) } },
    },
    { name: 'an app that never gives its token', options: { auth: { getToken: () => new Promise<never>(() => {}) } } },
  ])('R4 · $name holds up neither the queue nor `pause` nor `close`', async ({ options }) => {
    const device = new TestDevice();
    const queue = await device.open(options);
    const { id } = await queue.add(note('a'));
    await device.clock.pass(30_000);
    expect(await queue.getMutationStatus(id)).toMatchObject({ status: 'pending', attemptCount: 0 });

    await device.clock.pass(10_000);
    const paused = queue.pause();
    await device.clock.pass(5_000);
    await paused;
    await queue.close();
  });

  test('R4 · a transport that throws may have sent: the same id goes again', async () => {
    const device = new TestDevice();
    let callCount = 0;
    const queue = await device.open({
      transport: {
        send: (request, options) => {
          callCount += 1;
          if (callCount === 1) throw new Error('Its own mistake.');
          return device.server.transport.send(request, options);
        },
      },
    });
    const errors: string[] = [];
    queue.onError(({ message }) => errors.push(message));

    const { settled } = await queue.add(note('a'));
    await device.clock.pass(10_000);

    expect(await settled).toMatchObject({ status: 'completed' });
    expect(errors).toEqual(['Its own mistake.']);
  });

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['an answer of no kind that there is', { kind: 'ok' }],
    ['no list of outcomes', { kind: 'answered' }],
    ['an outcome of no kind that there is', { kind: 'answered', outcomes: [{ seq: 1, kind: 'accepted' }] }],
    ['an outcome that is none', { kind: 'answered', outcomes: [null] }],
  ])('R9 · a transport that gives %s is reported, and the same id goes again', async (_, answer) => {
    const device = new TestDevice();
    let callCount = 0;
    const queue = await device.open({
      transport: {
        send: (request, options) => {
          callCount += 1;
          return callCount === 1 ? Promise.resolve(answer as never) : device.server.transport.send(request, options);
        },
      },
    });
    const codes: string[] = [];
    queue.onError(({ code }) => codes.push(code));

    const { settled } = await queue.add(note('a'));
    await device.clock.pass(10_000);

    expect(await settled).toMatchObject({ status: 'completed' });
    expect([codes, callCount]).toEqual([['UNREADABLE_ANSWER'], 2]);
  });

  test('Q1 · offline to online delivers everything, in order, each once', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    await device.goOffline();
    const handles = [];
    for (let index = 0; index < 250; index += 1) handles.push(await queue.add(note(`${index % 5}`, `${index}`)));
    await device.clock.pass(3_600_000);
    expect(device.server.effects).toEqual([]);

    await device.goOnline();

    await Promise.all(handles.map(({ settled }) => settled));
    expect(device.server.effects.toSorted()).toEqual(handles.map(({ id }) => id).toSorted());
    for (let lane = 0; lane < 5; lane += 1) {
      const ids = handles.filter((_, index) => index % 5 === lane).map(({ id }) => id);
      expect(device.server.effects.filter((id) => ids.includes(id))).toEqual(ids);
    }
  });

  test('S12 · a restart in mid-flight sends again under the same id and number, and it takes effect once', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    device.server.isLosingAnswers = true;
    const { id } = await queue.add(note('a'));
    await device.clock.settle();
    await queue.close();
    device.server.isLosingAnswers = false;

    const again = await device.open();
    await device.clock.pass(10_000);

    expect(await again.settled(id)).toMatchObject({ status: 'completed' });
    expect(device.server.effects).toEqual([id]);
    expect(new Set(device.server.requests.map(({ request }) => request.mutations[0]?.seq))).toEqual(new Set([1]));
    expect(new Set(device.server.requests.map(({ request }) => request.client.id)).size).toBe(1);
    expect(device.server.requests[0]?.request.client).toMatchObject({ userId: 'ann', workspaceId: 'home' });
  });

  test('R5 · an expired token is refreshed once, and nothing is lost', async () => {
    const device = new TestDevice();
    const queue = await device.open({
      transport: {
        send: (request, options) =>
          options.token === 'old'
            ? Promise.resolve({
                kind: 'unauthorized',
                error: { category: 'AUTH_ERROR', code: 'TOKEN_EXPIRED', message: 'x' },
              })
            : device.server.transport.send(request, options),
      },
      auth: {
        getToken: async ({ refresh }) => {
          device.tokenRequests.push(refresh);
          return device.tokenRequests.includes(true) ? 'new' : 'old';
        },
      },
    });

    const handles = await Promise.all([queue.add(note('a')), queue.add(note('b'))]);

    for (const { settled } of handles) expect(await settled).toMatchObject({ status: 'completed', wasRepeat: false });
    expect(device.tokenRequests).toEqual([false, true, false]);
    expect(device.server.requests.map(({ token }) => token)).toEqual(['new']);
  });

  test('R5 · without a login it waits, and `loginChanged` goes on at once', async () => {
    const device = new TestDevice();
    device.token = null;
    const queue = await device.open();
    const { id, settled } = await queue.add(note('a'));
    await device.clock.settle();
    expect(await queue.getMutationStatus(id)).toMatchObject({
      waitingFor: 'auth',
      lastError: { code: 'TOKEN_MISSING' },
    });

    device.token = 'fresh';
    queue.loginChanged();

    expect(await settled).toMatchObject({ status: 'completed' });
  });

  test('R5, Q14 · what waits for a login was never sent, and can be taken back', async () => {
    const device = new TestDevice();
    device.token = null;
    const queue = await device.open();
    const { id } = await queue.add(note('a'));
    await device.clock.settle();
    expect(await queue.explain(id)).toMatchObject({ waitingFor: 'auth', canCancel: true });

    expect(await queue.cancel(id)).toBe('cancelled');
  });

  test('R5 · a queue that was made without `auth`, and whose server asks for a login, says what to do', async () => {
    const device = new TestDevice();
    device.server.judge = () => 'unauthorized';
    const { auth, ...ports } = device.ports;
    expect(auth).toBeDefined();
    const queue = createQueue({ ...ports, mutations: [saveNote] });
    const { id } = await queue.add(note('a'));
    await device.clock.settle();

    const { lastError } = (await queue.getMutationStatus(id)) ?? {};
    expect(lastError?.hint).toBe('This queue was made without `auth`: give createQueue `auth: { getToken }`.');
    await queue.close();
  });

  test('inv-I11 · closed while it opens, it does not tell the server either which client it has taken the place of', async () => {
    const device = new TestDevice();
    const anchored = JSON.stringify({ clientId: 'lost', lastSeq: 3, unsentCount: 1 });
    const options = { anchor: { read: async () => anchored, write: async () => {} } };
    const queue = device.create({ storage: new StorageSimulator({ clock: device.clock }).open, ...options });
    queue.ready.catch(() => {});
    await queue.close();
    await device.clock.settle();
    expect(device.server.requests).toEqual([]);
  });

  test('inv-I15 · a pause that the server asks for is kept also when it answered a question that carried nothing', async () => {
    const device = new TestDevice();
    const { error } = device.server;
    const anchored = JSON.stringify({ clientId: 'lost', lastSeq: 3, unsentCount: 1 });
    const queue = await device.open({
      storage: new StorageSimulator({ clock: device.clock }).open,
      anchor: { read: async () => anchored, write: async () => {} },
      transport: {
        send: async (request, options) => {
          const answer = await device.server.transport.send(request, options);
          return request.mutations.length > 0 ? answer : { kind: 'rateLimited', error, retryAfterMs: 30_000 };
        },
      },
    });
    expect(device.server.sentIds).toEqual([[]]);

    const { id } = await queue.add(note('a'));
    await device.clock.pass(29_999);
    expect(queue.getSnapshot().waitingFor).toBe('rateLimit');
    expect(device.server.effects).toEqual([]);
    await device.clock.pass(1);

    expect(device.server.effects).toEqual([id]);
  });

  test('S12 · verdicts that cannot be stored are told, kept, and stored when there is room; nothing is sent twice meanwhile', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    const errors: string[] = [];
    queue.onError(({ code }) => errors.push(code));
    let refusedCount = 0;
    device.storage.isFull = ({ changes }) => {
      const isSettlement = changes.some(({ key }) => key.startsWith('d/'));
      if (isSettlement) refusedCount += 1;
      return isSettlement;
    };

    for (let index = 0; index < 20; index += 1)
      expect(await (await queue.add(note('a', `${index}`))).settled).toMatchObject({ status: 'completed' });
    await device.clock.pass(60_000);

    // one writer that tries again at growing intervals, not one for each verdict
    expect(refusedCount).toBeLessThan(35);
    expect(errors).toContain('STORAGE_FULL');
    expect(device.server.requests.every(({ request }) => request.acknowledgedFloor === 0)).toBe(true);
    device.storage.isFull = () => false;
    await device.clock.pass(30_000);
    expect(Object.keys(await device.storage.dump()).filter((key) => key.startsWith('p/'))).toEqual([]);
    expect((await queue.getStatus()).counts.completed).toBe(20);
    expect(device.server.requests.length).toBe(20);
  });

  test('S12 · a dead letter that was stored although the store said no, and discarded meanwhile, does not come back', async () => {
    const device = new TestDevice();
    device.server.judge = () => 'rejected';
    let isLying = true;
    const storage: OpenStorage = async (name) => {
      const disk = await device.storage.open(name);
      return {
        durability: disk.durability,
        commit: async (batch) => {
          const result = await disk.commit(batch);
          if (isLying && batch.changes.some(({ key }) => key.startsWith('f/'))) throw new Error('Who knows.');
          return result;
        },
        read: (keys) => disk.read(keys),
        scan: (query) => disk.scan(query),
        estimate: () => disk.estimate(),
        close: () => disk.close(),
      };
    };
    const queue = await device.open({ storage });
    const { id, settled } = await queue.add(note('a'));
    await settled;
    await device.clock.settle();
    isLying = false;

    expect(await queue.discard(id, 'typed twice')).toMatchObject({ touchedCount: 1 });
    await device.clock.pass(5_000);

    expect(Object.keys(await device.storage.dump()).filter((key) => key.startsWith('f/'))).toEqual([]);
  });

  test('S12 · nor is one stored so pending once more, by the refusals before it that are written again', async () => {
    const device = new TestDevice();
    device.server.judge = () => 'refused';
    let refusalCommits = 0;
    const storage: OpenStorage = async (name) => {
      const disk = await device.storage.open(name);
      return {
        ...disk,
        commit: async (batch) => {
          const isDead = batch.changes.some(({ key }) => key.startsWith('f/'));
          const isRefusal =
            batch.changes.some(({ key }) => key.startsWith('p/')) &&
            !batch.expect.some(({ key }) => key === 'meta/seq');
          if (isRefusal || isDead) refusalCommits += 1;
          // Fails once, and once only says so.
          if (isRefusal && refusalCommits === 1) throw new Error('No.');
          const result = await disk.commit(batch);
          if (isDead && refusalCommits === 2) throw new Error('Who knows.');
          return result;
        },
      };
    };
    const queue = await device.open({ storage });
    const { settled } = await queue.add({ ...note('a'), maxRetries: 1, retryDelayMs: 100 });
    await device.clock.pass(60_000);

    expect((await settled).status).toBe('failed');
    expect(refusalCommits).toBe(2);
    const kinds = Object.keys(await device.storage.dump()).map((key) => key.slice(0, 2));
    expect(kinds.filter((kind) => kind === 'p/' || kind === 'f/')).toEqual(['f/']);
  });

  test('S10 · a body that no longer reads is a dead letter that is never sent, and the others go on', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    await device.goOffline();
    const bad = await queue.add(note('a'));
    const good = await queue.add(note('b'));
    const storage = await device.storage.peek();
    await storage.commit({
      expect: [],
      changes: [{ kind: 'put', key: 'b/00000000001', value: '{"id":"a","text":"flipped"}' }],
    });

    await device.goOnline();

    expect(await good.settled).toMatchObject({ status: 'completed' });
    expect(await bad.settled).toMatchObject({ status: 'failed', error: { code: 'UNREADABLE_RECORD' } });
    expect((await queue.explain(bad.id)).sentence).not.toContain('server');
    expect(device.server.effects).toEqual([good.id]);
  });

  test('S10 · a record that no longer reads is reported, costs no other, and is set aside with its bytes', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    await device.goOffline();
    await queue.add(note('a'));
    const good = await queue.add(note('b'));
    await queue.close();
    const storage = await device.storage.peek();
    await storage.commit({ expect: [], changes: [{ kind: 'put', key: 'p/00000000001', value: 'torn' }] });
    await device.goOnline();

    const again = device.create();
    const errors: string[] = [];
    again.onError(({ code }) => errors.push(code));
    await device.clock.settle();

    expect(errors).toContain('UNREADABLE_RECORD');
    expect(device.server.effects).toEqual([good.id]);
    const dump = await device.storage.dump();
    expect(Object.keys(dump).filter((key) => /^[pb]\//.test(key))).toEqual([]);
    expect(await again.listQuarantine()).toMatchObject([
      { seq: 1, part: 'header', text: 'torn', bodyText: '{"payload":{"id":"a","text":"x"}}' },
    ]);
  });

  test('S10 · a record that is damaged while a tab knows it becomes a dead letter of the tab that takes over, and can be retried', async () => {
    const device = new TestDevice();
    const leader = await device.open();
    const other = await device.open();
    await leader.pause();
    const { id } = await leader.add(note('a'));
    await device.clock.settle();
    const storage = await device.storage.peek();
    await storage.commit({ expect: [], changes: [{ kind: 'put', key: 'p/00000000001', value: 'torn' }] });
    // A look of a tab that does not deliver settles nothing.
    await device.clock.pass(60_000);
    expect(other.getSnapshot()).toMatchObject({ pendingCount: 1, failedCount: 0 });

    await leader.close();
    await device.clock.settle();
    await other.resume();
    await device.clock.settle();

    expect(other.peekStatus(id)).toMatchObject({ status: 'failed', lastError: { code: 'UNREADABLE_RECORD' } });
    expect(device.server.requests).toEqual([]);
    expect(await other.retry(id)).toMatchObject({ touchedCount: 1 });
    await device.clock.settle();
    expect(device.server.effects).toEqual([id]);
  });

  test('S10 · a dead letter that no longer reads is not forgotten by a tab that knows it', async () => {
    const device = new TestDevice();
    device.server.judge = () => 'rejected';
    const queue = await device.open();
    const other = await device.open();
    const { id } = await queue.add(note('a'));
    await device.clock.settle();
    const storage = await device.storage.peek();
    await storage.commit({ expect: [], changes: [{ kind: 'put', key: 'f/00000000001', value: 'torn' }] });

    await queue.close();
    await device.clock.pass(60_000);

    expect(other.peekStatus(id)).toMatchObject({ status: 'failed' });
  });
});

describe('pausing', () => {
  test('Q13 · what is on its way may finish, and not one send begins after it', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    device.server.hold();
    const first = await queue.add(note('a'));
    const second = await queue.add(note('a'));
    let isPaused = false;
    const pausing = queue.pause().then(() => {
      isPaused = true;
    });
    await device.clock.settle();
    expect(isPaused).toBe(false);

    device.server.release();
    await pausing;

    expect(await first.settled).toMatchObject({ status: 'completed' });
    await device.clock.pass(3_600_000);
    expect(device.server.requests.length).toBe(1);
    expect(queue.getSnapshot()).toMatchObject({ isPaused: true, pendingCount: 1, waitingFor: 'paused' });
    expect(await queue.resume()).toEqual({ kind: 'processing' });
    expect(await second.settled).toMatchObject({ status: 'completed' });
  });

  test('Q13 · what does not finish within 5 s is cut off, and goes again later under the same id', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    device.server.hold();
    const { id, settled } = await queue.add(note('a'));
    let isPaused = false;
    const pausing = queue.pause().then(() => {
      isPaused = true;
    });

    await device.clock.pass(4_999);
    expect(isPaused).toBe(false);
    await device.clock.pass(1);
    await pausing;
    expect(await queue.getMutationStatus(id)).toMatchObject({ status: 'pending', waitingFor: 'paused' });
    expect(queue.network.isOnline()).toBe(true);

    device.server.release();
    await queue.resume();
    expect(await settled).toMatchObject({ status: 'completed' });
    expect(device.server.sentIds).toEqual([[id], [id]]);
  });

  test('Q13 · it survives a restart, and holds in every tab', async () => {
    const device = new TestDevice();
    const first = await device.open();
    const second = await device.open();
    await second.pause();
    await device.clock.settle();
    await first.add(note('a'));
    await device.clock.pass(60_000);
    expect(device.server.requests).toEqual([]);
    await first.close();
    await second.close();

    const again = await device.open();
    await device.clock.pass(60_000);
    expect(device.server.requests).toEqual([]);
    expect(again.getSnapshot().isPaused).toBe(true);
    await again.resume();
    await device.clock.settle();
    expect(device.server.effects.length).toBe(1);
  });

  test('Q13 · a message about pausing or resuming that is lost is made good by the store', async () => {
    const device = new TestDevice();
    const leader = await device.open();
    const other = await device.open();
    device.browser.isLosingMessages = true;
    const pausing = other.pause();
    await device.clock.pass(7_000);
    await pausing;
    await leader.add(note('a'));
    await device.clock.settle();
    expect(device.server.requests).toEqual([]);

    await other.resume();
    await device.clock.pass(120_000);

    expect(device.server.effects.length).toBe(1);
  });

  test('Q13 · resuming says what it came to', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    await queue.pause();
    expect(await queue.resume()).toEqual({ kind: 'nothingDue' });

    await queue.pause();
    await device.goOffline();
    await queue.add(note('a'));
    expect(await queue.resume()).toEqual({ kind: 'waiting', waitingFor: 'network' });

    await queue.pause();
    await device.goOnline();
    device.server.hold();
    const resumed = queue.resume();
    await device.clock.pass(2_000);
    expect((await resumed).kind).not.toBe('nothingDue');
  });
});

test('Q7 · the next of a lane waits until a failure is stored, also while an earlier refusal is still being stored', async () => {
  const device = new TestDevice();
  device.server.judge = ({ payload }) => (payload['text'] === 'bad' ? 'refused' : 'applied');
  const releases: (() => void)[] = [];
  const storage: OpenStorage = async (name) => {
    const opened = await device.storage.open(name);
    return {
      ...opened,
      commit: async (batch) => {
        const isVerdict = batch.expect.some(({ key }) => key === 'meta/epoch') && batch.changes.length > 0;
        const isTakeOver = batch.changes.some(({ key }) => key === 'meta/epoch');
        if (isVerdict && !isTakeOver) await new Promise<void>((resolve) => releases.push(resolve));
        return opened.commit(batch);
      },
    };
  };
  const queue = await device.open({ storage });
  const bad = await queue.add({ ...note('a', 'bad'), maxRetries: 1 });
  const next = await queue.add(note('a'));
  // Refused twice, and spent, before the first refusal is stored.
  await device.clock.pass(10_000);
  expect(device.server.sentIds).toEqual([[bad.id], [bad.id]]);

  releases.shift()?.();
  await device.clock.settle();
  expect(device.server.sentIds).toEqual([[bad.id], [bad.id]]);

  releases.shift()?.();
  await device.clock.settle();
  expect(device.server.sentIds).toEqual([[bad.id], [bad.id], [next.id]]);
});

test('S2 · a relaxed store whose last commits were lost with the power gives none of their numbers out again', async () => {
  const device = new TestDevice();
  const storage: OpenStorage = async (name) => ({ ...(await device.storage.open(name)), durability: 'relaxed' });
  const queue = await device.open({ storage });
  await queue.add(note('a'));
  await device.clock.settle();
  const flushed = await device.storage.dump();
  // Sent and applied, and then the power fails before any of it reached the disk.
  await queue.add(note('b'));
  await device.clock.settle();
  await queue.close();
  const peeked = await device.storage.peek();
  const lost = Object.keys(await device.storage.dump()).map((key) => ({ kind: 'delete', key }) as const);
  const kept = Object.entries(flushed).map(([key, value]) => ({ kind: 'put', key, value }) as const);
  await peeked.commit({ expect: [], changes: [...lost, ...kept] });

  const again = await device.open({ storage });
  const { durability } = await again.add(note('c'));
  await device.clock.settle();

  const seqs = device.server.requests.flatMap(({ request }) => request.mutations.map(({ seq }) => seq));
  expect(durability).toBe('relaxed');
  expect(new Set(seqs).size).toBe(3);
});

test('S2 · the server is told that something is settled only once a relaxed store must have reached the disk', async () => {
  const device = new TestDevice();
  const storage: OpenStorage = async (name) => ({ ...(await device.storage.open(name)), durability: 'relaxed' });
  const queue = await device.open({ storage });
  for (const id of ['a', 'b', 'c', 'd']) {
    await queue.add(note(id));
    await device.clock.pass(30_000);
  }

  expect(device.server.requests.map(({ request }) => request.acknowledgedFloor)).toEqual([0, 0, 0, 0]);
  await queue.add(note('e'));
  await device.clock.pass(30_000);
  expect(device.server.requests.at(-1)?.request.acknowledgedFloor).toBe(2);
});

test('Q9 · a pause that comes while a body that does not read is being given up stops the others of its batch', async () => {
  const device = new TestDevice();
  let release: (() => void) | null = null;
  const storage: OpenStorage = async (name) => {
    const opened = await device.storage.open(name);
    return {
      ...opened,
      read: async (keys) => {
        const values = await opened.read(keys);
        // Whether those that do not read are still pending.
        if (keys.every((key) => key.startsWith('p/'))) await new Promise<void>((resolve) => (release = resolve));
        return values;
      },
    };
  };
  const queue = await device.open({ storage });
  await queue.pause();
  await queue.add(note('a'));
  await queue.add(note('b'));
  const peeked = await device.storage.peek();
  await peeked.commit({ expect: [], changes: [{ kind: 'put', key: 'b/00000000001', value: 'torn' }] });
  await queue.resume();
  await device.clock.settle();

  const paused = queue.pause();
  await device.clock.pass(5_000);
  await paused;
  (release as (() => void) | null)?.();
  await device.clock.settle();

  expect(device.server.requests).toEqual([]);
});

test('S12 · a verdict that is still on its way to storage is not taken back by a look into the store', async () => {
  const device = new TestDevice();
  device.server.judge = () => 'rejected';
  const queue = await device.open();
  device.storage.isFull = ({ changes }) => changes.some(({ key }) => key.startsWith('f/'));
  const { id } = await queue.add(note('a'));
  await device.clock.settle();
  expect(queue.peekStatus(id)?.status).toBe('failed');

  // when: a look for something else reads that it is pending
  await queue.getMutationStatus('nobody');

  expect(queue.peekStatus(id)?.status).toBe('failed');
  await expect(queue.add({ ...note('b'), dependsOn: [id] })).rejects.toMatchObject({ code: 'PARENT_FAILED' });
  device.storage.isFull = () => false;
  await device.clock.pass(2_000);
  expect((await queue.getStatus()).counts).toMatchObject({ pending: 0, failed: 1 });
});
