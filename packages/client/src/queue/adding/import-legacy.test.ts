import * as v from 'valibot';
import { expect, test } from 'vitest';
import { defineMutation } from '../../mutation/definition.ts';
import { importLegacy } from './import-legacy.ts';
import { TestDevice } from '../testing-queue/test-device.ts';

const save = defineMutation({
  type: 'contact.save',
  version: 2,
  payload: v.object({ id: v.string(), given: v.string(), family: v.string() }),
  operation: 'update',
  entity: ({ id }) => ({ table: 'contacts', id }),
  migrate: {
    1: ({ id, name }: { readonly id: string; readonly name: string }) => {
      const [given = '', family = ''] = name.split(' ');
      return { id, given, family };
    },
  },
});
const AT_MS = Date.parse('2024-05-06T07:08:09.000Z');
const UUID = '0192f0c0-7b1a-7000-8000-0000000000AA';

const FIRST = [
  { id: 'mutation_1', type: 'contact.save', payload: { id: 'a', name: 'Ann Lee' }, timestamp: AT_MS },
  { id: UUID, type: 'contact.save', payload: { id: 'a', name: 'Ann Berg' }, timestamp: '2024-05-06T07:08:10Z' },
];
const SECOND = FIRST.map((record) => ({
  ...record,
  version: '2.0',
  metadata: { userId: 'ann@old', deviceId: 'phone', appVersion: '3.1' },
}));

test.each([
  ['1.0', FIRST, { userId: 'ann' }],
  ['2.0', SECOND, { userId: 'ann@old', deviceId: 'phone', appVersion: '3.1' }],
  ['1.0', JSON.stringify(FIRST), { userId: 'ann' }],
])(
  'Q17 · what a queue of format %s has left is delivered in its order, under its ids, with metadata',
  async (legacyFormat, records, who) => {
    const device = new TestDevice();
    const queue = await device.openWith([save]);
    await device.goOffline();

    const result = await importLegacy(queue, records);
    await device.goOnline();
    await device.clock.pass(5_000);

    expect(result).toEqual({ importedCount: 2, knownCount: 0, leftOutCount: 0, refused: [] });
    const sent = device.server.requests.flatMap(({ request }) => request.mutations).slice(-2);
    expect(sent.map(({ payload }) => payload)).toEqual([
      { id: 'a', given: 'Ann', family: 'Lee' },
      { id: 'a', given: 'Ann', family: 'Berg' },
    ]);
    expect(sent[0]?.metadata).toEqual({
      ...who,
      legacyFormat,
      legacyId: 'mutation_1',
      recordedAt: '2024-05-06T07:08:09.000Z',
    });
    expect(sent[1]).toMatchObject({
      id: UUID.toLowerCase(),
      metadata: { ...who, recordedAt: '2024-05-06T07:08:10.000Z' },
    });
  },
);

test('Q17 · imported once more, also after a restart and when all is delivered, nothing is stored twice', async () => {
  const device = new TestDevice();
  const queue = await device.openWith([save]);
  const [only = FIRST[0]] = FIRST;
  expect(await importLegacy(queue, [only])).toMatchObject({ importedCount: 1, knownCount: 0 });
  expect(await importLegacy(queue, FIRST)).toMatchObject({ importedCount: 1, knownCount: 1 });
  await device.clock.pass(5_000);
  await queue.close();

  const again = await device.openWith([save]);
  expect(await importLegacy(again, FIRST)).toMatchObject({ importedCount: 0, knownCount: 2, refused: [] });
  await device.clock.pass(5_000);
  expect(device.server.effects).toHaveLength(2);
});

test('Q17 · two records with one counter as their id are two mutations', async () => {
  const device = new TestDevice();
  const queue = await device.openWith([save]);

  const result = await importLegacy(queue, [
    { id: 1, type: 'contact.save', payload: { id: 'a', name: 'Ann' }, timestamp: AT_MS },
    { id: 1, type: 'contact.save', payload: { id: 'b', name: 'Bo' }, timestamp: AT_MS },
  ]);
  await device.clock.pass(5_000);

  expect(result.importedCount).toBe(2);
  expect(device.server.effects).toHaveLength(2);
});

test('Q17 · bad records are refused each with its reason, and cost no other', async () => {
  const device = new TestDevice();
  const queue = await device.openWith([save]);
  const good = { id: 'x', type: 'contact.save', payload: { id: 'x', name: 'Xi' }, timestamp: AT_MS };

  const { importedCount, refused } = await importLegacy(queue, [
    null,
    { ...good, id: '' },
    { ...good, type: 7 },
    { ...good, payload: 'text' },
    { ...good, timestamp: 'yesterday' },
    { ...good, version: '9.0' },
    { ...good, metadata: [] },
    { ...good, type: 'contact.explode' },
    { ...good, payload: { id: 'x' } },
    { ...good, payload: { id: 5, name: 'Xi' } },
    good,
  ]);

  expect(importedCount).toBe(1);
  expect(refused.map(({ index, error }) => `${index} ${error.code}`)).toEqual([
    '0 UNREADABLE_RECORD',
    '1 UNREADABLE_RECORD',
    '2 UNREADABLE_RECORD',
    '3 UNREADABLE_RECORD',
    '4 UNREADABLE_RECORD',
    '5 UNREADABLE_RECORD',
    '6 UNREADABLE_RECORD',
    '7 UNDECLARED_TYPE',
    '8 OUTDATED',
    '9 INVALID_PAYLOAD',
  ]);
  expect(refused[5]?.record).toMatchObject({ version: '9.0' });
});

test('Q17, Q12 · all of it finds room, however full the queue is, and has been made when it was made', async () => {
  const device = new TestDevice();
  await device.goOffline();
  const nowMs = device.clock.wallMs();
  const atMs = (index: number): number => (index === 0 ? nowMs + 86_400_000 : nowMs - 1_000 * index);
  const records = Array.from({ length: 1_010 }, (_, index) => ({
    ...FIRST[0],
    id: `m${index}`,
    timestamp: atMs(index),
  }));
  const queue = await device.openWith([save]);

  expect(await importLegacy(queue, records)).toMatchObject({ importedCount: 1_010, refused: [] });
  const { mutations } = await queue.listMutations({ limit: 3 });
  // A clock that went wrong made none of them later than now.
  expect(mutations.map(({ createdAtMs }) => createdAtMs)).toEqual([nowMs, atMs(1), atMs(2)]);
  const payload = { id: 'b', given: 'Ann', family: 'Lee' };
  await expect(queue.add({ type: 'contact.save', payload })).rejects.toMatchObject({ code: 'QUEUE_FULL' });
  await device.goOnline();
  await device.clock.pass(60_000);
  expect(device.server.effects).toHaveLength(1_010);
});

test('Q17 · types that have other names now are read by a function of the app', async () => {
  const device = new TestDevice();
  const queue = await device.openWith([save]);

  const result = await importLegacy(
    queue,
    [
      { id: '1', type: 'UPDATE_CONTACT', payload: { id: 'a', given: 'Ann', family: 'Lee' }, timestamp: AT_MS },
      { id: '2', type: 'PING', payload: {}, timestamp: AT_MS },
    ],
    {
      read: ({ type, payload }) => (type === 'PING' ? null : { type: 'contact.save', payload }),
      payloadVersion: () => 2,
    },
  );

  expect(result).toMatchObject({ importedCount: 1, leftOutCount: 1, refused: [] });
});

test.each([[{}], [null], [7], ['{"half":']])('Q17 · %j is no list, and nothing is stored', async (records) => {
  const device = new TestDevice();
  const queue = await device.openWith([save]);

  await expect(importLegacy(queue, records)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
});
