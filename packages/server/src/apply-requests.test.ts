import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { sqlStateOf } from './database.ts';
import { describeOnEachDatabase } from './testing-databases/test-databases.ts';
import { applyBatch, countTraces, createDevice } from './testing-databases/test-device.ts';

describeOnEachDatabase((world) => {
  test.each([
    ['no id', { id: undefined }],
    ['an id that is no UUID', { id: 'x' }],
    ['a seq of zero', { seq: 0 }],
    ['a seq that is no whole number', { seq: 1.5 }],
    ['a seq beyond what JavaScript can count', { seq: 9_007_199_254_740_992 }],
    ['a negative generation', { generation: -1 }],
    ['an after that is text', { after: 'x' }],
    ['no type', { type: '' }],
    ['an unknown operation', { operation: 'truncate' }],
    ['an array as payload', { payload: [] }],
    ['an entity without id', { entity: { table: 'accounts' } }],
    ['an entity that is text', { entity: 'accounts' }],
    ['an entity whose table is a number', { entity: { table: 5, id: 'x' } }],
    ['an entity whose id is a list', { entity: { table: 'accounts', id: ['x'] } }],
    ['a seq that is text', { seq: '2' }],
    ['a generation that is text', { generation: '0' }],
    ['a type that is a number', { type: 5 }],
    ['no operation', { operation: null }],
    ['text as payload', { payload: 'name' }],
    ['no payload', { payload: undefined }],
    ['a base without a version', { operation: 'update', base: {} }],
    ['a base that is text', { operation: 'update', base: 'rowVersion' }],
    ['a version that is text', { operation: 'update', base: { rowVersion: '1' } }],
    ['a time that is none', { hlc: '0,0' }],
    ['a time that is null', { hlc: null }],
    ['rebases that are text', { rebases: '1' }],
    ['an unknown encoding', { operation: 'update', base: { rowVersion: 1 }, encoding: 'yaml' }],
    ['a patch without a base', { operation: 'update', encoding: 'mergePatch' }],
    ['a patch that creates', { base: { rowVersion: 1 }, encoding: 'mergePatch' }],
  ])('P9 · a batch with %s is refused whole, and nothing is stored', async (_, over) => {
    const device = createDevice(world.database);
    const refused = device.send([device.next(), { ...device.next(), ...over }]);

    await expect(refused).rejects.toSatisfy((error) => sqlStateOf(error) === 'HF020');
    expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 0, ledger: 0, audit: 0 });
  });

  test.each([-1, 0, 1])(
    'P9 · of the limit %i mutations a batch is taken up to the limit, and refused whole beyond',
    async (beyond) => {
      const device = createDevice(world.database);
      const batch = Array.from({ length: 100 + beyond }, () => device.next());
      if (beyond <= 0) expect(new Set(await device.sendForKinds(batch))).toEqual(new Set(['applied']));
      else await expect(device.send(batch)).rejects.toMatchObject({ code: 'HF022', detail: 'BATCH_TOO_LARGE' });
    },
  );

  test('P9 · a payload of 256 KiB is taken, one byte more is rejected', async () => {
    const device = createDevice(world.database);
    const payloadOf = (bytes: number) => ({ name: 'large', tags: fill(bytes - '{"name":"large","tags":}'.length) });
    expect(JSON.stringify(payloadOf(262_144))).toHaveLength(262_144);

    expect(
      await device.sendForKinds([
        device.next({ payload: payloadOf(262_143) }),
        device.next({ payload: payloadOf(262_144) }),
        device.next({ payload: payloadOf(262_145) }),
      ]),
    ).toEqual(['applied', 'applied', 'rejected PAYLOAD_TOO_LARGE']);
  });

  test('P9 · a protocol of another version is refused whole', async () => {
    const device = createDevice(world.database);
    const batch = { protocol: 2, client: { id: device.clientId, workspaceId: device.workspaceId }, mutations: [] };
    await expect(applyBatch(world.database, device.claims, batch)).rejects.toMatchObject({ code: 'HF021' });
  });

  test.each([
    [null],
    [[]],
    ['text'],
    [{ protocol: 1 }],
    [{ protocol: 1, client: { id: randomUUID() }, mutations: {} }],
  ])('P9 · what is no batch is refused whole: %j', async (batch) => {
    const device = createDevice(world.database);
    await expect(applyBatch(world.database, device.claims, batch)).rejects.toSatisfy((error) =>
      (sqlStateOf(error) ?? '').startsWith('HF02'),
    );
  });

  test('P12 · a floor that is no whole number is refused whole', async () => {
    const device = createDevice(world.database);
    await expect(device.send([], -1)).rejects.toMatchObject({ code: 'HF020' });
    await expect(device.send([], 1.5)).rejects.toMatchObject({ code: 'HF020' });
  });

  /** JSON text of exactly this many bytes, with many places where jsonb prints a blank that JSON does not need. */
  function fill(bytes: number): readonly (number | string)[] {
    const ones = Array.from({ length: 1000 }, () => 1);
    return [...ones, 'x'.repeat(bytes - JSON.stringify([...ones, '']).length)];
  }
});
