import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { type CallerClaims, withCaller } from './caller.ts';
import { describeOnEachDatabase } from './testing-databases/test-databases.ts';
import { applyBatch, change, createDevice, type TestDevice } from './testing-databases/test-device.ts';

describeOnEachDatabase((world) => {
  test('P6 · each attempt that failed is in the retry log, and the one that then succeeded', async () => {
    await world.database.query(`insert into public.fault_states values ('55P03') on conflict do nothing`);
    const device = createDevice(world.database);
    const busy = device.next(change('create', { table: 'fault', id: randomUUID() }, { state: '55P03' }));
    await device.send([busy, device.next()]);
    await device.send([{ ...busy, attempt: 2 }]);
    await world.database.query(`delete from public.fault_states`);
    await device.send([{ ...busy, attempt: 3 }]);
    // told again, since the answer was lost: no attempt of its own
    await device.send([{ ...busy, attempt: 3 }]);

    const rows = await asCaller(device, RETRIES);
    expect(rows).toMatchObject([
      {
        mutation_id: busy.id,
        attempt_number: 1,
        outcome: 'failure',
        error_code: '55P03',
        error_category: 'SERVER_ERROR',
      },
      { mutation_id: busy.id, attempt_number: 2, outcome: 'failure' },
      { mutation_id: busy.id, attempt_number: 3, outcome: 'success', error_code: null },
      { mutation_id: busy.id, attempt_number: 3, outcome: 'success' },
    ]);
    expect(await asCaller(device, `${QUEUE_OF} where id = $1`, [busy.id])).toMatchObject([
      { type: 'account.change', status: 'completed', retry_count: 2, verdict: 'applied' },
    ]);
  });

  test('P13 · the queue shows its owner what failed, why, and with what; a retry by a person completes it', async () => {
    const device = createDevice(world.database);
    const bad = device.next({ payload: { name: 'too big', beds: 5000 }, createdAt: '2026-02-03T04:05:06.789Z' });
    await device.send([bad]);
    expect(await asCaller(device, QUEUE)).toMatchObject([
      {
        id: bad.id,
        status: 'failed',
        payload: { name: 'too big', beds: 5000 },
        error_code: '23514',
        created_at: new Date('2026-02-03T04:05:06.789Z'),
        verdict: 'rejected',
      },
    ]);
    await world.database.query('alter table public.accounts drop constraint accounts_beds_sane');
    const [again] = await device.send([device.next({ ...bad, seq: 2, generation: 1 })]);
    await world.database.query(
      'alter table public.accounts add constraint accounts_beds_sane check (beds between 0 and 1000) not valid',
    );
    expect(again).toMatchObject({ kind: 'applied' });
    expect(await asCaller(device, QUEUE)).toMatchObject([{ id: bad.id, status: 'completed', verdict: 'applied' }]);
  });

  test('P13, P6 · only an admin of the workspace sees what is others, and deletes; which is logged with its reason', async () => {
    const device = createDevice(world.database);
    const bad = device.next({ payload: { beds: -1 } });
    await device.send([bad]);
    const colleague = createDevice(world.database, { workspaceId: device.workspaceId });
    const admin: CallerClaims = { ...colleague.claims, app_metadata: { holdfast_role: 'admin' } };
    const stranger = createDevice(world.database);
    const REMOVE = 'delete from holdfast.mutation_queue where id = $1 returning id';

    expect(await asCaller(colleague, QUEUE)).toEqual([]);
    expect(await asCaller(device, REMOVE, [bad.id])).toEqual([]);
    expect(await asCaller({ claims: { ...stranger.claims, holdfast_role: 'admin' } }, QUEUE)).toEqual([]);
    // what users may set themselves makes nobody an admin
    expect(
      await asCaller({ claims: { ...colleague.claims, user_metadata: { holdfast_role: 'admin' } } }, QUEUE),
    ).toEqual([]);
    expect(await asCaller({ claims: admin }, QUEUE)).toMatchObject([{ id: bad.id }]);
    await withCaller(world.database, admin, async (session) => {
      await session.query(`select set_config('holdfast.reason', 'asked for by phone', true)`);
      expect(await session.query(REMOVE, [bad.id])).toEqual([{ id: bad.id }]);
      expect(await session.query(QUEUE)).toEqual([]);
      await session.query(`select holdfast.log_admin_action('pause', null, '{"lane": "x"}', 'maintenance')`);
    });

    expect(await asCaller(device, ACTIONS)).toEqual([]);
    expect(await asCaller({ claims: admin }, ACTIONS)).toMatchObject([
      {
        action: 'delete',
        mutation_id: bad.id,
        admin: admin.sub,
        reason: 'asked for by phone',
        details: { status: 'failed' },
      },
      { action: 'pause', mutation_id: null, details: { lane: 'x' }, reason: 'maintenance' },
    ]);
    await expect(asCaller(device, `select holdfast.log_admin_action('pause')`)).rejects.toMatchObject({
      code: '42501',
    });
  });

  test('P13 · what went through at once is in the queue too, with when it was made, for its owner and for admins', async () => {
    const device = createDevice(world.database);
    const colleague = createDevice(world.database, { workspaceId: device.workspaceId });
    const good = device.next({ id: `019c2089-0000-7abc-8000-${randomUUID().slice(-12)}` });
    const bad = device.next({ payload: { name: 'none', beds: -1 } });
    await device.send([good, bad]);
    await colleague.send([colleague.next()]);
    await world.database.query(`update holdfast.mutation_reports set updated_at = now() - interval '31 days'`);
    await world.database.query('select holdfast.maintain()');

    const [row] = await world.database.query<{ settled_at: Date }>(
      'select settled_at from holdfast.ledger where mutation_id = $1',
      [good.id],
    );
    const mine = await asCaller(device, `${QUEUE_OF} order by status`);
    expect(mine).toMatchObject([
      { id: good.id, status: 'completed', retry_count: 0, created_at: new Date(0x19c_2089_0000), verdict: 'applied' },
      { id: bad.id, status: 'failed', error_code: '23514', verdict: 'rejected' },
    ]);
    expect(mine[0]).toMatchObject({ updated_at: row?.settled_at, type: null, payload: null });
    expect(await asCaller(colleague, QUEUE)).toHaveLength(1);
    const admin = { claims: { ...colleague.claims, app_metadata: { holdfast_role: 'admin' } } };
    expect(await asCaller(admin, QUEUE)).toHaveLength(3);
    expect(await asCaller(createDevice(world.database), QUEUE)).toEqual([]);

    // a person has it tried again
    await device.send([device.next({ ...bad, seq: 3, generation: 1 })]);
    expect(await asCaller(device, `${QUEUE_OF} where id = $1`, [bad.id])).toMatchObject([
      { status: 'failed', type: 'account.change', payload: { name: 'none', beds: -1 } },
    ]);
  });

  test('P13 · what waits on a device is in the queue as that has said last, until it is settled', async () => {
    const device = createDevice(world.database);
    const [first, second, third] = [device.next(), device.next(), device.next({ payload: { beds: -1 } })];
    const told = ({ id, seq, type }: typeof first) => ({ id, seq, type, createdAt: '2026-02-03T04:05:06.789Z' });
    const report = (waiting: unknown) => ({ id: randomUUID(), queue: { pending: 3, waiting }, types: [] });
    const nonsense = [
      7,
      null,
      {},
      { ...told(first), id: 'x' },
      { ...told(first), seq: 0 },
      { ...told(first), createdAt: 'x' },
    ];
    await sendReport(device, report([...nonsense, told(first), told(second), told(third)]));
    const pending = { status: 'pending', type: 'account.change', payload: null, retry_count: 0, verdict: null };
    const byNumber = `${QUEUE_OF} order by updated_at, array_position($1, id)`;
    const standing = () => asCaller(device, byNumber, [[first.id, second.id, third.id]]);
    expect(await standing()).toMatchObject([
      { ...pending, id: first.id, created_at: new Date('2026-02-03T04:05:06.789Z') },
      { ...pending, id: second.id },
      { ...pending, id: third.id },
    ]);

    await device.send([first, third]);
    expect(await asCaller(device, `${QUEUE_OF} where status = 'pending'`)).toMatchObject([{ id: second.id }]);
    expect(await asCaller(device, `${QUEUE_OF} where id = $1`, [first.id])).toMatchObject([{ status: 'completed' }]);
    expect(await asCaller(device, `${QUEUE_OF} where id = $1`, [third.id])).toMatchObject([{ status: 'failed' }]);
    // taken back on the device, so that its floor passes it
    await device.send([], 3);
    expect(await asCaller(device, `${QUEUE_OF} where status = 'pending'`)).toEqual([]);
    await sendReport(device, report('none'));
    await sendReport(device, report(Array.from({ length: 500 }, () => told(device.next()))));
    expect(await asCaller(device, `${QUEUE_OF} where status = 'pending'`)).toHaveLength(20);
  });

  test('P13 · an admin deletes also what went through and what waits, and it takes effect no second time', async () => {
    const device = createDevice(world.database);
    const [good, waiting] = [device.next(), device.next()];
    await device.send([good]);
    const told = { id: waiting.id, seq: waiting.seq, type: waiting.type, createdAt: '2026-02-03T04:05:06.789Z' };
    const report = () => ({ id: randomUUID(), queue: { pending: 1, waiting: [told] }, types: [] });
    await sendReport(device, report());
    const REMOVE = 'delete from holdfast.mutation_queue returning id';
    expect(await asCaller(device, REMOVE)).toEqual([]);
    const admin = { claims: { ...device.claims, app_metadata: { holdfast_role: 'admin' } } };

    expect(await asCaller(admin, REMOVE)).toHaveLength(2);
    expect(await asCaller(admin, QUEUE)).toEqual([]);
    expect(await asCaller(admin, `${ACTIONS_OF} order by mutation_id`)).toMatchObject(
      [good.id, waiting.id].toSorted().map((id) => ({ action: 'delete', mutation_id: id })),
    );
    expect(await device.sendForKinds([good])).toEqual(['duplicate applied']);
    await world.database.query('select holdfast.maintain()');
    expect(await asCaller(admin, QUEUE)).toEqual([]);
    // its device has it still
    await sendReport(device, report());
    expect(await asCaller(admin, QUEUE)).toMatchObject([{ id: waiting.id, status: 'pending' }]);
  });

  test('P6 · where in the app a mutation was made is kept, once it is settled', async () => {
    const device = createDevice(world.database);
    const mutation = device.next({ source: { screen: 'Accounts', action: 'save', userFlow: 'onboarding' } });
    await device.send([mutation, device.next()]);
    await device.send([mutation]);
    expect(await asCaller(device, 'select * from holdfast.mutation_sources')).toMatchObject([
      {
        mutation_id: mutation.id,
        screen: 'Accounts',
        action: 'save',
        component: null,
        user_flow: 'onboarding',
        outcome: 'applied',
      },
    ]);
  });

  test('P6 · what a device counted is added to the figures of its user, and a report sent twice only once', async () => {
    const device = createDevice(world.database);
    const report = (id: string, completed: number) => ({
      id,
      queue: { pending: 3, failed: 1, oldestAt: '2026-02-03T04:05:06.789Z' },
      types: [
        {
          type: 'account.change',
          completed,
          failed: 1,
          cancelled: 2,
          retries: 4,
          processingMsTotal: 500,
          processingMsMax: 90,
        },
      ],
    });
    const first = randomUUID();
    await sendReport(device, report(first, 10));
    await sendReport(device, report(first, 10));
    await sendReport(device, report(randomUUID(), 1));

    expect(await asCaller(device, METRICS)).toMatchObject([
      { type: 'account.change', completed: 11, failed: 2, cancelled: 4, retries: 8, total: 1000, max: 90 },
    ]);
    expect(await asCaller(device, 'select pending_count::int, oldest_at from holdfast.client_reports')).toEqual([
      { pending_count: 3, oldest_at: new Date('2026-02-03T04:05:06.789Z') },
    ]);
  });

  test('P6 · what a person did on a device is in the log of acts once, and the attempts it forced say who forced them', async () => {
    const device = createDevice(world.database);
    const bad = device.next({ payload: { beds: 5_000 } });
    await device.send([bad]);
    const act = (kind: string, ids: readonly unknown[], more: object = {}) => ({
      key: `${randomUUID()}/${String(ids[0])}`,
      kind,
      actor: 'bob',
      reason: 'asked for by phone',
      at: '2026-02-03T04:05:06.789Z',
      ids,
      touchedCount: ids.length,
      ...more,
    });
    const forced = act('forceRetry', [bad.id]);
    const discarded = act('discard', [randomUUID(), randomUUID()], { actor: device.claims.sub, reason: null });
    const report = (acts: readonly unknown[]) => ({ id: randomUUID(), queue: {}, types: [], acts });

    // also to a server that was rewound, which looks at no mutation yet
    await sendWhole(device, [], { telemetry: report([forced]), epoch: randomUUID() });
    await sendReport(device, report([forced]), [device.next({ ...bad, seq: 2, generation: 1 })]);
    await sendReport(device, report([forced, discarded, act('export', ['q/1'])]));

    const admin = { claims: { ...device.claims, app_metadata: { holdfast_role: 'admin' } } };
    expect(await asCaller(device, ACTIONS)).toEqual([]);
    expect(await asCaller(admin, ACTIONS)).toMatchObject([
      {
        action: 'forceRetry',
        admin: device.claims.sub,
        mutation_id: bad.id,
        reason: 'asked for by phone',
        details: { actor: 'bob', clientId: device.clientId, touchedCount: 1 },
      },
      { action: 'discard', mutation_id: discarded.ids[0], details: { actor: device.claims.sub }, reason: null },
      { action: 'discard', mutation_id: discarded.ids[1] },
      { action: 'export', mutation_id: null },
    ]);
    expect(await asCaller(device, RETRIES)).toMatchObject([
      { generation: 0, admin: null },
      { generation: 1, outcome: 'failure', admin: 'bob' },
    ]);
  });

  test.each([
    ['text', 'nonsense'],
    [
      'acts that are none',
      { id: randomUUID(), acts: [7, null, {}, { kind: 'x', key: '' }, { kind: {}, key: [], ids: 'none', at: 7 }] },
    ],
    [
      'an act of others',
      {
        id: randomUUID(),
        acts: [{ kind: 'discard', key: 'x', actor: { a: 1 }, reason: 'x'.repeat(9_000), ids: [null, 'y'] }],
      },
    ],
    [
      'numbers that are none',
      {
        id: randomUUID(),
        queue: { pending: -1, failed: 1e300, oldestAt: 'x' },
        types: [{ type: 'a', completed: 1e300 }],
      },
    ],
    ['no types', { id: randomUUID(), types: 'none' }],
    ['types without a name', { id: randomUUID(), types: [{ type: null }, { type: '' }, 7, null] }],
    ['a moment that is none', { id: randomUUID(), queue: { oldestAt: '2026-02-31T00:00:00Z' } }],
    [
      'an endless list',
      { id: randomUUID(), types: Array.from({ length: 1000 }, (_, index) => ({ type: `t${index}`, completed: 1 })) },
    ],
  ])('P6 · a report of %s costs no mutation', async (_, telemetry) => {
    const device = createDevice(world.database);
    const mutation = { ...device.next({ createdAt: 'long ago', source: { screen: 'x'.repeat(500) } }), attempt: 1e300 };
    expect(await sendReport(device, telemetry, [mutation])).toMatchObject([{ kind: 'applied' }]);
    expect(await asCaller(device, 'select 1 from holdfast.mutation_sources')).toHaveLength(1);
    const [count] = await world.database.query<{ count: number }>(
      'select count(*)::int as count from holdfast.user_mutation_metrics where actor = $1',
      [device.claims.sub],
    );
    expect(count?.count).toBeLessThanOrEqual(200);
  });

  test('P6 · notes are taken of no one else, and of no batch that was not begun', async () => {
    const [mine, theirs] = [createDevice(world.database), createDevice(world.database)];
    await theirs.send([theirs.next()]);
    const batch = { client: { id: theirs.clientId }, mutations: [], telemetry: { id: randomUUID() } };
    await expect(asCaller(mine, `select holdfast.take_notes($1, '[]')`, [JSON.stringify(batch)])).rejects.toMatchObject(
      { code: 'HF011' },
    );
  });

  test('P6 · the daily round drops logs that are old, by the month, and reports and figures by the row', async () => {
    const device = createDevice(world.database);
    await world.database.query(`select holdfast.ensure_partitions(0, '2018-03-15Z')`);
    await world.database.query(
      `insert into holdfast.mutation_sources (workspace_id, actor, mutation_id, type, outcome, occurred_at)
       values ($1, $2, gen_random_uuid(), 'x', 'applied', '2018-03-10Z')`,
      [device.workspaceId, device.claims.sub],
    );
    await world.database.query(
      `insert into holdfast.user_mutation_metrics (workspace_id, actor, day, type) values ($1, $2, '2018-03-10', 'x')`,
      [device.workspaceId, device.claims.sub],
    );
    await device.send([device.next({ payload: { beds: -1 } })]);
    await world.database.query(`update holdfast.settings set looked_at = now() - interval '1 day'`);
    const [done] = await world.database.query<{ done: { monthsDropped: string[] } }>(
      'select holdfast.maintain() as done',
    );
    expect(done?.done.monthsDropped).toContain('mutation_sources_201803');
    expect(await asCaller(device, METRICS)).toEqual([]);
    expect(await asCaller(device, QUEUE)).toHaveLength(1);
    await world.database.query(`update holdfast.mutation_reports set updated_at = now() - interval '31 days'`);
    await world.database.query('select holdfast.maintain()');
    // what the ledger knows of it is still there
    expect(await asCaller(device, QUEUE)).toMatchObject([{ status: 'failed', type: null, payload: null }]);
  });

  test('P12 · a client of before a rewind is told so: nothing of it is carried out, and its floor is not believed', async () => {
    const device = createDevice(world.database);
    const { epoch } = await sendWhole(device, [device.next()]);
    expect(epoch).toMatch(/^[0-9a-f-]{36}$/);
    await world.database.query(`select holdfast.begin_epoch('test')`);
    const [first, second] = [device.next(), device.next()];
    const late = await sendWhole(device, [first, second], { epoch, acknowledgedFloor: 99 });
    expect(late.epoch).not.toBe(epoch);
    expect(late.outcomes).toEqual([first, second].map(({ seq, id }) => ({ seq, id, kind: 'deferred' })));

    const known = await sendWhole(device, [first, second], { epoch: late.epoch });
    expect(known.outcomes.map(({ kind }) => kind)).toEqual(['applied', 'applied']);
    // nor is anyone told anything for whom it is not
    const stranger = createDevice(world.database, { clientId: device.clientId });
    await expect(sendWhole(stranger, [], { epoch })).rejects.toMatchObject({ code: 'HF011' });
  });

  const QUEUE_OF = 'select * from holdfast.mutation_queue';
  const QUEUE = `${QUEUE_OF} order by updated_at`;
  const RETRIES = 'select * from holdfast.mutation_retry_logs order by id';
  const ACTIONS_OF = 'select * from holdfast.admin_action_logs';
  const ACTIONS = `${ACTIONS_OF} order by id`;
  const METRICS = `select type, completed_count::int as completed, failed_count::int as failed, cancelled_count::int as cancelled,
    retry_count::int as retries, processing_ms_total::int as total, processing_ms_max::int as max
    from holdfast.user_mutation_metrics`;

  function asCaller({ claims }: Pick<TestDevice, 'claims'>, sql: string, parameters?: readonly unknown[]) {
    return withCaller(world.database, claims, (session) => session.query(sql, parameters));
  }

  async function sendReport(device: TestDevice, telemetry: unknown, mutations: readonly unknown[] = []) {
    return (await sendWhole(device, mutations, { telemetry })).outcomes;
  }

  function sendWhole(device: TestDevice, mutations: readonly unknown[], more: object = {}) {
    return applyBatch(world.database, device.claims, {
      protocol: 1,
      client: { id: device.clientId, workspaceId: device.workspaceId },
      acknowledgedFloor: 0,
      mutations,
      ...more,
    });
  }
});
