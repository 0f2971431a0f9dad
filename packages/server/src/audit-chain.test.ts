import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { describeOnEachDatabase } from './testing-databases/test-databases.ts';
import { createDevice } from './testing-databases/test-device.ts';

interface Problem {
  readonly audit_id: string | null;
  readonly problem: string;
}

describeOnEachDatabase((world) => {
  test('P5 · an audit log that nobody touched verifies, however often and by how many it was sealed', async () => {
    const { workspaceId, ids } = await sealedWorkspace(7);
    const other = await sealedWorkspace(2);
    expect(await verify(workspaceId)).toEqual([]);
    expect(await verify(other.workspaceId)).toEqual([]);
    expect(await chainOf(workspaceId)).toEqual(ids.map((id, index) => [index + 1, id]));
    // several at once make no fork, and seal nothing twice
    await Promise.all([seal(), seal(3), seal(), world.database.query('select holdfast.maintain()')]);
    expect(await verify(workspaceId)).toEqual([]);
    expect((await chainOf(workspaceId)).length).toBe(7);
  });

  test('P5 · sealing goes on where it stopped, a few rows at a time', async () => {
    const device = createDevice(world.database);
    await device.send(Array.from({ length: 5 }, () => device.next()));
    let rounds = 0;
    while ((await seal(2)) > 0) {
      rounds += 1;
      if (rounds === 1) await device.send([device.next()]);
    }
    expect(rounds).toBeGreaterThan(2);
    expect((await chainOf(device.workspaceId)).length).toBe(6);
    expect(await verify(device.workspaceId)).toEqual([]);
  });

  test('P5 · numbers that were drawn for nothing, however many, hold no seal up', async () => {
    const workspaceId = `workspace-${randomUUID()}`;
    const plant = () =>
      world.database.query(
        `insert into holdfast.audit_log (workspace_id, action, entity_type, entity_id, new_values)
         select $1, 'create', 'planted', place::text, '{}' from generate_series(1, 3) as place`,
        [workspaceId],
      );
    while ((await seal()) > 0);
    await plant();
    await world.database.query(`select nextval('holdfast.audit_log_ids') from generate_series(1, 100)`);
    await plant();

    expect(await seal(4)).toBe(6);
    expect(await seal(4)).toBe(0);
    expect(await verify(workspaceId)).toEqual([]);
  });

  test.each([
    [
      'changed',
      `update holdfast.audit_log set actor = 'someone else' where id = $1`,
      'the row, or the chain at it, was changed',
    ],
    ['deleted', 'delete from holdfast.audit_log where id = $1', 'the row is missing'],
    [
      'given another number, as when two change places',
      'update holdfast.audit_log set id = -id where id = $1',
      'the row is missing',
    ],
    [
      'forged together with its link',
      `with forged as (update holdfast.audit_log set actor = 'x' where id = $1)
       update holdfast.audit_chain set hash = '\\x00' where audit_id = $1`,
      'the row, or the chain at it, was changed',
    ],
    [
      'doubled',
      'insert into holdfast.audit_log select * from holdfast.audit_log where id = $1',
      'the row is there twice',
    ],
    ['cut out of the chain', 'delete from holdfast.audit_chain where audit_id = $1', 'the row was put in later'],
  ])('P5 · a row that was %s is found, and named', async (_, statement, problem) => {
    const { workspaceId, ids } = await sealedWorkspace(5);
    const [, , victim] = ids;
    await world.database.query(statement, [victim]);
    expect(await verify(workspaceId)).toContainEqual({ audit_id: victim, problem });
  });

  test('P5 · a row put in with a number of the past, and an end that was cut off, are found', async () => {
    const { workspaceId, ids } = await sealedWorkspace(4);
    const other = await sealedWorkspace(1);
    await world.database.query(
      `insert into holdfast.audit_log (id, workspace_id, action, entity_type, new_values, transaction_id)
       values (0, $1, 'create', 'forged', '{}', '1')`,
      [workspaceId],
    );
    expect(await verify(workspaceId)).toEqual([{ audit_id: '0', problem: 'the row was put in later' }]);
    await world.database.query('delete from holdfast.audit_log where id = 0');
    await world.database.query('delete from holdfast.audit_chain where audit_id = $1', [ids[3]]);
    expect((await verify(workspaceId)).map(({ problem }) => problem)).toContain('the end of the chain was cut off');
    expect(await verify(other.workspaceId)).toEqual([]);
  });

  test('P5 · a chain that was written anew does not match the anchor that was kept elsewhere', async () => {
    const { workspaceId } = await sealedWorkspace(3);
    const [anchor] = await world.database.query<{ place: string; hash: Uint8Array }>(
      'select place, hash from holdfast.audit_heads where workspace_id = $1',
      [workspaceId],
    );
    const verifyAnchored = () =>
      world.database.query<Problem>('select problem from holdfast.verify_audit($1, $2, $3)', [
        workspaceId,
        anchor?.place,
        anchor?.hash,
      ]);
    expect(await verifyAnchored()).toEqual([]);
    // as its owner could: everything anew
    await world.database.transaction((session) =>
      session.runScript(`
        update holdfast.audit_log set actor = 'x' where workspace_id = '${workspaceId}';
        delete from holdfast.audit_chain where workspace_id = '${workspaceId}';
        delete from holdfast.audit_heads where workspace_id = '${workspaceId}';
        update holdfast.seal_state set cursor = null, sealed_id = 0;
        select holdfast.seal_audit(1000000);`),
    );
    expect(await verify(workspaceId)).toEqual([]);
    expect(await verifyAnchored()).toEqual([{ problem: 'the chain is not the one that was anchored' }]);
  });

  test('P5 · what goes with its month is no gap, and neither is a rewind of the server', async () => {
    const workspaceId = `workspace-${randomUUID()}`;
    await world.database.query(`select holdfast.ensure_partitions(0, '2019-03-15Z')`);
    await world.database.query(
      `insert into holdfast.audit_log (workspace_id, occurred_at, action, entity_type, entity_id, new_values)
       values ($1, '2019-03-10Z', 'create', 'planted', 'x', '{}'), ($1, now(), 'create', 'planted', 'y', '{}')`,
      [workspaceId],
    );
    await seal();
    await world.database.query(`select holdfast.enforce_retention('2019-09-01Z')`);
    expect(await verify(workspaceId)).toEqual([]);

    await world.database.query(
      `insert into holdfast.audit_log (workspace_id, action, entity_type, entity_id, new_values)
       values ($1, 'create', 'planted', 'before the rewind', '{}')`,
      [workspaceId],
    );
    await world.database.query(`select holdfast.begin_epoch('test')`);
    await world.database.query(
      `insert into holdfast.audit_log (workspace_id, action, entity_type, entity_id, new_values)
       values ($1, 'create', 'planted', 'after the rewind', '{}')`,
      [workspaceId],
    );
    await seal();
    await seal();
    expect((await chainOf(workspaceId)).length).toBe(4);
    expect(await verify(workspaceId)).toEqual([]);
  });

  test('P5 · it verifies in every time zone, and once the log has another column', async () => {
    const { workspaceId } = await sealedWorkspace(3);
    await world.database.transaction(async (session) => {
      for (const zone of ['Asia/Tokyo', 'America/New_York', 'UTC']) {
        await session.query(`select set_config('timezone', $1, true)`, [zone]);
        expect(await session.query('select problem from holdfast.verify_audit($1)', [workspaceId])).toEqual([]);
      }
    });
    const device = createDevice(world.database, { workspaceId });
    await device.send([device.next()]);
    await world.database.transaction((session) =>
      session.runScript(`set local timezone = 'Asia/Tokyo'; select holdfast.seal_audit()`),
    );
    expect((await chainOf(workspaceId)).length).toBe(4);
    expect(await verify(workspaceId)).toEqual([]);

    await world.database.query('alter table holdfast.audit_log add column later text');
    try {
      expect(await verify(workspaceId)).toEqual([]);
    } finally {
      await world.database.query('alter table holdfast.audit_log drop column later');
    }
  });

  test('P5 · one round seals all that has come since the last, however much that is', async () => {
    const workspaceId = `workspace-${randomUUID()}`;
    await world.database.query('select holdfast.maintain()');
    await world.database.query(
      `insert into holdfast.audit_log (workspace_id, action, entity_type, entity_id, new_values)
       select $1, 'create', 'planted', place::text, '{}' from generate_series(1, 20500) as place`,
      [workspaceId],
    );

    await world.database.query('select holdfast.maintain()');

    const [sealed] = await world.database.query<{ count: number }>(
      'select count(*)::int as count from holdfast.audit_chain where workspace_id = $1',
      [workspaceId],
    );
    expect(sealed?.count).toBe(20_500);
    expect(await verify(workspaceId)).toEqual([]);
  });

  test('P5 · every column of the log is sealed', async () => {
    expect(
      await world.database.query(
        `select attribute.attname from pg_attribute as attribute
         where attribute.attrelid = 'holdfast.audit_log'::regclass and attribute.attnum > 0 and not attribute.attisdropped
           and attribute.attname not in (select jsonb_object_keys(holdfast.audit_line(log)::jsonb)
                                         from (select (null::holdfast.audit_log).*) as log)`,
      ),
    ).toEqual([]);
  });

  async function sealedWorkspace(count: number) {
    const device = createDevice(world.database);
    await device.send(Array.from({ length: count }, () => device.next()));
    const rows = await world.database.query<{ id: string }>(
      'select id::text from holdfast.audit_log where workspace_id = $1 order by audit_log.id',
      [device.workspaceId],
    );
    // as a minute later: it is known by then that nothing is under way below the highest number
    await world.database.query(`update holdfast.feed_marks set marked_at = marked_at - interval '1 minute'`);
    await seal();
    return { workspaceId: device.workspaceId, ids: rows.map(({ id }) => id) };
  }

  async function seal(limit = 10_000): Promise<number> {
    const rows = await world.database.query<{ count: string }>('select holdfast.seal_audit($1) as count', [limit]);
    return Number(rows[0]?.count);
  }

  function verify(workspaceId: string) {
    return world.database.query<Problem>('select audit_id::text, problem from holdfast.verify_audit($1)', [
      workspaceId,
    ]);
  }

  async function chainOf(workspaceId: string) {
    const rows = await world.database.query<{ place: string; audit_id: string }>(
      'select place, audit_id::text from holdfast.audit_chain where workspace_id = $1 order by place',
      [workspaceId],
    );
    return rows.map(({ place, audit_id }) => [Number(place), audit_id]);
  }
});
