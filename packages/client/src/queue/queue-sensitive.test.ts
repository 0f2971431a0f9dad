import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { defineMutation } from '../mutation/definition.ts';
import type { HoldfastError } from '../mutation/holdfast-error.ts';
import { isMarkedSensitive, type MutationHeader, parseHeader, sealRecord } from '../mutation/record.ts';
import type { JsonObject, WireError } from '../protocol/wire.ts';
import { compressedStorage } from '../storage/compressed-storage.ts';
import { sealedStorage } from '../storage/sealed-storage.ts';
import { secureStoreSecrets } from '../storage/system-secure-store-secrets.ts';
import { TestKeys } from '../storage/testing-keys/test-keys.ts';
import { SecureStoreSimulator } from '../testing/secure-store-simulator.ts';
import { createQueue } from './create-queue.ts';
import { importLegacy } from './adding/import-legacy.ts';
import type { MutationQueue } from './mutation-queue.ts';
import { BODY, PENDING, seqKey } from './store/record-keys.ts';
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

/** All that stands on the device; of what is sealed, that it is, since any few digits may stand in it by chance. */
const stored = async (device: TestDevice): Promise<string> =>
  JSON.stringify(await device.storage.simulator.dump()).replaceAll(/~sk\d+\.[\w+/=]+/g, '~sealed');

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

test.each(['all sealed', 'what is sensitive sealed', 'secrets in a secure store'] as const)(
  'Q20 · sec-E1: with %s, whatever becomes of it, a sensitive field is nowhere in the clear: storage, log, events, errors, exports',
  async (how) => {
    const device = new TestDevice();
    const keys = new TestKeys({ isInstant: true });
    const secrets = secureStoreSecrets(new SecureStoreSimulator());
    const open = (): Queue =>
      how === 'secrets in a secure store'
        ? createQueue({ ...device.ports, mutations, secrets })
        : start(device, keys, how === 'all sealed' ? 'all' : 'sensitive');
    const queue = open();
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
    if (how !== 'all sealed') expect(await stored(device)).toContain('in the open too');
    expect(JSON.stringify(queue.exportLog())).not.toMatch(CANARY);
    expect(JSON.stringify(told)).not.toMatch(CANARY);
    expect(
      JSON.stringify([await queue.getStatus(), await queue.getMetrics(), await queue.explain(dead.id)]),
    ).not.toMatch(CANARY);
    expect(await queue.readDeadLetter(dead.id)).toMatchObject({
      payload: { id: 'dead', note: 'in the open', pan: '[redacted]', pin: '[redacted]', more: '[redacted]' },
      error: { code: 'X', category: 'VALIDATION_ERROR', message: 'Something in the change is not valid.' },
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
    const again = open();
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

describe('with only what is sensitive sealed, the header', () => {
  /** Offline, with a card and a note. */
  async function waiting(): Promise<{
    readonly device: TestDevice;
    readonly keys: TestKeys;
    readonly first: Readonly<Record<string, string>>;
  }> {
    const device = new TestDevice();
    const keys = new TestKeys({ isInstant: true });
    const queue = start(device, keys, 'sensitive');
    await device.goOffline();
    await queue.add(card('a'));
    await queue.add({ type: 'note', payload: { text: 'in the open' } });
    await queue.close();
    return { device, keys, first: await device.storage.dump() };
  }

  /** The header of the first, as whoever has the key reads it. */
  async function headerOf(device: TestDevice, keys: TestKeys): Promise<MutationHeader> {
    const below = compressedStorage(async () => device.storage.peek());
    const open = sealedStorage(below, { keys: keys.open, isSealed: isMarkedSensitive });
    const [text = null] = await (await open('holdfast/notes/home/ann')).read([seqKey(PENDING, 1)]);
    const parsed = parseHeader(text ?? '');
    if (parsed.kind !== 'record') throw new Error('no header');
    return parsed.record;
  }

  test('Q20 · sec-E1: is sealed with it, so that no checksum and no mark beside it tells what a short value is', async () => {
    const { device, keys } = await waiting();
    const isClear = async (key: string): Promise<boolean> =>
      ((await device.storage.dump())[key] ?? '').includes('"type"');
    expect(await isClear(seqKey(PENDING, 1))).toBe(false);
    expect(await isClear(seqKey(PENDING, 2))).toBe(true);

    // Also once it is refused, a dead letter, one of those that the server may forget, or retried.
    const encryption = { keys: keys.open, scope: 'sensitive' } as const;
    const queue = createQueue({ ...device.ports, mutations, encryption, compressOverLength: Number.POSITIVE_INFINITY });
    device.server.epoch = 'first';
    await device.goOnline();
    await device.clock.pass(1_000);
    device.server.judge = () => 'rejected';
    const dead = await queue.add(card('b'));
    await device.clock.pass(1_000);
    expect((await queue.getMutationStatus(dead.id))?.status).toBe('failed');
    expect(await stored(device)).not.toMatch(/bodyChecksum[^}]*card\.save|card\.save[^}]*bodyChecksum/);
    await device.goOffline();
    await queue.retry(dead.id);
    expect(await stored(device)).not.toMatch(/bodyChecksum[^}]*card\.save|card\.save[^}]*bodyChecksum/);
    await queue.close();
  });

  test.each<[string, (header: MutationHeader) => object]>([
    ['type', () => ({ type: 'note' })],
    ['type, undeclared', () => ({ type: 'free' })],
    ['id', () => ({ id: '0192f0c0-7b1a-7000-8000-00000000000a' })],
    ['lane', () => ({ lane: 'another' })],
    ['version', () => ({ version: 0 })],
    ['generation', ({ generation }) => ({ generation: generation + 1 })],
    ['revision, with the mark of one that is sealed', () => ({ revision: 7 })],
  ])(
    'Q20 · sec-E3: of another %s, written in its place, opens nothing: it is not sent, and shown to nobody',
    async (what, change) => {
      const { device, keys } = await waiting();
      const header = await headerOf(device, keys);
      const { mark, ...plain } = header;
      const forged = { ...(what.includes('mark') ? header : plain), ...change(header) } as MutationHeader;
      expect(mark).toBeDefined();
      const storage = await device.storage.peek();
      const value = sealRecord(forged);
      await storage.commit({ expect: [], changes: [{ kind: 'put', key: seqKey(PENDING, 1), value }] });
      const free = defineMutation({ type: 'free', payload: v.looseObject({}), operation: 'custom' });
      const encryption = { keys: keys.open, scope: 'sensitive' } as const;
      const queue = createQueue({ ...device.ports, mutations: [...mutations, free], encryption });
      const told = listen(queue as never);

      await device.goOnline();
      await device.clock.pass(60_000);

      expect(device.server.requests.flatMap(({ request }) => request.mutations.map(({ type }) => type))).toEqual([
        'note',
      ]);
      expect(await queue.listQuarantine()).toHaveLength(1);
      const shown = [await queue.exportDeadLetters(), await queue.exportQuarantine(), JSON.stringify(told)].join();
      expect(shown + (await stored(device))).not.toMatch(CANARY);
      await queue.close();
    },
  );

  test('Q20 · sec-E3: of another mutation with sensitive fields does not open in its place', async () => {
    const device = new TestDevice();
    const keys = new TestKeys({ isInstant: true });
    const before = start(device, keys, 'sensitive');
    await device.goOffline();
    await before.add(card('a'));
    await before.add(card('b'));
    await before.close();
    const storage = await device.storage.peek();
    const [one = null, two = null] = await storage.read([seqKey(PENDING, 1), seqKey(PENDING, 2)]);
    const swapped = [seqKey(PENDING, 1), seqKey(PENDING, 2)].map(
      (key, index) => ({ kind: 'put', key, value: [two, one][index] ?? '' }) as const,
    );
    await storage.commit({ expect: [], changes: swapped });
    const queue = start(device, keys, 'sensitive');

    await device.goOnline();
    await device.clock.pass(5_000);

    expect(device.server.effects).toEqual([]);
    expect(await queue.listQuarantine()).toHaveLength(2);
    await queue.close();
  });
});

test('Q20 · what is stored as sensitive is shown in nothing when its type does not say so any more', async () => {
  const device = new TestDevice();
  const keys = new TestKeys({ isInstant: true });
  const before = start(device, keys, 'sensitive');
  await device.goOffline();
  const { id } = await before.add(card('a'));
  await before.addAtomic([card('b')]);
  await before.close();
  const { sensitive: _, ...plain } = pay;
  const encryption = { keys: keys.open, scope: 'sensitive' } as const;
  device.server.error = { category: 'VALIDATION_ERROR', code: 'X', message: `no ${PAN}` };
  const queue = createQueue({ ...device.ports, mutations: [plain, note], encryption });

  await device.goOnline(() => 'rejected');
  await device.clock.pass(60_000);

  expect(queue.getSnapshot()).toMatchObject({ failedCount: 2 });
  expect(await queue.readDeadLetter(id)).toMatchObject({ payload: { id: '[redacted]', pan: '[redacted]' } });
  expect((await queue.exportDeadLetters()) + (await stored(device))).not.toMatch(CANARY);
  await queue.close();
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

interface Card {
  readonly id: string;
  readonly cvv: string;
  readonly pin: number;
  readonly more: JsonObject;
}

const secretCard = defineMutation({
  type: 'card.check',
  payload: v.object({ id: v.string(), cvv: v.string(), pin: v.number(), more: v.record(v.string(), v.any()) }),
  operation: 'custom',
  result: v.any(),
  sensitive: ['cvv', 'pin', 'more'],
  retry: { maxRetries: 0 },
});
const check = (payload: Partial<Card> = {}) =>
  ({ type: 'card.check', payload: { id: '1', cvv: '737', pin: 7, more: {}, ...payload } }) as const;

test.each<[string, Record<string, unknown>]>([
  ['entity', { entity: ({ cvv }: Card) => ({ table: 'cards', id: cvv }) }],
  ['table', { entity: ({ id, cvv }: Card) => ({ table: `cards-${cvv}`, id }) }],
  ['lane', { lane: ({ cvv }: Card) => `card ${cvv}` }],
  ['lane with one digit of it', { lane: ({ pin }: Card) => `level ${pin}` }],
  ['lane with a part of it', { lane: ({ cvv }: Card) => `card ${cvv.slice(0, 1)}` }],
  ['lane that only reads it', { lane: ({ cvv }: Card) => (cvv === '737' ? 'one' : 'other') }],
  ['dedupe', { dedupe: ({ cvv }: Card) => cvv }],
  ['dedupe with a mark of it', { dedupe: ({ pin }: Card) => String(pin * 31) }],
  ['near', { dedupe: { key: ({ id }: Card) => id, near: [{ value: ({ pin }: Card) => pin, tolerance: 1 }] } }],
])('Q20 · a type whose %s would show a sensitive field is refused', async (_, leaking) => {
  const device = new TestDevice();
  const keys = new TestKeys({ isInstant: true });
  const leaky = { ...secretCard, ...leaking } as typeof secretCard;
  const queue = createQueue({ ...device.ports, mutations: [leaky], encryption: { keys: keys.open } });

  const refused = await queue.add(check()).catch((error: unknown) => error);

  expect(refused).toMatchObject({ code: 'INVALID_PAYLOAD' });
  expect(String(refused)).not.toMatch(/737/);
});

test('Q20 · entity, lane and dedupe of other fields are taken, whatever stands in the sensitive ones', async () => {
  const device = new TestDevice();
  const keys = new TestKeys({ isInstant: true });
  const plain = {
    ...secretCard,
    entity: ({ id }: Card) => ({ table: 'cards', id }),
    lane: ({ id }: Card) => `card ${id}`,
    dedupe: ({ id }: Card) => id,
  };
  const queue = createQueue({ ...device.ports, mutations: [plain], encryption: { keys: keys.open } });
  await device.goOffline();

  for (const pin of [0, -1, 1]) await queue.add(check({ id: `card-${pin}`, pin, cvv: '' }));
  // By chance the same, which tells nobody anything.
  await queue.add(check({ id: '7', pin: 7 }));
  await queue.add(check({ id: '737', cvv: '737' }));

  expect(queue.getSnapshot().pendingCount).toBe(5);
});

test('Q20 · keys within a sensitive field, and what the functions of its type throw, are told to nobody', async () => {
  const device = new TestDevice();
  const keys = new TestKeys({ isInstant: true });
  const throwing = {
    ...secretCard,
    type: 'card.throws',
    lane: ({ cvv }: Card): string => {
      throw new Error(`no lane for ${cvv}`);
    },
  } as const;
  const strict = { ...secretCard, type: 'card.strict', payload: v.object({ more: v.record(v.string(), v.number()) }) };
  const queue = createQueue({
    ...device.ports,
    mutations: [secretCard, throwing, strict],
    encryption: { keys: keys.open },
  });
  const wrong = [
    check({ more: { 'CANARY-key': Number.NaN } }),
    { type: 'card.strict', payload: { more: { 'CANARY-key': 'x' } } },
    { ...check({ cvv: 'CANARY' }), type: 'card.throws' },
  ];

  for (const input of wrong) {
    const refused = (await queue.add(input as never).catch((error: unknown) => error)) as HoldfastError;
    expect(refused.code).toMatch(/INVALID_PAYLOAD|PAYLOAD_NOT_JSON/);
    expect(JSON.stringify([refused.message, refused.hint, refused.issues, String(refused.cause)])).not.toMatch(CANARY);
  }
});

describe('what a server says', () => {
  const secret = { cvv: '737', pin: 1_234_567, more: { 'CANARY-key': 'my "top" secret/\nline' } };
  const LEAK = /737|1.?234.?567|CANARY|top.{1,6}secret|secret.{1,4}line/;

  /** All that is stored in the clear or told, after a server has answered; and what was returned. */
  async function answeredWith(
    answer: (server: TestDevice['server']) => void,
    isAtomic = false,
  ): Promise<{ readonly shown: string; readonly told: unknown[]; readonly error: unknown }> {
    const device = new TestDevice();
    const keys = new TestKeys({ isInstant: true });
    const encryption = { keys: keys.open, scope: 'sensitive' } as const;
    const options = { mutations: [secretCard, note], encryption, compressOverLength: Number.POSITIVE_INFINITY };
    const queue = createQueue({ ...device.ports, ...options });
    await device.clock.settle();
    const told: unknown[] = [];
    queue.onError((error) => told.push([error.toWire(), String(error.cause)]));
    queue.on('settled', (event) => told.push(event));
    answer(device.server);
    const added = isAtomic
      ? await queue.addAtomic([check(secret), { type: 'note', payload: { text: 'beside' } }])
      : await queue.add(check(secret));
    await device.clock.pass(1_000);
    const error = (await queue.getMutationStatus(added.id))?.lastError;
    const log = JSON.stringify(queue.exportLog());
    const letters = await queue.exportDeadLetters();
    const shown = [await stored(device), log, letters, JSON.stringify([told, await queue.explain(added.id)])].join();
    await queue.close();
    return { shown, told, error };
  }

  test.each<[string, (payload: Card) => unknown]>([
    ['as it came', (payload) => payload],
    ['in a list', (payload) => [payload]],
    ['further in', (payload) => ({ data: { rows: [payload], ok: true } })],
    ['in words', ({ cvv }) => `saved ${cvv}`],
    ['under another name', ({ cvv, pin, more }) => ({ echo: cvv, number: pin, word: more['CANARY-key'] })],
    ['as a name', ({ pin }) => ({ [String(pin)]: true, formatted: pin.toLocaleString('en') })],
    ['for a URL', ({ more }) => encodeURIComponent(String(more['CANARY-key']))],
    ['with the name as a column', () => ({ CVV: 'another 737', PIN: 7 })],
  ])('Q20 · a sensitive field returned %s is in no event, and not in the history', async (_, result) => {
    for (const isAtomic of [false, true]) {
      const { shown, told } = await answeredWith((server) => {
        server.resultOf = ({ payload }) => {
          const { members } = payload as unknown as { readonly members?: readonly { readonly payload: Card }[] };
          const own = members?.[0]?.payload ?? (payload as unknown as Card);
          return (members === undefined ? result(own) : [result(own), null]) as never;
        };
      }, isAtomic);
      expect(told).toMatchObject([{ status: 'completed' }]);
      expect(shown).not.toMatch(LEAK);
    }
  });

  test('Q20 · what a server returns beside sensitive fields is kept: rows, ids, and what other values hold by chance', async () => {
    const row = { id: '0192f0c0-7370-7000-8000-000737000000', version: 7, at: 1_737_000, name: 'Ann', list: [1, null] };
    const { told } = await answeredWith((server) => {
      server.resultOf = () => ({ ...row, cvv: '737' });
    });

    expect(told).toMatchObject([{ result: row }]);
  });

  test.each([
    ['three digits', 'cvv 737 is wrong'],
    ['as JSON', `bad body ${JSON.stringify(secret)}`],
    ['for a URL', `GET /x?s=${encodeURIComponent(secret.more['CANARY-key'])}`],
    ['formatted', 'balance 1,234,567.00'],
    ['a key', 'no CANARY-key'],
    ['a part', 'it ends in 4567; top… secret'],
  ])('Q20 · words of a server that repeat a sensitive field, %s, are told by none', async (_, message) => {
    for (const isAtomic of [false, true]) {
      const { shown, error } = await answeredWith((server) => {
        server.judge = () => 'rejected';
        server.error = { category: 'VALIDATION_ERROR', code: 'CARD_DECLINED', message, hint: message };
      }, isAtomic);
      expect(error).toMatchObject({ code: 'CARD_DECLINED', category: 'VALIDATION_ERROR' });
      expect(shown).not.toMatch(LEAK);
      expect(shown).not.toContain('4567');
    }
  });

  test('Q20 · a code that is made of a sensitive value is not told either', async () => {
    const { shown } = await answeredWith((server) => {
      server.judge = () => 'rejected';
      server.error = { category: 'VALIDATION_ERROR', code: 'E_1234567', message: '' };
    });

    expect(shown).not.toMatch(LEAK);
  });
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
