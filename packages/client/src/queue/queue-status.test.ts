import { expect, test } from 'vitest';
import { WAITING_SENTENCES } from './mutation-status.ts';
import { note, TestDevice } from './testing-queue/test-device.ts';

test('Q4 · one look tells of each kind: pending, on its way, confirmed, failed, unreadable', async () => {
  const device = new TestDevice();
  device.server.judge = ({ payload }) =>
    payload['text'] === 'bad' ? 'rejected' : payload['text'] === 'busy' ? 'refused' : 'applied';
  const queue = await device.open();
  const confirmed = await queue.add(note('n1'));
  const failed = await queue.add(note('n2', 'bad'));
  const busy = await queue.add(note('n3', 'busy'));
  await device.clock.settle();
  device.server.hold();
  const sent = await queue.add(note('n4'));
  const behind = await queue.add(note('n4'));

  const status = await queue.getStatus();

  const ids = (list: readonly { readonly id: string }[]): readonly string[] => list.map(({ id }) => id);
  expect(ids(status.completedMutations)).toEqual([confirmed.id]);
  expect(ids(status.failedMutations)).toEqual([failed.id]);
  expect(ids(status.processingMutations)).toEqual([sent.id]);
  expect(ids(status.pendingMutations)).toEqual([busy.id, behind.id]);
  expect(status.counts).toEqual({ pending: 3, processing: 1, completed: 1, failed: 1, corrupted: 0 });
  expect(status).toMatchObject({
    totalMutations: 5,
    validMutations: 4,
    corruptedMutations: [],
    recoveryActions: [],
    retryDelays: [{ id: busy.id, delayMs: 1_000 }],
  });
});

test('Q4 · records that do not read are counted and shown, and nothing else is missing', async () => {
  const device = new TestDevice();
  const queue = await device.open();
  await device.goOffline();
  const handles = [await queue.add(note('n1')), await queue.add(note('n2')), await queue.add(note('n3'))];
  await queue.close();
  const store = await device.storage.peek();
  const [, second] = await store.scan({ prefix: 'p/', limit: 10 });
  await store.commit({ expect: [], changes: [{ kind: 'put', key: second?.key ?? '', value: 'torn and flipped' }] });

  const again = await device.open();
  const status = await again.getStatus();

  expect(status.pendingMutations.map(({ id }) => id)).toEqual([handles[0]?.id, handles[2]?.id]);
  expect(status.counts.corrupted).toBe(1);
  expect(status.corruptedMutations).toEqual([{ seq: 2, textStart: 'torn and flipped' }]);
  expect(status.recoveryActions).toEqual([{ action: 'REMOVE_INVALID', count: 1 }]);
  expect(status.validMutations).toBe(2);
});

test('Q4 · a long queue is listed page by page, in order, without gap or repetition', async () => {
  const device = new TestDevice();
  const queue = await device.open();
  await device.goOffline();
  const handles = await Promise.all(Array.from({ length: 25 }, (_, index) => queue.add(note(`n${index}`))));

  const pages: string[][] = [];
  for (let after: string | null | undefined; after !== null; ) {
    const page = await queue.listMutations({ status: 'pending', after, limit: 10 });
    pages.push(page.mutations.map(({ id }) => id));
    after = page.next;
  }

  expect(pages.map(({ length }) => length)).toEqual([10, 10, 5]);
  expect(pages.flat()).toEqual(handles.map(({ id }) => id));
  expect(await queue.listMutations({ status: 'failed' })).toEqual({ mutations: [], next: null });
});

test('Q4 · asking after many at once that nobody knows compares memory with the store once, and not once for each', async () => {
  const device = new TestDevice();
  const scans: string[] = [];
  const queue = await device.open({
    storage: async (name) => {
      const store = await device.storage.open(name);
      const scan = store.scan.bind(store);
      store.scan = (query) => {
        scans.push(query.prefix);
        return scan(query);
      };
      return store;
    },
  });
  scans.length = 0;

  const ids = Array.from({ length: 50 }, (_, index) => `nobody-knows-${index}`);
  const statuses = await Promise.all(ids.map((id) => queue.getMutationStatus(id)));

  expect(new Set(statuses)).toEqual(new Set([undefined]));
  // One look at what is pending for all; then one comparison, which sees the dead letters too.
  expect(scans).toEqual(['p/', 'f/', 'p/']);
});

test.each([
  ['NOT_OUR_SERVER', 'what answers at the address of the server is no Holdfast server'],
  ['NOT_FOUND', 'the server has nothing at the address that was asked (404)'],
] as const)('Q3 · at a wrong address (%s) it says so, and where to look', async (code, words) => {
  const device = new TestDevice();
  const error = { category: 'SERVER_ERROR', code, message: 'x' } as const;
  const transport = { send: async () => ({ kind: 'unavailable', error, retryAfterMs: null }) as const };
  const queue = await device.open({ transport });
  const first = await queue.add(note('n1'));
  await device.clock.settle();
  const second = await queue.add(note('n2'));
  await device.clock.settle();

  for (const { id } of [first, second]) {
    expect(await queue.explain(id)).toMatchObject({
      sentence: `It is saved on this device; ${words}.`,
      whatToDo: expect.stringContaining('`httpTransport({ url })`') as unknown,
    });
  }

  await device.goOffline();
  expect(await queue.explain(first.id)).toMatchObject({ waitingFor: 'network', sentence: WAITING_SENTENCES.network });
});

test('Q3 · what this device gives up is told of as a dead letter once that is stored, not as waiting for its storage', async () => {
  const device = new TestDevice();
  const queue = await device.open();
  await device.goOffline();
  const { id } = await queue.add({ ...note('n1'), expiresAt: device.clock.wallMs() + 1_000 });
  const told: string[] = [];
  queue.on('change', ({ ids }) => {
    const { status, waitingFor } = queue.peekStatus(id) ?? {};
    if (ids.includes(id)) told.push(`${status}, ${waitingFor}`);
  });

  await device.clock.pass(2_000);

  expect(told).toEqual(['pending, storage', 'failed, nothing']);
});
