import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { type DeadLetterPolicy, defineMutation } from '../mutation/definition.ts';
import type { MutationQueue } from './mutation-queue.ts';
import { TestDevice } from './testing-queue/test-device.ts';

const define = (onDeadLetter: DeadLetterPolicy) =>
  [
    defineMutation({
      type: 'order.step',
      payload: v.object({ order: v.string(), step: v.string() }),
      operation: 'custom',
      lane: ({ order }) => order,
      onDeadLetter,
    }),
  ] as const;

/** In the same lanes, one type that never holds its lane. */
const definitionsWithCheck = () => [
  ...define('hold'),
  defineMutation({
    type: 'order.check',
    payload: v.object({ order: v.string(), step: v.string() }),
    operation: 'custom',
    lane: ({ order }) => order,
  }),
];

type Orders = MutationQueue<ReturnType<typeof define>>;

/** A shop whose server refuses a step for good while it is in `bad`. */
class Shop {
  readonly device = new TestDevice();
  readonly bad = new Set<string>();
  readonly asked: unknown[] = [];

  constructor() {
    this.device.server.judge = ({ payload }) => (this.bad.has(String(payload['step'])) ? 'rejected' : 'applied');
  }

  async open(policy: DeadLetterPolicy): Promise<Orders> {
    const queue = (await this.device.open({ mutations: define(policy) as never })) as unknown as Orders;
    return queue;
  }

  async step(queue: Orders, step: string, order = 'order 1'): Promise<string> {
    const { id } = await queue.add({ type: 'order.step', payload: { order, step } });
    await this.device.clock.settle();
    return id;
  }

  get stepsDone(): readonly unknown[] {
    const byId = new Map(
      this.device.server.requests.flatMap(({ request }) =>
        request.mutations.map(({ id, payload }) => [id, payload['step']] as const),
      ),
    );
    return this.device.server.effects.map((id) => byId.get(id));
  }
}

/** One order whose first step is a dead letter, and two behind it. */
async function heldShop(policy: DeadLetterPolicy = 'hold') {
  const shop = new Shop();
  const queue = await shop.open(policy);
  shop.bad.add('pay');
  const ids = [await shop.step(queue, 'pay'), await shop.step(queue, 'pack'), await shop.step(queue, 'ship')] as const;
  return { shop, queue, ids, clock: shop.device.clock };
}

describe('a lane that a dead letter holds', () => {
  test('Q7 · those behind it wait and say for which, and other lanes go on', async () => {
    const { shop, queue, ids } = await heldShop();
    await shop.step(queue, 'pack', 'order 2');

    expect(shop.stepsDone).toEqual(['pack']);
    expect(await queue.explain(ids[2])).toMatchObject({ waitingFor: 'lane', behindId: ids[0] });
    expect(queue.listBlockedLanes()).toMatchObject([
      { lane: 'order 1', deadLetterId: ids[0], type: 'order.step', error: { code: 'BUSY' }, waitingCount: 2 },
    ]);
    expect(await queue.process()).toEqual({ succeeded: 0, failed: 0, total: 2 });
  });

  test('Q7, Q14 · retried, it goes before those behind it; who did it stands in the log', async () => {
    const { shop, queue, ids, clock } = await heldShop();
    shop.bad.clear();

    await queue.retry(ids[0], { actor: 'bea', reason: 'card renewed' });
    await clock.settle();

    expect(shop.stepsDone).toEqual(['pay', 'pack', 'ship']);
    expect(await queue.listActs()).toMatchObject([
      { kind: 'retry', actor: 'bea', reason: 'card renewed', touchedCount: 1, ids: [ids[0]], atMs: clock.wallMs() },
    ]);
    expect(queue.listBlockedLanes()).toEqual([]);
  });

  test('Q7, Q15 · what waits for another dead letter of the lane is counted with the first', async () => {
    const { shop, queue, ids } = await heldShop();
    const expiresAt = shop.device.clock.wallMs() + 60_000;
    const late = await queue.add({ type: 'order.step', payload: { order: 'order 1', step: 'call' }, expiresAt });
    await queue.add({ type: 'order.step', payload: { order: 'order 2', step: 'bill' }, dependsOn: [late] });
    for (const id of ids.slice(1)) await queue.cancel(id);
    await shop.device.clock.pass(120_000);

    expect(queue.listBlockedLanes()).toMatchObject([{ lane: 'order 1', waitingCount: 1 }]);
  });

  test('Q7 · released, the others go on; it stays, and a retry then goes last', async () => {
    const { shop, queue, ids, clock } = await heldShop();

    expect(await queue.releaseLane('order 1', { reason: 'paid in cash' })).toEqual({ touchedCount: 1, ids: [ids[0]] });
    await clock.settle();
    expect(shop.stepsDone).toEqual(['pack', 'ship']);
    expect(queue.getSnapshot()).toMatchObject({ failedCount: 1, pendingCount: 0 });
    expect(await queue.listActs()).toMatchObject([{ kind: 'releaseLane', actor: 'ann', reason: 'paid in cash' }]);
    expect(await queue.releaseLane('order 1')).toEqual({ touchedCount: 0, ids: [] });

    shop.bad.clear();
    await queue.retry(ids[0]);
    await clock.settle();
    expect(shop.stepsDone).toEqual(['pack', 'ship', 'pay']);
  });

  test('Q7, Q8 · retried together with a parent that goes last in the same lane, it goes behind that', async () => {
    const shop = new Shop();
    const queue = (await shop.device.open({ mutations: definitionsWithCheck() as never })) as unknown as Orders;
    shop.bad.add('check');
    const { judge } = shop.device.server;
    await shop.device.goOffline();
    const check = { type: 'order.check', payload: { order: 'order 1', step: 'check' } } as unknown as Parameters<
      typeof queue.add
    >[0];
    const { id } = await queue.add(check);
    const pay = await queue.add({ type: 'order.step', payload: { order: 'order 1', step: 'pay' }, dependsOn: [id] });
    await shop.device.goOnline(judge);
    await shop.device.clock.pass(60_000);
    expect(queue.getSnapshot().failedCount).toBe(2);

    shop.bad.clear();
    expect((await queue.retryFailed()).ids).toEqual([id, pay.id]);
    await shop.device.clock.pass(60_000);
    expect(shop.stepsDone).toEqual(['check', 'pay']);
  });

  test('Q7 · after a restart it is held as before, and a retry keeps its place', async () => {
    const { shop, queue, ids, clock } = await heldShop();
    await queue.close();

    const again = await shop.open('hold');
    await clock.pass(120_000);
    expect(shop.stepsDone).toEqual([]);
    expect(again.listBlockedLanes()).toMatchObject([{ deadLetterId: ids[0], waitingCount: 2 }]);

    shop.bad.clear();
    await again.retry(ids[0]);
    await again.close();
    const last = await shop.open('hold');
    await clock.settle();
    expect(last.getSnapshot().pendingCount).toBe(0);
    expect(shop.stepsDone).toEqual(['pay', 'pack', 'ship']);
  });

  test.each(['retry', 'discard', 'releaseLane'] as const)(
    'Q7, Q19 · %s in another tab frees it, also when every message is lost',
    async (act) => {
      const { shop, ids, clock } = await heldShop();
      const other = await shop.open('hold');
      shop.device.browser.isLosingMessages = true;
      shop.bad.clear();

      if (act === 'retry') await other.retry(ids[0]);
      else if (act === 'discard') await other.discard(ids[0], 'cancelled by phone');
      else await other.releaseLane('order 1');
      await clock.pass(60_000);

      expect(shop.stepsDone).toEqual(act === 'retry' ? ['pay', 'pack', 'ship'] : ['pack', 'ship']);
    },
  );

  test('Q7, Q8 · one that depends on it may be added, and waits with the others', async () => {
    const { shop, queue, ids, clock } = await heldShop();
    const payload = { order: 'order 3', step: 'invoice' };
    const child = await queue.add({ type: 'order.step', payload, dependsOn: [ids[0]] });
    await clock.settle();
    expect(await queue.getMutationStatus(child.id)).toMatchObject({ status: 'pending', waitingFor: 'dependency' });

    shop.bad.clear();
    await queue.retry(ids[0]);
    await clock.settle();

    expect(await child.settled).toMatchObject({ status: 'completed' });
  });

  test('Q7, Q8 · discarded while nobody delivers, what depends on it fails, and is not sent', async () => {
    const { shop, queue, ids } = await heldShop();
    const payload = { order: 'order 3', step: 'invoice' };
    const child = await queue.add({ type: 'order.step', payload, dependsOn: [ids[0]] });
    await queue.close();
    // as another tab leaves it, that is closed before the next one delivers
    const store = await shop.device.storage.peek();
    const deadLetter = Object.keys(await shop.device.storage.dump()).find((key) => key.startsWith('f/')) ?? '';
    await store.commit({
      expect: [],
      changes: [
        { kind: 'delete', key: deadLetter },
        { kind: 'put', key: `x/${ids[0]}`, value: 'disposed of' },
      ],
    });

    const again = await shop.open('hold');
    await shop.device.clock.pass(1_000);

    expect(await again.settled(child.id)).toMatchObject({ status: 'failed', error: { code: 'PARENT_FAILED' } });
    expect(shop.stepsDone).toEqual(['pack', 'ship']);
  });

  test('Q7 · a policy that nobody knows is refused', () => {
    const device = new TestDevice();
    expect(() => device.create({ mutations: define('wait' as never) as never })).toThrow(/order\.step\.onDeadLetter/);
  });
});

describe('a lane that asks', () => {
  test('Q7 · someone is asked what to do, in every tab, and again after a restart', async () => {
    const shop = new Shop();
    shop.bad.add('pay');
    const queue = await shop.open('ask');
    queue.on('laneBlocked', (event) => shop.asked.push(event));
    const id = await shop.step(queue, 'pay');
    const blocked = { lane: 'order 1', deadLetterId: id, error: { code: 'BUSY' } };
    expect(shop.asked).toMatchObject([{ ...blocked, waitingCount: 0 }]);
    await shop.step(queue, 'pack');
    await queue.close();

    const again = shop.device.create({ mutations: define('ask') as never }) as unknown as Orders;
    again.on('laneBlocked', (event) => shop.asked.push(event));
    await again.ready;

    expect(shop.asked.slice(1)).toMatchObject([{ ...blocked, waitingCount: 1 }]);
  });

  test.each(['hold', 'continue'] as const)('Q7 · with `%s` nobody is asked', async (policy) => {
    const shop = new Shop();
    shop.bad.add('pay');
    const queue = await shop.open(policy);
    queue.on('laneBlocked', (event) => shop.asked.push(event));

    await shop.step(queue, 'pay');

    expect(shop.asked).toEqual([]);
  });
});
