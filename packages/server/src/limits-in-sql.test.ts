import { randomUUID } from 'node:crypto';
import type { Json } from 'holdfast/protocol';
import { LIMITS } from 'holdfast/protocol';
import { expect, test } from 'vitest';
import { createDoor } from './door.ts';
import { describeOnEachDatabase } from './testing-databases/test-databases.ts';
import { applyBatch, createDevice, type TestDevice } from './testing-databases/test-device.ts';
import { TEST_SECRET, testToken } from './testing-databases/test-token.ts';

/** As on hosted Supabase, where nothing of ours stands before the database. */
describeOnEachDatabase((world) => {
  test.each([-1, 0, 1, 1_000])(
    'P9 · in SQL, a payload nested the limit and %i deep is taken up to the limit',
    async (beyond) => {
      const device = createDevice(world.database);
      let tags: Json = 1;
      for (let depth = 1; depth < LIMITS.jsonDepth + beyond; depth += 1) tags = depth % 2 === 0 ? [tags] : { a: tags };
      const kind = beyond <= 0 ? 'applied' : 'rejected INVALID_PAYLOAD';

      // alone, and among others that go together
      expect(await device.sendForKinds([device.next({ payload: { name: 'n', tags } })])).toEqual([kind]);
      const others = (): ReturnType<typeof device.next> => device.next({ payload: { name: 'n', tags: [] } });
      expect(await device.sendForKinds([others(), device.next({ payload: { name: 'n', tags } }), others()])).toEqual([
        'applied',
        kind,
        'applied',
      ]);
    },
  );

  test('P9 · in SQL, a batch is taken up to the limit of a body', async () => {
    const device = createDevice(world.database);
    const batchOf = (bytes: number) => {
      const batch = {
        protocol: 1,
        client: { id: device.clientId, workspaceId: device.workspaceId },
        acknowledgedFloor: 0,
        mutations: Array.from({ length: 5 }, () => device.next({ payload: { name: '' } })),
      };
      const missing = bytes - JSON.stringify(batch).length;
      for (const [index, { payload }] of batch.mutations.entries()) {
        Object.assign(payload, { name: 'x'.repeat(Math.floor(missing / 5) + (index < missing % 5 ? 1 : 0)) });
      }
      return batch;
    };

    const { outcomes } = await applyBatch(world.database, device.claims, batchOf(LIMITS.bodyBytes));
    expect(outcomes.map(({ kind }) => kind)).toEqual(Array(5).fill('applied'));
    for (const bytes of [LIMITS.bodyBytes + 1, 3 * LIMITS.bodyBytes]) {
      await expect(applyBatch(world.database, device.claims, batchOf(bytes))).rejects.toMatchObject({
        detail: 'BATCH_TOO_LARGE',
      });
    }
  });

  test('P9 · a user brings 1,000 new devices in a day and no more, at either door; known ones and other users go on', async () => {
    const known = createDevice(world.database);
    const { claims, workspaceId } = known;
    const another = (): TestDevice => createDevice(world.database, { workspaceId, user: claims.sub });
    await known.send([]);
    await world.database.query(
      `insert into holdfast.clients (client_id, workspace_id, actor, transaction_id)
       select gen_random_uuid(), $1, $2, pg_current_xact_id() from generate_series(1, 998)`,
      [workspaceId, claims.sub],
    );
    const last = another();
    expect(await last.sendForKinds([last.next()])).toEqual(['applied']);

    const refused = another();
    await expect(refused.send([refused.next()])).rejects.toMatchObject({ code: 'HF023', detail: 'TOO_MANY_REQUESTS' });
    const door = createDoor({ database: world.database, auth: { secret: TEST_SECRET } });
    const batch = {
      protocol: 1,
      client: { id: refused.clientId, workspaceId },
      acknowledgedFloor: 0,
      mutations: [refused.next()],
    };
    const post = async (path: string, body: unknown): Promise<Response> =>
      door.request(path, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'content-profile': 'holdfast',
          authorization: `Bearer ${await testToken(workspaceId, claims.sub)}`,
        },
        body: JSON.stringify(body),
      });
    const answer = await post('/v1/apply', batch);
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '300']);
    expect(await answer.json()).toMatchObject({ error: { code: 'TOO_MANY_REQUESTS', category: 'RATE_LIMITED' } });
    const rpc = await post('/rest/v1/rpc/apply', { batch });
    expect([rpc.status, rpc.headers.get('retry-after')]).toEqual([400, '300']);
    expect(await rpc.json()).toMatchObject({ code: 'HF023', details: 'TOO_MANY_REQUESTS' });

    for (const device of [known, last, createDevice(world.database, { workspaceId })]) {
      expect(await device.sendForKinds([device.next()])).toEqual(['applied']);
    }
    // a day later nothing of it has been lost
    await world.database.query(
      `update holdfast.clients set created_at = created_at - interval '1 day' where workspace_id = $1`,
      [workspaceId],
    );
    expect(await refused.sendForKinds([refused.next()])).toEqual(['applied']);
  });

  test.each([
    ['user', { user: 'u'.repeat(201) }],
    ['workspace', { workspaceId: 'w'.repeat(201) }],
  ])('P9 · a %s of more than 200 characters is refused with the reason, at either door', async (_, options) => {
    const device = createDevice(world.database, options);
    await expect(device.send([])).rejects.toMatchObject({ detail: 'INVALID_REQUEST' });

    const door = createDoor({ database: world.database, auth: { secret: TEST_SECRET } });
    const answer = await door.request('/v1/apply', {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${await testToken(device.workspaceId, device.claims.sub)}`,
      },
      body: JSON.stringify({
        protocol: 1,
        client: { id: device.clientId, workspaceId: device.workspaceId },
        acknowledgedFloor: 0,
        mutations: [],
      }),
    });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error: { code: 'INVALID_REQUEST' } });
  });

  test.each([
    ['text', 'abc'],
    ['nothing', undefined],
    ['what are no objects', [1]],
    ['too many', Array.from({ length: 101 }, () => ({ id: randomUUID() }))],
  ])(
    'P9, P12 · for another epoch too, a batch with %s as its mutations is refused with the reason',
    async (_, mutations) => {
      const device = createDevice(world.database);
      const client = { id: device.clientId, workspaceId: device.workspaceId };
      await expect(
        applyBatch(world.database, device.claims, {
          protocol: 1,
          client,
          acknowledgedFloor: 0,
          epoch: randomUUID(),
          mutations,
        }),
      ).rejects.toMatchObject({ detail: 'INVALID_REQUEST' });
    },
  );
});
