import { expect, test } from 'vitest';
import type { OpenStorage, Storage } from '../ports/storage.ts';
import type { Transport } from '../ports/transport.ts';
import type { Settled } from './queue-events.ts';
import { note, TestDevice, type TestQueue } from './testing-queue/test-device.ts';

/** A device whose server has confirmed three changes, of which the last two are forgotten after `rewind`. */
async function deviceWithThree(options: Parameters<TestDevice['open']>[0] = {}) {
  const device = new TestDevice();
  device.server.epoch = 'first';
  const queue = await device.open(options);
  const ids: string[] = [];
  for (const row of ['a', 'b', 'b']) {
    ids.push((await queue.add(note(row))).id);
    await device.clock.settle();
  }
  expect(device.server.effects).toEqual(ids);
  return { device, queue, ids };
}

async function add(device: TestDevice, queue: TestQueue, row: string): Promise<string> {
  const { id } = await queue.add(note(row));
  await device.clock.pass(1_000);
  return id;
}

test('P12 · a server that was put back gets again what it had confirmed, in order and before anything newer', async () => {
  const { device, queue, ids } = await deviceWithThree();
  const told: Settled[] = [];
  queue.on('settled', (event) => told.push(event));

  device.server.rewind(1, 'second');
  const newer = await add(device, queue, 'c');

  expect(device.server.effects).toEqual([...ids, newer]);
  // Nothing of it is told a second time: what was confirmed has stayed so.
  expect(told.map(({ id }) => id)).toEqual([newer]);
  expect((await queue.getStatus()).counts).toMatchObject({ pending: 0, failed: 0, completed: 4 });
  const epochs = device.server.requests.map(({ request }) => request.epoch);
  expect(epochs).toEqual([undefined, 'first', 'first', 'first', 'second', 'second']);
});

test('P12 · what is confirmed while the first epoch cannot be stored is kept with it all the same', async () => {
  const device = new TestDevice();
  device.server.epoch = 'first';
  let refusedCount = 0;
  device.storage.isFull = ({ changes }) => {
    const isEpochAlone = changes.length === 1 && changes[0]?.key === 'meta/server-epoch' && refusedCount === 0;
    refusedCount += isEpochAlone ? 1 : 0;
    return isEpochAlone;
  };
  const queue = await device.open();
  const { id } = await queue.add(note('a'));
  await device.clock.settle();
  expect(refusedCount).toBe(1);
  device.server.rewind(0, 'second');

  const newer = await add(device, queue, 'c');

  expect(device.server.effects).toEqual([id, newer]);
});

test('P12 · after a restart of the app too, and the floor is not claimed before all is there again', async () => {
  const { device, queue, ids } = await deviceWithThree();
  await queue.close();
  device.server.rewind(0, 'second');
  device.server.requests.length = 0;

  const again = await device.open();
  const newer = await add(device, again, 'c');

  expect(device.server.effects).toEqual([...ids, newer]);
  const floors = device.server.requests.map(({ request }) => [request.epoch, request.acknowledgedFloor]);
  expect(floors).toEqual([
    ['first', 3],
    ['second', 0],
    ['second', 3],
  ]);
});

test('P12 · what the server does not take any more is a dead letter, and can be retried', async () => {
  const { device, queue, ids } = await deviceWithThree();
  const told: Settled[] = [];
  queue.on('settled', (event) => told.push(event));
  device.server.rewind(1, 'second');
  device.server.judge = ({ id }) => (id === ids[1] ? 'rejected' : 'applied');

  const newer = await add(device, queue, 'c');

  expect(device.server.effects).toEqual([ids[0], ids[2], newer]);
  expect(told).toMatchObject([
    { id: ids[1], status: 'failed' },
    { id: newer, status: 'completed' },
  ]);
  expect(await queue.getMutationStatus(ids[1] ?? '')).toMatchObject({ status: 'failed' });
  expect((await queue.getStatus()).counts).toMatchObject({ failed: 1, completed: 3 });

  device.server.judge = () => 'applied';
  await queue.retry(ids[1] ?? '');
  await device.clock.settle();
  expect(device.server.effects).toEqual([ids[0], ids[2], newer, ids[1]]);
  expect((await queue.getStatus()).counts).toMatchObject({ failed: 0, completed: 4 });
});

test('P12, Q8 · what stands on one that the server does not take any more is not sent either', async () => {
  const { device, queue, ids } = await deviceWithThree();
  await device.goOffline();
  const parent = await queue.add(note('p'));
  const child = await queue.add({ ...note('q'), dependsOn: [parent.id], delayMs: 30_000 });
  await device.goOnline();
  expect(device.server.effects).toEqual([...ids, parent.id]);
  device.server.rewind(3, 'second');
  device.server.judge = ({ id }) => (id === parent.id ? 'rejected' : 'applied');

  const newer = await add(device, queue, 'c');
  await device.clock.pass(60_000);

  expect(device.server.effects).toEqual([...ids, newer]);
  expect(await queue.getMutationStatus(child.id)).toMatchObject({
    status: 'failed',
    lastError: { code: 'PARENT_FAILED' },
  });
});

test('P12, Q8 · nor what was confirmed on top of it: both are dead letters, and can be retried in their order', async () => {
  const { device, queue, ids } = await deviceWithThree();
  await device.goOffline();
  const parent = await queue.add(note('p'));
  const child = await queue.add({ ...note('q'), dependsOn: [parent.id] });
  await device.goOnline();
  await device.clock.settle();
  expect(device.server.effects).toEqual([...ids, parent.id, child.id]);
  device.server.rewind(3, 'second');
  device.server.judge = ({ id }) => (id === parent.id ? 'rejected' : 'applied');

  const newer = await add(device, queue, 'c');

  expect(device.server.effects).toEqual([...ids, newer]);
  expect(await queue.getMutationStatus(child.id)).toMatchObject({
    status: 'failed',
    lastError: { code: 'PARENT_FAILED' },
  });
  device.server.judge = () => 'applied';
  await queue.retryFailed();
  await device.clock.settle();
  expect(device.server.effects).toEqual([...ids, newer, parent.id, child.id]);
});

test('P12 · an answer that is lost on the way, and a crash, begin it anew', async () => {
  const { device, queue, ids } = await deviceWithThree();
  device.server.rewind(0, 'second');
  device.server.judge = ({ id }) => (id === ids[2] ? 'refused' : 'applied');
  await add(device, queue, 'c');
  await queue.close();
  device.server.judge = () => 'applied';

  const again = await device.open();
  await device.clock.pass(1_000);

  expect(device.server.effects.slice(0, 3)).toEqual(ids);
  expect(device.server.effects).toHaveLength(4);
  expect((await again.getStatus()).counts).toMatchObject({ pending: 0, failed: 0, completed: 4 });
});

test('P12 · what is refused for now goes again before anything newer, and is given up when its attempts are spent', async () => {
  const { device, queue, ids } = await deviceWithThree();
  device.server.rewind(1, 'second');
  device.server.judge = ({ id }) => (id === ids[1] ? 'refused' : 'applied');

  const { id: newer } = await queue.add(note('c'));
  await device.clock.pass(1_000);
  expect(device.server.effects).not.toContain(newer);
  await device.clock.pass(60_000);

  expect(device.server.effects).toEqual([ids[0], ids[2], newer]);
  expect(queue.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 1 });
});

test('P12, R2 · what is sent again and hears nothing has spent none of its attempts', async () => {
  const { device, queue, ids } = await deviceWithThree();
  device.server.rewind(1, 'second');
  let sentCount = 0;
  device.server.judge = ({ id }) => {
    sentCount += id === ids[1] ? 1 : 0;
    return id === ids[1] && sentCount <= 9 ? 'refused' : 'applied';
  };
  // Of nine refusals three are heard: six answers are lost between them.
  const isLost = (): boolean => {
    const sent = device.server.requests.at(-1)?.request.mutations ?? [];
    return sent.some(({ id }) => id === ids[1]) && sentCount > 1 && sentCount <= 7;
  };
  Object.defineProperty(device.server, 'isLosingAnswers', { get: isLost });

  const { id: newer } = await queue.add(note('c'));
  await device.clock.pass(600_000);

  expect(sentCount).toBe(10);
  expect(new Set(device.server.effects)).toEqual(new Set([...ids, newer]));
  expect(queue.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 0 });
});

test('P12, S10 · what the store cannot read for a moment is waited for, and what is behind it waits too', async () => {
  const { device, queue, ids } = await deviceWithThree();
  device.server.rewind(0, 'second');
  device.storage.isUnreadable = (key) => key === 'b/00000000002';

  const newer = await add(device, queue, 'c');
  expect(device.server.effects).toEqual([ids[0]]);
  expect(queue.getSnapshot()).toMatchObject({ waitingFor: 'storage' });
  device.storage.isUnreadable = () => false;
  await device.clock.pass(60_000);

  expect(device.server.effects).toEqual([...ids, newer]);
});

test('P12, S10 · what the store cannot read at all costs no other', async () => {
  const { device, queue, ids } = await deviceWithThree();
  device.server.rewind(0, 'second');
  device.storage.isUnreadable = (key) => key === 'b/00000000002';

  const newer = await add(device, queue, 'c');
  await device.clock.pass(120_000);

  expect(device.server.effects).toEqual([ids[0], ids[2], newer]);
  expect(queue.getSnapshot()).toMatchObject({ waitingFor: 'nothing', pendingCount: 0 });
});

test('P12 · payloads are kept for an hour or up to a size, and go in the commit that brings something new', async () => {
  const { device, queue, ids } = await deviceWithThree({ confirmedTailMs: 3_600_000 });
  const bodies = async (): Promise<number> =>
    Object.keys(await device.storage.dump()).filter((key) => key.startsWith('b/')).length;
  expect(await bodies()).toBe(3);

  await device.clock.pass(3_600_000);
  device.storage.commits = [];
  const later = await add(device, queue, 'c');
  expect(await bodies()).toBe(1);
  // Adding, and the verdict with all that goes.
  expect(device.storage.commits).toHaveLength(2);

  device.server.rewind(0, 'second');
  const newer = await add(device, queue, 'd');
  expect(device.server.effects).toEqual([later, newer]);
  expect(ids).toHaveLength(3);
});

test('P12 · a size of 0 keeps none, and a server without epochs costs nothing', async () => {
  const { device } = await deviceWithThree({ confirmedTailBytes: 0 });
  const keys = Object.keys(await device.storage.dump());
  expect(keys.filter((key) => key.startsWith('b/') || key.startsWith('t/'))).toEqual([]);

  const other = new TestDevice();
  const queue = await other.open();
  await add(other, queue, 'a');
  const without = Object.keys(await other.storage.dump());
  expect(without.filter((key) => key.startsWith('b/') || key.startsWith('t/'))).toEqual([]);
  expect(other.server.requests[0]?.request.epoch).toBeUndefined();
});

test('P12 · the oldest go first when there is no room for all', async () => {
  const { device, queue, ids } = await deviceWithThree({ confirmedTailBytes: 1_300 });
  device.server.rewind(0, 'second');
  const newer = await add(device, queue, 'c');
  expect(device.server.effects).toEqual([ids[1], ids[2], newer]);
});

test('P12 · another tab that takes over sends again what the first one was told', async () => {
  const { device, queue, ids } = await deviceWithThree();
  const other = await device.open();
  await queue.close();
  await device.clock.settle();
  device.server.rewind(1, 'second');

  const newer = await add(device, other, 'c');

  expect(device.server.effects).toEqual([...ids, newer]);
});

test('P12, Q18 · a sign-out that discards leaves no payload behind, of what was confirmed either', async () => {
  const { device, queue } = await deviceWithThree();
  await queue.signOut('discard');
  const keys = Object.keys(await device.storage.dump());
  expect(keys.filter((key) => key.startsWith('b/') || key.startsWith('t/'))).toEqual([]);
});

test('P12 · told twice that its client is behind, while the other id is being stored, it takes one other id', async () => {
  const device = new TestDevice();
  let proceed = (): void => {};
  const held = new Promise<void>((resolve) => {
    proceed = resolve;
  });
  const storage: OpenStorage = async (name) => {
    const opened = await device.storage.open(name);
    const commit: Storage['commit'] = async (commit) => {
      if (commit.changes.some(({ key }) => key === 'meta/forked')) await held;
      return opened.commit(commit);
    };
    return { ...opened, commit };
  };
  const clients = new Set<string>();
  let behindCount = 0;
  const transport: Transport = {
    send: async (request, call) => {
      clients.add(request.client.id);
      if (behindCount === 2) return device.server.transport.send(request, call);
      behindCount += 1;
      const outcomes = request.mutations.map(({ seq, id }) => ({ seq, id, kind: 'deferred' }) as const);
      return { kind: 'answered', outcomes, client: { behind: { reason: 'behind', highSeq: 9 } } };
    },
  };
  const queue = await device.open({ storage, transport });
  const { id } = await queue.add(note('a'));
  await device.clock.pass(60_000);
  expect(behindCount).toBe(2);
  proceed();
  await device.clock.pass(60_000);

  expect(device.server.effects).toEqual([id]);
  expect(clients.size).toBe(2);
});

test('P12, R4 · a server that was put back and has taken all again has answered: should the next batch fail, waits begin short', async () => {
  const { device, queue } = await deviceWithThree();
  device.server.judge = () => 'unavailable';
  const newer = (await queue.add(note('c'))).id;
  await device.clock.pass(600_000);

  device.server.rewind(1, 'second');
  device.server.judge = ({ id }) => (id === newer ? 'unavailable' : 'applied');
  for (let second = 0; second < 400 && device.server.effects.length < 3; second += 1) await device.clock.pass(1_000);

  expect(device.server.effects).toHaveLength(3);
  expect(await queue.getNextRetryTime()).toBeLessThanOrEqual(device.clock.wallMs() + 1_000);
});

test('P12, E4 · what the server had forgotten and did not take is told anew when it is retried, and gone when it is discarded', async () => {
  const { device, queue, ids } = await deviceWithThree();
  const told: string[] = [];
  queue.on('settled', ({ id, status }) => told.push(`${id} ${status}`));
  device.server.rewind(0, 'second');
  const [first = '', second = ''] = ids;
  device.server.judge = ({ id }) => (id === first || id === second ? 'rejected' : 'applied');
  const newer = await add(device, queue, 'c');
  expect(told).toEqual([`${first} failed`, `${second} failed`, `${newer} completed`]);

  await queue.discard(second, 'not wanted any more');
  expect(await queue.getMutationStatus(second)).toBeUndefined();
  device.server.judge = () => 'applied';
  await queue.retry(first);
  const settled = queue.settled(first);
  await device.clock.pass(1_000);

  expect(device.server.effects).toContain(first);
  expect(told.slice(3)).toEqual([`${second} cancelled`, `${first} completed`]);
  expect(await settled).toMatchObject({ status: 'completed' });
});

test('P12, Q8 · nor is what was on its way when that was found out', async () => {
  const { device, queue, ids } = await deviceWithThree();
  await device.goOffline();
  const parent = await queue.add(note('p'));
  const child = await queue.add({ ...note('q'), dependsOn: [parent.id], delayMs: 30_000 });
  await device.goOnline();
  expect(device.server.effects).toEqual([...ids, parent.id]);
  device.server.rewind(3, 'second');
  device.server.judge = ({ id }) => (id === parent.id ? 'rejected' : 'applied');

  await device.clock.pass(60_000);

  expect(device.server.effects).toEqual(ids);
  expect(await queue.getMutationStatus(child.id)).toMatchObject({ lastError: { code: 'PARENT_FAILED' } });
});
