import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { defineMutation } from '../mutation/definition.ts';
import type { HoldfastError } from '../mutation/holdfast-error.ts';
import type { WireError } from '../protocol/wire.ts';
import { TestKeys } from '../storage/testing-keys/test-keys.ts';
import { createQueue } from './create-queue.ts';
import { importLegacy } from './import-legacy.ts';
import type { MutationQueue } from './mutation-queue.ts';
import { BODY, seqKey } from './record-keys.ts';
import { SERVER_ERROR } from './testing-queue/fake-server.ts';
import { TestDevice } from './testing-queue/test-device.ts';

const pay = defineMutation({
  type: 'card.save',
  payload: v.object({
    id: v.string(),
    note: v.string(),
    pan: v.string(),
    pin: v.optional(v.number()),
    more: v.optional(v.object({ cvc: v.string() })),
  }),
  operation: 'update',
  entity: ({ id }) => ({ table: 'cards', id }),
  sensitive: ['pan', 'pin', 'more'],
  retry: { maxRetries: 0 },
});
const note = defineMutation({ type: 'note', payload: v.object({ text: v.string() }), operation: 'custom' });
const mutations = [pay, note] as const;

const PAN = '4111 1111 CANARY';
const PIN = 73_218_465;
const CVC = 'CANARY-cvc';
const CANARY = /CANARY|73218465/;
const card = (id: string, pan = PAN) =>
  ({ type: 'card.save', payload: { id, note: 'in the open', pan, pin: PIN, more: { cvc: CVC } } }) as const;

type Queue = MutationQueue<typeof mutations>;

function start(device: TestDevice, keys: TestKeys, scope: 'all' | 'sensitive'): Queue {
  return createQueue({ ...device.ports, mutations, encryption: { keys: keys.open, scope } });
}

const stored = async (device: TestDevice): Promise<string> => JSON.stringify(await device.storage.simulator.dump());

/** Every error that anybody is told of. */
function listen(queue: Queue): unknown[] {
  const told: unknown[] = [];
  const take = (error: HoldfastError): void =>
    void told.push({ ...error.toWire(), cause: String(error.cause), issues: error.issues });
  queue.onError(take);
  queue.on('settled', (event) => told.push(event));
  queue.on('stored', (event) => told.push(event));
  queue.on('amended', (event) => told.push(event));
  return told;
}

test.each(['all', 'sensitive'] as const)(
  'Q20 · sec-E1: with %s sealed, whatever becomes of it, a sensitive field is nowhere in the clear: storage, log, events, errors, exports',
  async (scope) => {
    const device = new TestDevice();
    const keys = new TestKeys({ isInstant: true });
    const queue = start(device, keys, scope);
    await device.clock.settle();
    const told = listen(queue);
    const said: WireError = {
      category: 'VALIDATION_ERROR',
      code: 'X',
      message: `bad card ${PAN}, ${PIN}`,
      hint: `not ${CVC}`,
    };
    device.server.resultOf = ({ payload }) => payload;

    // Confirmed, a dead letter, edited, taken back, one with an id of its own, retried, and in an atomic one.
    await queue.add(card('ok'));
    await device.clock.pass(1_000);
    device.server.error = said;
    device.server.judge = () => 'rejected';
    const dead = await queue.add({ ...card('dead'), metadata: { deviceId: 'phone' } });
    await device.clock.pass(1_000);
    await device.goOffline();
    const edited = await queue.add(card('edited'));
    await edited.edit({ ...card('edited').payload, note: 'n', pan: `${PAN}-2` });
    const taken = await queue.add(card('taken'));
    await taken.cancel();
    await queue.add({ ...card('own'), id: '0192f0c0-7b1a-7000-8000-00000000000a' });
    await queue.addAtomic([card('atomic'), { type: 'note', payload: { text: 'beside' } }]);
    await queue.add({ ...card('based'), base: { rowVersion: 1, row: { id: 'based', pan: PAN } } });
    await queue.add({ type: 'note', payload: { text: 'in the open too' } });
    await queue.add(card('long', 'CANARY '.repeat(500)));

    expect(await stored(device)).not.toMatch(CANARY);
    if (scope === 'sensitive') expect(await stored(device)).toContain('in the open too');
    expect(JSON.stringify(queue.exportLog())).not.toMatch(CANARY);
    expect(JSON.stringify(told)).not.toMatch(CANARY);
    expect(
      JSON.stringify([await queue.getStatus(), await queue.getMetrics(), await queue.explain(dead.id)]),
    ).not.toMatch(CANARY);
    expect(await queue.readDeadLetter(dead.id)).toMatchObject({
      payload: { id: 'dead', note: 'in the open', pan: '[redacted]', pin: '[redacted]', more: '[redacted]' },
      error: { message: 'bad card [redacted], [redacted]', hint: 'not [redacted]' },
    });
    expect(await queue.exportDeadLetters()).not.toMatch(CANARY);
    await expect(queue.exportQueue()).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    // Asked for, it is there.
    expect(await queue.readDeadLetter(dead.id, { includeSensitive: true })).toMatchObject({
      payload: { pan: PAN, pin: PIN },
    });
    expect(await queue.exportDeadLetters({}, { includeSensitive: true })).toContain(PAN);
    await queue.close();

    // After a restart all of it is sent whole; one meets a row that someone else has changed.
    device.server.error = SERVER_ERROR;
    device.server.rows.set('based', { id: 'based', pan: 'CANARY of theirs', version: 2 });
    const again = start(device, keys, scope);
    await device.goOnline();
    await device.clock.pass(60_000);
    expect(again.getSnapshot()).toMatchObject({ pendingCount: 1, failedCount: 1 });
    const [based] = (await again.listMutations({ status: 'pending' })).mutations;
    expect(await again.getConflict(based?.id ?? '')).toMatchObject({ theirs: { pan: 'CANARY of theirs' } });
    expect(await stored(device)).not.toMatch(CANARY);
    await again.resolveConflict(based?.id ?? '', 'theirs', { actor: 'ann' });
    const sent = device.server.requests.flatMap(({ request }) => request.mutations);
    expect(sent.find(({ entity }) => entity?.id === 'edited')?.payload).toMatchObject({
      pan: `${PAN}-2`,
      pin: PIN,
      more: { cvc: CVC },
    });
    expect(sent.find(({ type }) => type === 'holdfast.atomic')?.payload).toMatchObject({
      members: [{ payload: { pan: PAN } }, {}],
    });
    expect(await stored(device)).not.toMatch(CANARY);
    await again.close();
  },
);

describe('keys', () => {
  test('Q20 · while they are away the queue is locked, nothing is lost, and it goes on when they are back', async () => {
    const device = new TestDevice();
    const keys = new TestKeys({ isInstant: true });
    const queue = start(device, keys, 'sensitive');
    await device.goOffline();
    await queue.add(card('a'));
    keys.isAway = true;

    await expect(queue.add(card('b'))).rejects.toMatchObject({ code: 'STORAGE_LOCKED' });
    await device.goOnline();
    await device.clock.pass(1_000);
    expect(queue.getSnapshot()).toMatchObject({ waitingFor: 'locked', pendingCount: 1 });
    keys.isAway = false;
    await device.clock.pass(10_000);

    expect(device.server.effects).toHaveLength(1);
  });

  test('Q20 · with a new key what waits is sealed anew, and goes', async () => {
    const device = new TestDevice();
    const keys = new TestKeys({ isInstant: true });
    const queue = start(device, keys, 'sensitive');
    await device.goOffline();
    await queue.add(card('a'));
    await queue.add({ type: 'note', payload: { text: 'x' } });
    await keys.renew();
    await queue.add(card('b'));
    await device.clock.pass(1_000);
    expect(keys.released).toEqual(['k1']);

    await device.goOnline();
    await device.clock.pass(5_000);
    expect(device.server.effects).toHaveLength(3);
  });

  test('Q20 · a type with sensitive fields is refused by a queue without keys', () => {
    const device = new TestDevice();

    expect(() => createQueue({ ...device.ports, mutations })).toThrow(/`encryption` must be given.*card\.save/);
  });

  test('Q20 · moved to another record, a sealed one does not open', async () => {
    const device = new TestDevice();
    const queue = start(device, new TestKeys({ isInstant: true }), 'sensitive');
    await device.goOffline();
    const first = await queue.add(card('a'));
    await queue.add(card('b', 'another'));
    const storage = await device.storage.peek();
    const [one = '', two = ''] = (await storage.read([seqKey(BODY, 1), seqKey(BODY, 2)])).map(String);
    await storage.commit({ expect: [], changes: [{ kind: 'put', key: seqKey(BODY, 1), value: two }] });
    expect(one).not.toBe(two);

    await device.goOnline();
    await device.clock.pass(5_000);

    expect(device.server.effects).toHaveLength(1);
    expect(await queue.getMutationStatus(first.id)).toMatchObject({ lastError: { code: 'UNREADABLE_RECORD' } });
    expect(JSON.stringify(await queue.listQuarantine())).not.toMatch(CANARY);
  });
});

test('Q20 · what a schema refuses is told without what came', async () => {
  const device = new TestDevice();
  const queue = start(device, new TestKeys({ isInstant: true }), 'sensitive');
  const wrong = { ...card('a'), payload: { ...card('a').payload, pin: 'CANARY' } };

  const refused = await queue.add(wrong as never).catch((error: unknown) => error);

  expect(refused).toMatchObject({ code: 'INVALID_PAYLOAD', issues: [{ path: ['pin'] }] });
  expect(JSON.stringify([String(refused), (refused as HoldfastError).issues])).not.toMatch(CANARY);
  const { refused: legacy } = await importLegacy(queue, [{ id: '1', timestamp: 0, ...wrong }]);
  expect(legacy[0]?.error.message).not.toMatch(CANARY);
});

test('Q20 · two alike are two, since a mark of the payload would tell it; a key without the fields tells duplicates', async () => {
  const device = new TestDevice();
  const keyed = { ...pay, dedupe: ({ id }: { readonly id: string }) => id };
  const queue = start(device, new TestKeys({ isInstant: true }), 'sensitive');
  await device.goOffline();
  await queue.add(card('a'));
  expect((await queue.add(card('a'))).deduplicated).toBe(false);
  await queue.close();

  const keys = new TestKeys({ isInstant: true });
  const other = createQueue({ ...device.ports, name: 'other', mutations: [keyed], encryption: { keys: keys.open } });
  await other.add(card('a'));
  expect((await other.add(card('a', 'changed'))).deduplicated).toBe(true);
});

test.each([
  ['entity', { entity: ({ pan }: { readonly pan: string }) => ({ table: 'cards', id: pan }) }],
  ['lane', { lane: ({ pan }: { readonly pan: string }) => `card ${pan}` }],
  ['dedupe', { dedupe: ({ pan }: { readonly pan: string }) => pan }],
])('Q20 · a type whose %s would show a sensitive field is refused', async (_, leaking) => {
  const device = new TestDevice();
  const keys = new TestKeys({ isInstant: true });
  const queue = createQueue({ ...device.ports, mutations: [{ ...pay, ...leaking }], encryption: { keys: keys.open } });

  const refused = await queue.add(card('a')).catch((error: unknown) => error);

  expect(refused).toMatchObject({ code: 'INVALID_PAYLOAD' });
  expect(String(refused)).not.toMatch(CANARY);
});

test('Q20 · a transport that throws with what it was given tells it to nobody', async () => {
  const device = new TestDevice();
  const keys = new TestKeys({ isInstant: true });
  const transport = {
    send: async (request: unknown) => {
      throw new Error(`cannot send ${JSON.stringify(request)}`);
    },
  };
  const queue = createQueue({ ...device.ports, mutations, transport, encryption: { keys: keys.open } });
  const told = listen(queue);

  const { id } = await queue.add(card('a'));
  await device.clock.pass(1_000);

  expect(told.length).toBeGreaterThan(0);
  expect(JSON.stringify([told, await queue.explain(id), queue.exportLog()])).not.toMatch(CANARY);
});
