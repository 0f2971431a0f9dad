import { randomUUID } from 'node:crypto';
import type { ApplyRequest, ApplyResponse, Json, WireMutation, WireOutcome } from 'holdfast/protocol';
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

  test('P12, S14 · with code of the server among them too, a number that another change has used is told, and nothing is looked at', async () => {
    const calls: string[] = [];
    const device = createDevice(world.database);
    const send = door(device, {
      noted: async ({ id }) => {
        calls.push(id);
      },
    });
    const client = { lastSeq: 4, unsentCount: 0 };
    await send([device.next(), device.next()], { client: { lastSeq: 2, unsentCount: 0 } });
    // put back to when it had given out one, and two changes made since
    const anew = [
      device.next({ seq: 2 }),
      device.next({ ...custom('noted'), seq: 3, after: 2 }),
      device.next({ seq: 4 }),
    ];

    for (const mutations of [anew, anew.toReversed(), [anew[1] as WireMutation, anew[0] as WireMutation]]) {
      const answer = await send.whole(mutations, { client });
      expect(answer.outcomes.map(kindOf)).toEqual(mutations.map(() => 'deferred'));
      expect(answer.client).toEqual({ behind: { reason: 'reused', highSeq: 2 } });
    }
    expect(calls).toEqual([]);
    expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 2, ledger: 2, audit: 2 });
  });

  test('R8, P1 · however code of the server and the database take turns, one call makes at most 50 savepoints, and the rest is deferred', async () => {
    const device = createDevice(world.database);
    // how many of them the transaction holds that has come as far as this; Postgres tells from version 16 on
    const counts: number[] = [];
    const [{ tells }] = (await world.database.query(
      `select to_regproc('pg_stat_get_backend_subxact') is not null as tells`,
    )) as [{ tells: boolean }];
    const send = door(device, {
      noted: async (_, { session }) => {
        await session.query(
          `insert into public.accounts (id, workspace_id, name) values (gen_random_uuid(), holdfast.workspace(), 'by code')`,
        );
        if (!tells) return;
        // or Postgres tells what it told the first time
        await session.query('select pg_stat_clear_snapshot()');
        const [row] = await session.query<{ count: number | null }>(
          `select (pg_stat_get_backend_subxact(backend)).subxact_count as count from pg_stat_get_backend_idset() as backend
           where pg_stat_get_backend_pid(backend) = pg_backend_pid()`,
        );
        counts.push(Number(row?.count));
      },
    });
    // each turn of the database is one of its own, and each third has one that fails
    const batch = Array.from({ length: 100 }, (_, index) =>
      device.next(index % 2 === 0 ? custom('noted') : { payload: { name: 'x', beds: index % 3 === 0 ? 5_000 : 1 } }),
    );

    let rest: readonly WireMutation[] = batch;
    let callCount = 0;
    const kinds = new Map<string, number>();
    for (; rest.length > 0; callCount += 1) {
      const outcomes = await send(rest);
      for (const kind of outcomes.map(kindOf)) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      const left = rest.filter((_, index) => outcomes[index]?.kind === 'deferred');
      expect(left.length).toBeLessThan(rest.length);
      rest = left;
    }

    expect(Math.max(0, ...counts)).toBeLessThanOrEqual(50);
    expect(callCount).toBeLessThanOrEqual(5);
    expect(kinds.get('applied')).toBe(83);
    expect(kinds.get('rejected 23514')).toBe(17);
    expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 83, ledger: 100, audit: 83 });
  });

  test('P3, P9 · a handler that does not end is undone and refused, what comes after it waits, and what it does late has no effect', async () => {
    const device = createDevice(world.database);
    const late = Promise.withResolvers<void>();
    const afterwards = Promise.withResolvers<unknown>();
    const write = `insert into public.accounts (id, workspace_id, name) values (gen_random_uuid(), holdfast.workspace(), 'late')`;
    const send = door(
      device,
      {
        hangs: async (_, { session, signal }) => {
          await session.query(write);
          await late.promise;
          afterwards.resolve({ aborted: signal.aborted, error: await session.query(write).catch(String) });
        },
      },
      100,
    );

    const outcomes = await send([device.next(), device.next(custom('hangs')), device.next()]);
    late.resolve();

    expect(outcomes.map(kindOf)).toEqual(['applied', 'refused 57014', 'deferred']);
    expect(await afterwards.promise).toEqual({
      aborted: true,
      error: 'Error: The handler has ended: its session takes no more statements.',
    });
    expect(await countTraces(world.database, device.workspaceId)).toEqual({ accounts: 1, ledger: 1, audit: 1 });
  });

  test('P3, P9 · words that a database cannot hold are cleaned, and the rejection stands', async () => {
    const device = createDevice(world.database);
    const send = door(device, {
      rejects: async () => {
        throw new Rejection('a\u0000b\ud800', 'x\u0000');
      },
    });

    const outcomes = await send([device.next(custom('rejects')), device.next()]);

    expect(outcomes.map(kindOf)).toEqual(['rejected P0001', 'applied']);
    expect(outcomes[0]).toMatchObject({ error: { message: 'ab\ufffd', hint: 'x' } });
  });

  test('P2, P3 · both doors of a server do the same with a batch', async () => {
    const [viaHttp, viaRpc] = [createDevice(world.database), createDevice(world.database)];
    const app = createDoor({
      database: world.database,
      auth: { secret: TEST_SECRET },
      handlers: { 'code.do': async () => ({ result: 'done' }) },
    });
    const post = async (device: TestDevice, path: string, wrap: (batch: object) => object, mutations: unknown) => {
      const answer = await app.request(path, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'content-profile': 'holdfast',
          authorization: `Bearer ${await testToken(device.workspaceId, device.claims.sub)}`,
        },
        body: JSON.stringify(
          wrap({
            protocol: 1,
            client: { id: device.clientId, workspaceId: device.workspaceId },
            acknowledgedFloor: 0,
            mutations,
          }),
        ),
      });
      return { status: answer.status, body: await answer.json() };
    };
    let deep: Json = 1;
    for (let level = 0; level < 2_000; level += 1) deep = [deep];
    const kinds = async (device: TestDevice, path: string, wrap: (batch: object) => object) => {
      const { body } = await post(device, path, wrap, [
        device.next(custom('code.do')),
        device.next({ payload: { name: 'a\u0000' } }),
        device.next({ payload: { name: 'x', tags: deep } }),
        device.next({ payload: { name: 'half \ud800' } }),
        device.next(),
      ]);
      return (body as { readonly outcomes: readonly WireOutcome[] }).outcomes.map(kindOf);
    };

    const refused = 'rejected INVALID_PAYLOAD';
    const expected = ['applied', refused, refused, refused, 'applied'];
    expect(await kinds(viaHttp, '/v1/apply', (batch) => batch)).toEqual(expected);
    expect(await kinds(viaRpc, '/rest/v1/rpc/apply', (batch) => ({ batch }))).toEqual(expected);
    expect(await post(viaRpc, '/rest/v1/rpc/apply', (batch) => ({ batch }), 'none')).toMatchObject({
      status: 400,
      body: { code: 'HF020', details: 'INVALID_REQUEST' },
    });
    const many = Array.from({ length: 101 }, () => ({}));
    expect(await post(viaRpc, '/rest/v1/rpc/apply', (batch) => ({ batch }), many)).toMatchObject({
      body: { code: 'HF022', details: 'BATCH_TOO_LARGE' },
    });
  });

  test('P3, P6 · attempts at what code of the server handles are in the retry log like others', async () => {
    const device = createDevice(world.database);
    let isAway = true;
    const send = door(device, {
      mayPass: async () => {
        if (isAway) throw new Error('away');
      },
    });
    const [handled, bad] = [
      device.next({ ...custom('mayPass'), source: { screen: 'Accounts' } }),
      device.next({ payload: { beds: 5_000 } }),
    ];
    await send([handled, bad]);
    isAway = false;
    await send([{ ...handled, attempt: 2 }]);

    const rows = await world.database.query(
      'select mutation_id, attempt_number, outcome from holdfast.mutation_retry_logs where client_id = $1 order by id',
      [device.clientId],
    );
    expect(rows).toEqual([
      { mutation_id: handled.id, attempt_number: 1, outcome: 'failure' },
      { mutation_id: bad.id, attempt_number: 1, outcome: 'failure' },
      { mutation_id: handled.id, attempt_number: 2, outcome: 'success' },
    ]);
    expect(
      await world.database.query('select screen from holdfast.mutation_sources where mutation_id = $1', [handled.id]),
    ).toEqual([{ screen: 'Accounts' }]);
  });

  function door(device: TestDevice, handlers: MutationHandlers, handlerTimeoutMs?: number) {
    const app = createDoor({
      database: world.database,
      auth: { secret: TEST_SECRET },
      handlers,
      ...(handlerTimeoutMs === undefined ? {} : { handlerTimeoutMs }),
    });
    const whole = async (
      mutations: readonly WireMutation[],
      { client, ...over }: SendOptions = {},
    ): Promise<ApplyResponse> => {
      const answer = await app.request('/v1/apply', {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${await testToken(device.workspaceId, device.claims.sub)}`,
        },
        body: JSON.stringify({
          protocol: 1,
          client: { id: device.clientId, workspaceId: device.workspaceId, ...client },
          acknowledgedFloor: 0,
          mutations,
          ...over,
        }),
      });
      expect(answer.status).toBe(200);
      return (await answer.json()) as ApplyResponse;
    };
    const send = async (mutations: readonly WireMutation[], over?: SendOptions): Promise<readonly WireOutcome[]> =>
      (await whole(mutations, over)).outcomes;
    return Object.assign(send, { whole });
  }
});

interface SendOptions {
  readonly epoch?: string;
  readonly acknowledgedFloor?: number;
  readonly client?: Partial<ApplyRequest['client']>;
}

function custom(type: string, payload = {}): Partial<WireMutation> {
  return { type, ...change('custom', null, payload) };
}
