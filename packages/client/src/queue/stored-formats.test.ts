import * as nodeCrypto from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { defineMutation } from '../mutation/definition.ts';
import { RECORD_FORMAT } from '../mutation/record.ts';
import { aesGcmCipherKey } from '../storage/cipher-aes-gcm.ts';
import { createQueue } from './create-queue.ts';
import type { QueueOptions } from './options.ts';
import { TestDevice } from './testing-queue/test-device.ts';

const folder = join(import.meta.dirname, 'fixtures');

const save = defineMutation({
  type: 'row.save',
  payload: v.object({ id: v.string(), text: v.string() }),
  operation: 'update',
  entity: ({ id }) => ({ table: 'rows', id }),
  retry: { maxRetries: 0 },
});
const create = defineMutation({
  type: 'row.create',
  payload: v.object({ text: v.string() }),
  operation: 'create',
  result: v.object({ id: v.string() }),
});
const mutations = [save, create] as const;
const LONG = 'the same words again and again, '.repeat(60);

function openOn(device: TestDevice, options: Partial<QueueOptions<typeof mutations>> = {}) {
  return createQueue({ ...device.ports, mutations, ...options });
}

/** A store with a record of each kind in it. */
async function tellStory(device: TestDevice, options: Partial<QueueOptions<typeof mutations>> = {}): Promise<void> {
  const queue = openOn(device, options);
  await queue.add({ type: 'row.save', payload: { id: 'confirmed', text: '1' } });
  await device.clock.pass(1_000);
  device.server.judge = () => 'rejected';
  await queue.add({ type: 'row.save', payload: { id: 'dead', text: '2' }, metadata: { deviceId: 'phone' } });
  await device.clock.pass(1_000);
  const dropped = await queue.add({ type: 'row.save', payload: { id: 'discarded', text: '3' } });
  await device.clock.pass(1_000);
  await queue.discard(dropped.id, 'of no use', { actor: 'bob' });
  await device.goOffline();
  const parent = await queue.add({ type: 'row.create', payload: { text: '4' }, source: { screen: 'rows' } });
  await queue.add({ type: 'row.save', payload: { id: parent.slot('id'), text: '5' } });
  await queue.add({ type: 'row.save', payload: { id: 'own', text: '6' }, id: '0192f0c0-7b1a-7000-8000-00000000000a' });
  const edited = await queue.add({ type: 'row.save', payload: { id: 'edited', text: '7' }, priority: 'high' });
  await edited.edit({ id: 'edited', text: '8' });
  await queue.add({
    type: 'row.save',
    payload: { id: 'long', text: LONG },
    delayMs: 5_000,
    expiresAt: '2030-01-01T00:00:00Z',
    base: { rowVersion: 3, row: { id: 'long', text: 'before' } },
  });
  await queue.pause({ actor: 'bob', reason: 'a look at it' });
  await queue.close();
}

/** Puts the records into the device's disk, as another version of the app left them. */
async function restore(device: TestDevice, records: Readonly<Record<string, string>>): Promise<void> {
  const storage = await device.storage.peek();
  const changes = Object.entries(records).map(([key, value]) => ({ kind: 'put' as const, key, value }));
  await storage.commit({ expect: [], changes });
}

/** All of the story is there, and what is pending can be delivered. */
async function expectStory(device: TestDevice, options: Partial<QueueOptions<typeof mutations>> = {}): Promise<void> {
  const queue = openOn(device, options);
  const errors: string[] = [];
  queue.onError(({ code }) => errors.push(code));
  await device.clock.settle();
  expect(queue.getSnapshot()).toMatchObject({ isReady: true, isPaused: true, pendingCount: 5, failedCount: 1 });
  expect(await queue.getMutationStatus('id-1')).toMatchObject({ status: 'completed' });
  expect((await queue.listActs()).map(({ kind, actor }) => [kind, actor])).toEqual(
    expect.arrayContaining([
      ['pause', 'bob'],
      ['discard', 'bob'],
    ]),
  );
  device.server.resultOf = () => ({ id: 'given' });
  device.server.rows.set('long', { id: 'long', text: 'before', version: 3 });
  await device.goOnline();
  await queue.resume();
  await device.clock.pass(60_000);
  expect(errors).toEqual([]);
  expect(queue.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 1 });
  const sent = device.server.requests.flatMap(({ request }) => request.mutations);
  const texts = sent.map(({ payload }) => (payload as { text: string }).text);
  expect([...new Set(texts)].sort()).toEqual(['4', '5', '6', '8', LONG].sort());
  expect(sent.find(({ payload }) => (payload as { text: string }).text === '5')?.payload).toEqual({
    id: 'given',
    text: '5',
  });
  await queue.close();
}

test('Q17 · what is stored now is as the store kept of its format says: another one needs another number', async () => {
  const device = new TestDevice();
  await tellStory(device);

  const records = JSON.stringify(await device.storage.dump(), null, 2);

  // Should this fail, keep the old file (a second one of a format is called `store-of-format-1-what-it-was.json`) and let the new
  // one be written; and raise RECORD_FORMAT where a version before would read the new records wrongly.
  await expect(`${records}\n`).toMatchFileSnapshot(join(folder, `store-of-format-${RECORD_FORMAT}.json`));
});

describe('Q17 · kept stores', () => {
  const kept = readdirSync(folder).filter((name) => name.startsWith('store-of-format-'));

  test('Q17 · there is one of every format', () => {
    const formats = new Set(kept.map((name) => Number(/^store-of-format-(\d+)/.exec(name)?.[1])));
    expect([...formats].toSorted((left, right) => left - right)).toEqual(
      Array.from({ length: RECORD_FORMAT }, (_, index) => index + 1),
    );
  });

  test.each(kept)('Q17 · %s opens: all of it is there, and is delivered', async (name) => {
    const device = new TestDevice();
    await restore(device, JSON.parse(readFileSync(join(folder, name), 'utf8')) as Record<string, string>);
    await expectStory(device);
  });

  test('Q17, S4 · a sealed store opens with its key', async () => {
    const { keyId, keyHex, records } = JSON.parse(readFileSync(join(folder, 'sealed-store-1.json'), 'utf8')) as {
      readonly keyId: string;
      readonly keyHex: string;
      readonly records: Record<string, string>;
    };
    const device = new TestDevice();
    await restore(device, records);
    const key = aesGcmCipherKey(keyId, Buffer.from(keyHex, 'hex'), nodeCrypto);

    await expectStory(device, {
      encryption: { keys: async () => ({ current: async () => key, find: async (id) => (id === keyId ? key : null) }) },
    });
  });

  test('Q17, Q20 · a store whose headers of sensitive mutations stood in the clear opens, is delivered, and is sealed where it is rewritten', async () => {
    // given: what format 2 has stored
    const { keyId, keyHex, records } = JSON.parse(
      readFileSync(join(folder, 'sensitive-store-of-format-2.json'), 'utf8'),
    ) as { readonly keyId: string; readonly keyHex: string; readonly records: Record<string, string> };
    const device = new TestDevice();
    await restore(device, records);
    const clear = async (): Promise<readonly string[]> =>
      Object.entries(await device.storage.dump()).flatMap(([at, value]) =>
        value.includes('bodyChecksum') ? [at] : [],
      );
    expect(await clear()).toHaveLength(6);
    const key = aesGcmCipherKey(keyId, Buffer.from(keyHex, 'hex'), nodeCrypto);
    const card = defineMutation({
      type: 'card.save',
      payload: v.object({ id: v.string(), pin: v.string() }),
      operation: 'update',
      entity: ({ id }) => ({ table: 'cards', id }),
      sensitive: ['pin'],
      retry: { maxRetries: 5 },
    });
    const note = defineMutation({
      type: 'note',
      payload: v.object({ text: v.string() }),
      operation: 'custom',
      retry: { maxRetries: 5 },
    });
    const keys = async () => ({ current: async () => key, find: async (id: string) => (id === keyId ? key : null) });
    await device.goOffline();
    const queue = createQueue({
      ...device.ports,
      mutations: [card, note],
      encryption: { keys, scope: 'sensitive' },
      compressOverLength: Number.POSITIVE_INFINITY,
    });
    await device.clock.settle();
    expect(queue.getSnapshot()).toMatchObject({ pendingCount: 5, failedCount: 1 });

    // when: the dead letter is retried, and all of them are refused until they are dead letters
    await queue.retryFailed();
    await device.goOnline(() => 'refused');

    // then: only the note stands in the clear, and all of them are delivered whole
    expect(queue.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 6 });
    expect(await clear()).toEqual(['f/00000000006']);
    device.server.judge = () => 'applied';
    await queue.retryFailed();
    await device.clock.pass(60_000);
    expect(queue.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 0 });
    expect(device.server.effects).toHaveLength(6);
    const sent = JSON.stringify(device.server.requests);
    for (const pin of [1, 2, 4, 5, 6]) expect(sent).toContain(`10000${pin}`);
    await queue.close();
  });
});
