import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { defineMutation } from '../mutation/definition.ts';
import type { JsonObject } from '../protocol/wire.ts';
import { TestKeys } from '../storage/testing-keys/test-keys.ts';
import { createQueue } from './create-queue.ts';
import { note, TestDevice } from './testing-queue/test-device.ts';

function encrypted(): {
  readonly device: TestDevice;
  readonly keys: TestKeys;
  readonly encryption: { readonly keys: TestKeys['open'] };
} {
  const keys = new TestKeys({ isInstant: true });
  return { device: new TestDevice(), keys, encryption: { keys: keys.open } };
}

const text = async (device: TestDevice): Promise<string> => JSON.stringify(await device.storage.simulator.dump());

const payloads = (device: TestDevice): readonly JsonObject[] =>
  device.server.requests.flatMap(({ request }) => request.mutations.map(({ payload }) => payload as JsonObject));

describe('S4 · a queue whose store is sealed', () => {
  test('S4 · sec-E1: whatever becomes of mutations, nothing about them stands in the clear on the device, in its log or in its errors', async () => {
    // given: types whose lanes, entities, payloads and errors hold canaries
    const { device, encryption } = encrypted();
    const save = defineMutation({
      type: 'contact.save',
      payload: v.object({ id: v.string(), name: v.string() }),
      operation: 'update',
      entity: ({ id }) => ({ table: 'contacts', id }),
      lane: ({ id }) => `CANARY-lane-${id}`,
      retry: { maxRetries: 0 },
    });
    const queue = createQueue({ ...device.ports, mutations: [save], encryption });
    await device.clock.settle();
    device.server.judge = ({ payload }) => (JSON.stringify(payload).includes('wrong') ? 'rejected' : 'applied');

    // when: one is confirmed, one dies, one is edited, one is taken back, and the queue is paused with a reason
    const add = (id: string, name: string) =>
      queue.add({ type: 'contact.save', payload: { id: `CANARY-${id}`, name }, metadata: { who: 'CANARY-meta' } });
    await add('1', 'CANARY-name');
    await device.clock.pass(1_000);
    await add('2', 'wrong CANARY');
    await device.clock.pass(1_000);
    await queue.pause({ actor: 'CANARY-actor', reason: 'CANARY-reason' });
    const third = await add('3', 'CANARY-name');
    await third.edit({ id: 'CANARY-3', name: 'CANARY-other' });
    const fourth = await add('4', 'CANARY-name');
    await fourth.cancel();
    await add('5', 'CANARY '.repeat(1_000));

    // then
    expect(queue.getSnapshot()).toMatchObject({ failedCount: 1, pendingCount: 2 });
    expect(await text(device)).not.toMatch(/CANARY|contact|server is busy/);
    expect(JSON.stringify(queue.exportLog())).not.toContain('CANARY');
    expect((await queue.readPending()).map(({ payload }) => payload['name'])).toEqual([
      'CANARY-other',
      'CANARY '.repeat(1_000),
    ]);
    await queue.close();
  });

  test('S4 · it delivers as any other, also after a restart, and with retries of dead letters', async () => {
    const { device, encryption } = encrypted();
    const first = await device.open({ encryption });
    await device.goOffline();
    await first.add(note('a', '1'));
    await first.add(note('b', '2'));
    await first.close();
    const queue = await device.open({ encryption });
    device.server.judge = ({ payload }) => (payload['id'] === 'a' ? 'rejected' : 'applied');
    device.network.isReachable = true;
    device.network.say('online');
    await device.clock.pass(1_000);
    expect(queue.getSnapshot()).toMatchObject({ failedCount: 1, pendingCount: 0 });

    device.server.judge = () => 'applied';
    expect(await queue.retryFailed()).toMatchObject({ touchedCount: 1 });
    await device.clock.pass(1_000);

    expect(queue.getSnapshot()).toMatchObject({ failedCount: 0, pendingCount: 0 });
    await queue.close();
  });

  test('S4 · sec-E10: what one user has stored is not read, counted or sent by another', async () => {
    const { device, encryption } = encrypted();
    await device.goOffline();
    const ann = await device.open({ encryption });
    await ann.add(note('a', 'CANARY'));
    await ann.close();

    const bob = await device.open({ encryption, identity: { userId: 'bob', workspaceId: 'home' } });
    await device.goOnline();

    expect(bob.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 0 });
    expect(device.server.sentIds).toEqual([]);
    await bob.close();
  });

  test('S4 · turned on for a store that was written in the clear, it delivers what is there, and seals it', async () => {
    const { device, encryption } = encrypted();
    await device.goOffline();
    const before = await device.open();
    await before.add(note('a', 'CANARY'));
    await before.close();
    expect(await text(device)).toContain('CANARY');

    const queue = await device.open({ encryption });
    await device.clock.settle();

    expect(await text(device)).not.toContain('CANARY');
    await device.goOnline();
    expect(queue.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 0 });
    await queue.close();
  });
});

describe('S4 · the keys are away', () => {
  test('S4 · sec-E6: when the app starts: the queue is locked and says so, add rejects, nothing is lost, and it goes on when they are back', async () => {
    // given: something stored, and keys that are away
    const { device, keys, encryption } = encrypted();
    await device.goOffline();
    const before = await device.open({ encryption });
    await before.add(note('a'));
    await before.close();
    const stored = await text(device);
    keys.isAway = true;
    await device.goOnline();

    // when
    const errors: string[] = [];
    const queue = device.create({ encryption });
    queue.onError(({ code }) => errors.push(code));
    await device.clock.settle();

    // then
    expect(queue.getSnapshot()).toMatchObject({
      isReady: false,
      waitingFor: 'locked',
      error: { code: 'STORAGE_LOCKED', category: 'STORAGE_ERROR' },
    });
    await expect(queue.add(note('b'))).rejects.toMatchObject({ code: 'STORAGE_LOCKED' });
    await device.clock.pass(60_000);
    expect(await text(device)).toBe(stored);
    expect(device.server.sentIds).toEqual([]);
    expect(errors).toEqual(['STORAGE_LOCKED']);

    // when: they are back
    keys.isAway = false;
    await device.clock.pass(5_000);
    await queue.add(note('c'));
    await device.clock.pass(1_000);
    expect(queue.getSnapshot()).toMatchObject({
      isReady: true,
      waitingFor: 'nothing',
      pendingCount: 0,
      failedCount: 0,
    });
    expect(device.server.effects).toHaveLength(2);
    await queue.close();
  });

  test('S4 · sec-E7: in the middle of a run: nothing is sent, what waits says why, and all goes on when they are back', async () => {
    const { device, keys, encryption } = encrypted();
    const queue = await device.open({ encryption });
    await device.goOffline();
    const { id } = await queue.add(note('a'));

    keys.isAway = true;
    await device.goOnline();
    await device.clock.pass(20_000);

    expect(await queue.getMutationStatus(id)).toMatchObject({
      status: 'pending',
      stage: 'stored',
      waitingFor: 'locked',
    });
    expect((await queue.explain(id)).whatToDo).toContain('Unlock');
    expect(device.server.sentIds).toEqual([]);
    await expect(queue.add(note('b'))).rejects.toMatchObject({ code: 'STORAGE_LOCKED' });

    keys.isAway = false;
    device.network.say('foreground');
    await device.clock.pass(1_000);
    expect(queue.getSnapshot()).toMatchObject({ waitingFor: 'nothing', pendingCount: 0, failedCount: 0 });
    expect(device.server.effects).toHaveLength(1);
    await queue.close();
  });

  test('S4 · verdicts that come while they are away are told, kept, and stored when they are back; nothing is sent twice', async () => {
    const { device, keys, encryption } = encrypted();
    const queue = await device.open({ encryption });
    device.server.judge = () => {
      keys.isAway = true;
      return 'applied';
    };
    const handle = await queue.add(note('a'));
    await device.clock.pass(1_000);
    expect(await handle.settled).toMatchObject({ status: 'completed' });

    keys.isAway = false;
    await device.clock.pass(60_000);
    await queue.close();
    const again = await device.open({ encryption });

    expect(again.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 0 });
    expect(device.server.effects).toHaveLength(1);
    await again.close();
  });

  test('S4 · a queue that is locked can be closed', async () => {
    const { device, keys, encryption } = encrypted();
    keys.isAway = true;
    const queue = await device.open({ encryption });

    await queue.close();

    await expect(queue.ready).rejects.toMatchObject({ code: 'STORAGE_LOCKED' });
    expect(device.clock.waitingCount).toBe(0);
  });

  test('S4 · without `encryption` a sealed store is locked too, and nothing in it is touched', async () => {
    const { device, encryption } = encrypted();
    await device.goOffline();
    const before = await device.open({ encryption });
    await before.add(note('a'));
    await before.close();
    const stored = await text(device);

    const queue = await device.open();
    await expect(queue.add(note('b'))).rejects.toMatchObject({ code: 'STORAGE_LOCKED' });

    expect(await text(device)).toBe(stored);
    await queue.close();
  });
});

describe('S5 · a queue', () => {
  const long = 'the same words again and again, '.repeat(100);

  test('S5 · long payloads take less room, and arrive as they were', async () => {
    const device = new TestDevice();
    await device.goOffline();
    const queue = await device.open();
    await queue.add(note('a', long));

    expect((await text(device)).length).toBeLessThan(long.length);
    await queue.close();
    const again = await device.open();
    await device.goOnline();

    expect(payloads(device)).toEqual([{ id: 'a', text: long }]);
    await again.close();
  });

  test('S5 · what was stored compressed is read by a queue that does not compress, and the other way round', async () => {
    const device = new TestDevice();
    await device.goOffline();
    const first = await device.open();
    await first.add(note('a', long));
    await first.close();
    const second = await device.open({ compressOverLength: Number.POSITIVE_INFINITY });
    await second.add(note('b', long));
    expect(await text(device)).toContain(long);
    await second.close();
    const third = await device.open();
    await device.goOnline();

    expect(payloads(device).map((payload) => payload['text'])).toEqual([long, long]);
    await third.close();
  });

  test.each([
    { options: {}, decryptedPerSend: 0, what: 'not decrypted again' },
    { options: { cacheBytes: 0 }, decryptedPerSend: 1, what: 'decrypted each time without a cache (control)' },
  ])(
    'S6 · what is sent again and again because its answers are lost is $what',
    async ({ options, decryptedPerSend }) => {
      // given: a payload that its keys are asked to open whenever it is decrypted
      const { device, keys } = encrypted();
      let decryptedCount = 0;
      const provider = keys.provider();
      const find: typeof provider.find = async (id) => {
        const key = await provider.find(id);
        return (
          key && {
            ...key,
            open: (sealed, bound) => {
              if (new TextDecoder().decode(bound).includes('"b/')) decryptedCount += 1;
              return key.open(sealed, bound);
            },
          }
        );
      };
      const encryption = { keys: async () => ({ ...provider, find }) };
      const queue = await device.open({ encryption, ...options });
      device.server.isLosingAnswers = true;

      // when
      await queue.add(note('a', 'one'));
      while (device.server.requests.length < 3) await device.clock.pass(10_000);

      // then
      const sent = payloads(device).map((payload) => payload['text']);
      expect(new Set(sent)).toEqual(new Set(['one']));
      expect(decryptedCount).toBe(decryptedPerSend * sent.length);
      await queue.close();
    },
  );

  test('S5 · a threshold that makes no sense is refused', () => {
    const device = new TestDevice();
    expect(() => device.create({ compressOverLength: -1 })).toThrow(/compressOverLength/);
    expect(() => device.create({ cacheBytes: Number.NaN })).toThrow(/cacheBytes/);
    expect(() => device.create({ encryption: { keys: 'secret' as never } })).toThrow(/encryption\.keys/);
  });
});
