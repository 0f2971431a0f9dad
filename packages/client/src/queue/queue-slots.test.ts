import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { defineMutation } from '../mutation/definition.ts';
import { createOptimisticStore } from '../optimistic/optimistic-store.ts';
import { createQueue } from './create-queue.ts';
import type { MutationQueue } from './mutation-queue.ts';
import { TestDevice } from './testing-queue/test-device.ts';

interface Accounts {
  readonly rows: Record<string, { name: string; deals: string[] }>;
}

const createAccount = defineMutation({
  type: 'account.create',
  payload: v.object({ name: v.string() }),
  result: v.object({ id: v.string(), number: v.number(), text: v.optional(v.string()) }),
  operation: 'create',
  entity: ({ name }) => ({ table: 'drafts', id: name }),
});
const renameAccount = defineMutation({
  type: 'account.rename',
  payload: v.object({ id: v.string(), name: v.string(), number: v.optional(v.number()) }),
  operation: 'update',
  entity: ({ id }) => ({ table: 'accounts', id }),
  optimistic: (draft: Accounts, { id, name }) => {
    draft.rows[id] = { name, deals: [] };
  },
});
const shout = defineMutation({
  type: 'account.shout',
  payload: v.object({ id: v.pipe(v.string(), v.toUpperCase()) }),
  operation: 'custom',
});
const MUTATIONS = [createAccount, renameAccount, shout] as const;
type Queue = MutationQueue<typeof MUTATIONS>;

/** A server that gives each account the id `real-` and its name. */
class AccountDevice extends TestDevice {
  constructor() {
    super();
    this.server.resultOf = ({ id, type, payload }) =>
      type === 'account.create' ? { id: `real-${String(payload['name'])}`, number: 7 } : { id };
  }

  async openAccounts(): Promise<Queue> {
    const queue = createQueue({ ...this.ports, mutations: MUTATIONS });
    await this.clock.settle();
    return queue;
  }

  /** What reached the server, in order: type, entity and payload. */
  get arrived(): readonly unknown[] {
    const seen = new Set<string>();
    return this.server.requests
      .flatMap(({ request }) => request.mutations)
      .filter(({ id }) => !seen.has(id) && seen.add(id))
      .map(({ type, entity, payload }) => [type, entity?.id ?? null, payload]);
  }
}

const account = (name: string) => ({ type: 'account.create', payload: { name } }) as const;

test('Q8, S10 · a rewriting that another one of the same tab has overtaken does not take what it finds for damaged', async () => {
  const device = new AccountDevice();
  let goOn = (): void => {};
  let heldCount = 0;
  const queue = createQueue({
    ...device.ports,
    mutations: MUTATIONS,
    storage: async (name) => {
      const opened = await device.storage.open(name);
      return {
        ...opened,
        read: async (keys) => {
          // The first look at the child's body takes until the tab has lost the lead, got it again, and filled in the value.
          const isFirst = heldCount === 0 && keys.length === 1 && keys[0] === 'b/00000000002' && goOnline;
          if (isFirst) {
            heldCount += 1;
            await new Promise<void>((resolve) => (goOn = resolve));
          }
          return opened.read(keys);
        },
      };
    },
  });
  let goOnline = false;
  await device.clock.settle();
  await device.goOffline();
  const parent = await queue.add(account('pan'));
  const child = await queue.add({ type: 'account.rename', payload: { id: parent.slot('id'), name: 'Peter' } });
  await device.clock.settle();
  goOnline = true;
  await device.goOnline((mutation) => (mutation.id === child.id ? 'deferred' : 'applied'));
  expect(heldCount).toBe(1);
  device.browser.putLeaderAway()();
  await device.clock.pass(1_000);
  goOn();
  await device.clock.settle();
  device.server.judge = () => 'applied';
  await device.clock.pass(60_000);

  expect(await child.settled).toMatchObject({ status: 'completed' });
  await queue.close();
});

describe('slots', () => {
  test('Q8 · an id that the server gives is filled in, durably, before the child is sent', async () => {
    const device = new AccountDevice();
    const queue = await device.openAccounts();
    await device.goOffline();
    const parent = await queue.add(account('pan'));
    const payload = { id: parent.slot('id'), name: 'Peter', number: parent.slot('number', 'number') };
    const child = await queue.add({ type: 'account.rename', payload });
    expect(await queue.explain(child.id)).toMatchObject({ status: 'pending', stage: 'stored' });

    await device.goOnline();

    expect(device.arrived).toEqual([
      ['account.create', 'pan', { name: 'pan' }],
      ['account.rename', 'real-pan', { id: 'real-pan', name: 'Peter', number: 7 }],
    ]);
    expect(device.server.requests.map(({ request }) => request.mutations.length)).toEqual([1, 1]);
    expect(await child.settled).toMatchObject({ status: 'completed' });
  });

  test('Q8 · what is added to the row as soon as its id is known does not overtake the child', async () => {
    const device = new AccountDevice();
    const queue = await device.openAccounts();
    await device.goOffline();
    const parent = await queue.add(account('pan'));
    for (const name of ['1', '2'])
      await queue.add({ type: 'account.rename', payload: { id: parent.slot('id'), name } });
    queue.on('settled', ({ id }) => {
      if (id === parent.id) void queue.add({ type: 'account.rename', payload: { id: 'real-pan', name: '3' } });
    });

    await device.goOnline();
    await device.clock.pass(5_000);

    expect(device.arrived.slice(1).map((each) => (each as [string, string, { name: string }])[2].name)).toEqual([
      '1',
      '2',
      '3',
    ]);
  });

  test('Q8 · after a restart, and with the tab that delivers gone in the middle, it holds', async () => {
    const device = new AccountDevice();
    const first = await device.openAccounts();
    await device.goOffline();
    const parent = await first.add(account('pan'));
    await first.add({ type: 'account.rename', payload: { id: parent.slot('id'), name: 'Peter' } });
    await first.close();
    const second = await device.openAccounts();
    const third = await device.openAccounts();
    // given: the verdict on the parent is stored, and the child cannot be rewritten before its tab is gone
    device.storage.isFull = ({ changes }) => changes.some(({ key }) => key.startsWith('b/'));
    await device.goOnline();
    expect(device.arrived).toHaveLength(1);
    await second.close();
    device.storage.isFull = () => false;

    await device.clock.pass(60_000);

    expect(device.arrived[1]).toEqual(['account.rename', 'real-pan', { id: 'real-pan', name: 'Peter' }]);
    expect((await third.getStatus()).counts).toMatchObject({ pending: 0, failed: 0, completed: 2 });
  });

  test('Q8 · added in another tab, which has not heard of the verdict, it is filled in all the same', async () => {
    const device = new AccountDevice();
    const leader = await device.openAccounts();
    const other = await device.openAccounts();
    const parent = await leader.add(account('pan'));
    device.browser.isLosingMessages = true;
    const slot = parent.slot('id');
    await device.clock.settle();

    const child = await other.add({ type: 'account.rename', payload: { id: slot, name: 'Peter' } });
    await device.clock.pass(120_000);

    expect(device.arrived[1]).toEqual(['account.rename', 'real-pan', { id: 'real-pan', name: 'Peter' }]);
    expect(await other.getMutationStatus(child.id)).toMatchObject({ status: 'completed' });
  });

  test('Q8 · with its parent confirmed, a slot is the value itself, also after a restart', async () => {
    const device = new AccountDevice();
    const queue = await device.openAccounts();
    const parent = await queue.add(account('pan'));
    await parent.settled;
    await queue.close();
    const again = await device.openAccounts();

    await again.add({ type: 'account.rename', payload: { id: parent.slot('id'), name: 'Peter' } });
    await device.clock.settle();

    expect(device.arrived[1]).toEqual(['account.rename', 'real-pan', { id: 'real-pan', name: 'Peter' }]);
  });

  test('Q8 · if the parent dies, so does the child, and it is not sent', async () => {
    const device = new AccountDevice();
    device.server.judge = () => 'rejected';
    const queue = await device.openAccounts();
    await queue.pause();
    const parent = await queue.add(account('pan'));
    const child = await queue.add({ type: 'account.rename', payload: { id: parent.slot('id'), name: 'Peter' } });

    await queue.resume();
    await device.clock.settle();

    expect(await child.settled).toMatchObject({ status: 'failed', error: { code: 'PARENT_FAILED' } });
    expect(device.arrived).toHaveLength(1);
  });

  test('Q8 · a result without the value makes the child a dead letter that says so', async () => {
    const device = new AccountDevice();
    device.server.resultOf = () => ({ number: 'seven' });
    const queue = await device.openAccounts();
    await queue.pause();
    const parent = await queue.add(account('pan'));
    const children = [
      await queue.add({ type: 'account.rename', payload: { id: parent.slot('id'), name: 'Peter' } }),
      await queue.add({
        type: 'account.rename',
        payload: { id: 'x', name: 'Peter', number: parent.slot('number', 'number') },
      }),
    ];

    await queue.resume();
    await device.clock.settle();

    for (const { settled } of children)
      expect(await settled).toMatchObject({ status: 'failed', error: { code: 'SLOT_UNFILLED' } });
    await expect(
      queue.add({ type: 'account.rename', payload: { id: parent.slot('id'), name: 'late' } }),
    ).rejects.toMatchObject({ code: 'SLOT_UNFILLED' });
    expect(device.arrived).toHaveLength(1);
  });

  test.each(['p/', 'b/'])(
    'Q8 · a child whose record under %s no longer reads is a dead letter, and the others go on',
    async (prefix) => {
      const device = new AccountDevice();
      const queue = await device.openAccounts();
      await device.goOffline();
      const parent = await queue.add(account('pan'));
      const child = await queue.add({ type: 'account.rename', payload: { id: parent.slot('id'), name: 'Peter' } });
      await queue.add({ type: 'account.rename', payload: { id: 'x', name: 'James' } });
      const storage = await device.storage.peek();
      const [, record] = await storage.scan({ prefix, limit: 10 });
      await storage.commit({ expect: [], changes: [{ kind: 'put', key: record?.key ?? '', value: 'damaged' }] });

      await device.goOnline();
      await device.clock.pass(20_000);

      expect(await child.settled).toMatchObject({ status: 'failed', error: { code: 'UNREADABLE_RECORD' } });
      expect((await queue.getStatus()).counts).toMatchObject({ pending: 0, completed: 2, failed: 1 });
    },
  );

  test('Q8 · values of two parents are filled in as each is confirmed', async () => {
    const device = new AccountDevice();
    const queue = await device.openAccounts();
    await device.goOffline();
    const pan = await queue.add(account('pan'));
    const hook = await queue.add({ ...account('hook'), delayMs: 60_000 });
    const payload = { id: pan.slot('id'), name: hook.slot('id') };
    await queue.add({ type: 'account.rename', payload });

    await device.goOnline();
    expect(device.arrived).toHaveLength(1);
    await device.clock.pass(60_000);

    expect(device.arrived[2]).toEqual(['account.rename', 'real-pan', { id: 'real-pan', name: 'real-hook' }]);
  });

  test('Q8 · a large result is kept as far as it is waited for', async () => {
    const device = new AccountDevice();
    device.server.resultOf = () => ({ text: 'x'.repeat(5_000), number: 7, id: 'real' });
    const queue = await device.openAccounts();
    await queue.pause();
    const parent = await queue.add(account('pan'));
    await queue.add({ type: 'account.rename', payload: { id: parent.slot('id'), name: parent.slot('text') } });

    await queue.resume();
    await device.clock.settle();

    expect(device.arrived[1]).toEqual(['account.rename', 'real', { id: 'real', name: 'x'.repeat(5_000) }]);
  });

  test('Q8 · a schema that makes something else of the value is told at once', async () => {
    const device = new AccountDevice();
    const queue = await device.openAccounts();
    await device.goOffline();
    const parent = await queue.add(account('pan'));

    await expect(queue.add({ type: 'account.shout', payload: { id: parent.slot('id') } })).rejects.toMatchObject({
      code: 'INVALID_PAYLOAD',
    });
    expect((await queue.getStatus()).counts.pending).toBe(1);
  });

  test('Q8 · the view shows the child under its placeholder, and then under the real id', async () => {
    const device = new AccountDevice();
    const queue = await device.openAccounts();
    const other = await device.openAccounts();
    const stores = [queue, other].map((each) => createOptimisticStore<Accounts>({ queue: each, base: { rows: {} } }));
    await device.goOffline();
    const parent = await queue.add(account('pan'));
    await queue.add({ type: 'account.rename', payload: { id: parent.slot('id'), name: 'Peter' } });
    await device.clock.settle();
    for (const store of stores) expect(Object.keys(store.getSnapshot().rows)).toEqual([parent.id]);

    await device.goOnline(({ type }) => (type === 'account.create' ? 'applied' : 'deferred'));

    for (const store of stores) expect(Object.keys(store.getSnapshot().rows)).toEqual(['real-pan']);
  });

  test('Q8 · in mutations that take effect together, too: each gets its value, and the whole its lanes', async () => {
    const device = new AccountDevice();
    const queue = await device.openAccounts();
    await device.goOffline();
    const [pan, hook] = [await queue.add(account('pan')), await queue.add(account('hook'))];
    await queue.addAtomic([
      { type: 'account.rename', payload: { id: pan.slot('id'), name: 'Peter' } },
      { type: 'account.rename', payload: { id: hook.slot('id'), name: 'James' } },
    ]);

    await device.goOnline();

    const { members } = device.server.requests.at(-1)?.request.mutations[0]?.payload ?? {};
    expect(members).toMatchObject([
      { entity: { id: 'real-pan' }, payload: { id: 'real-pan', name: 'Peter' } },
      { entity: { id: 'real-hook' }, payload: { id: 'real-hook', name: 'James' } },
    ]);
  });

  test('Q8 · an edit may bring a slot, and takes one away', async () => {
    const device = new AccountDevice();
    const queue = await device.openAccounts();
    await device.goOffline();
    const parent = await queue.add(account('pan'));
    const rename = { type: 'account.rename', payload: { id: parent.slot('id'), name: 'Peter' } } as const;
    const plain = await queue.add({ type: 'account.rename', payload: { id: 'x', name: 'y' } });
    const child = await queue.add({ ...rename, delayMs: 10_000 });

    expect(await child.edit({ id: parent.slot('id'), name: parent.slot('id') })).toEqual({
      kind: 'edited',
      id: child.id,
    });
    await device.goOnline();
    await device.clock.pass(10_000);

    expect(device.arrived.at(-1)).toEqual(['account.rename', 'real-pan', { id: 'real-pan', name: 'real-pan' }]);
    expect(await plain.settled).toMatchObject({ status: 'completed' });
  });
});
