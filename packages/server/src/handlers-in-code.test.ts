import { randomUUID } from 'node:crypto';
import type { WireMutation, WireOutcome } from 'holdfast/protocol';
import { expect, test } from 'vitest';
import { type MutationHandlers, Rejection } from './apply-handled.ts';
import { createDoor } from './door.ts';
import { describeOnEachDatabase } from './testing-databases/test-databases.ts';
import { change, countTraces, createDevice, kindOf, type TestDevice } from './testing-databases/test-device.ts';
import { TEST_SECRET, testToken } from './testing-databases/test-token.ts';

describeOnEachDatabase((world) => {
  test('P3 · code of the server handles a type inside the transaction of the batch, once, in the order of the lane', async () => {
    const calls: string[] = [];
    const device = createDevice(world.database);
    const send = door(device, {
      'account.open': async ({ id, payload }, { session, claims }) => {
        calls.push(id);
        const [row] = await session.query<{ name: string; who: string }>(
          `insert into public.accounts (id, workspace_id, name) values ($1, holdfast.workspace(), $2)
           returning name, current_user::text as who`,
          [randomUUID(), String(Reflect.get(payload, 'name'))],
        );
        return { result: { ...row, user: claims.sub, big: 1 } };
      },
    });
    const [before, opened, after, again] = [
      device.next(),
      device.next(custom('account.open', { name: 'by code' })),
      device.next(),
      device.next(custom('account.open', { name: 'second' })),
    ];
    const batch = [before, { ...opened, after: before.seq }, { ...after, after: opened.seq }, again];

    const first = await send(batch);
    const repeated = await send(batch);

    expect(first.map(kindOf)).toEqual(['applied', 'applied', 'applied', 'applied']);
    expect(first[1]).toMatchObject({
      result: { name: 'by code', who: 'authenticated', user: device.claims.sub, big: 1 },
    });
    expect(repeated.map(kindOf)).toEqual(Array.from({ length: 4 }, () => 'duplicate applied'));
    expect(repeated[1]).toMatchObject({ result: { name: 'by code' } });
    expect(calls).toEqual([opened.id, again.id]);
    const audited = await world.database.query(
      `select new_values ->> 'name' as name from holdfast.audit_log where mutation_id = $1`,
      [opened.id],
    );
    expect(audited).toEqual([{ name: 'by code' }]);
    expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 4, ledger: 4, audit: 4 });
  });

  test('P3 · what a handler wrote before it failed is undone, and the failure says whether to come again', async () => {
    const device = createDevice(world.database);
    let isAway = true;
    const write = `insert into public.accounts (id, workspace_id, name, beds) values (gen_random_uuid(), holdfast.workspace(), 'half', $1)`;
    const send = door(device, {
      rejects: async (_, { session }) => {
        await session.query(write, [1]);
        throw new Rejection('The shop is closed.', 'Order again tomorrow.');
      },
      breaksRule: async (_, { session }) => void (await session.query(write, [5_000])),
      mayPass: async (_, { session }) => {
        await session.query(write, [1]);
        if (isAway) throw new Error('secret internals');
      },
    });
    const batch = [
      device.next(custom('rejects')),
      device.next(custom('breaksRule')),
      device.next(custom('mayPass')),
      device.next(),
    ];

    const outcomes = await send(batch);

    expect(outcomes.map(kindOf)).toEqual(['rejected P0001', 'rejected 23514', 'refused XX000', 'applied']);
    expect(outcomes[0]).toMatchObject({ error: { message: 'The shop is closed.', hint: 'Order again tomorrow.' } });
    expect(JSON.stringify(outcomes)).not.toContain('secret internals');
    expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 1, ledger: 3, audit: 1 });
    isAway = false;
    expect((await send(batch)).map(kindOf)).toEqual([
      'duplicate rejected P0001',
      'duplicate rejected 23514',
      'applied',
      'duplicate applied',
    ]);
  });

  test('P12 · of a client of before a rewind code of the server carries out nothing either, and no floor is believed', async () => {
    const calls: string[] = [];
    const device = createDevice(world.database);
    const send = door(device, {
      noted: async ({ id }) => {
        calls.push(id);
      },
    });
    const [lost, later, handled] = [device.next(), device.next(), device.next(custom('noted'))];
    const ofBefore = { epoch: randomUUID(), acknowledgedFloor: lost.seq };

    const deferred = await send([later, handled], ofBefore);

    expect(deferred.map(kindOf)).toEqual(['deferred', 'deferred']);
    expect(calls).toEqual([]);
    expect((await send([lost])).map(kindOf)).toEqual(['applied']);
    expect((await send([later, handled])).map(kindOf)).toEqual(['applied', 'applied']);
    expect(calls).toEqual([handled.id]);
  });

  function door(device: TestDevice, handlers: MutationHandlers) {
    const app = createDoor({ database: world.database, auth: { secret: TEST_SECRET }, handlers });
    return async (
      mutations: readonly WireMutation[],
      over: { readonly epoch?: string; readonly acknowledgedFloor?: number } = {},
    ): Promise<readonly WireOutcome[]> => {
      const answer = await app.request('/v1/apply', {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${await testToken(device.workspaceId, device.claims.sub)}`,
        },
        body: JSON.stringify({
          protocol: 1,
          client: { id: device.clientId, workspaceId: device.workspaceId },
          acknowledgedFloor: 0,
          mutations,
          ...over,
        }),
      });
      expect(answer.status).toBe(200);
      return ((await answer.json()) as { readonly outcomes: readonly WireOutcome[] }).outcomes;
    };
  }
});

function custom(type: string, payload = {}): Partial<WireMutation> {
  return { type, ...change('custom', null, payload) };
}
