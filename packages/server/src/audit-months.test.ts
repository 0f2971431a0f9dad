import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { describeOnEachDatabase } from './testing-databases/test-databases.ts';
import { createDevice } from './testing-databases/test-device.ts';

describeOnEachDatabase((world) => {
  test('P5 · this month and the next three are there after migrating, and the default one is empty', async () => {
    expect(await auditReport()).toMatchObject({ month_count: 4, months_ahead: 3, misplaced_rows: 0 });
    expect(await ensure('now()')).toBe(0);
  });

  test('P5 · each change is in the month it was made in', async () => {
    const device = createDevice(world.database);
    await device.send([device.next()]);
    const rows = await world.database.query<{ place: string; month: string }>(
      `select tableoid::regclass::text as place, to_char(occurred_at at time zone 'UTC', 'YYYYMM') as month
       from holdfast.audit_log where workspace_id = $1`,
      [device.workspaceId],
    );
    expect(rows).toEqual([{ place: `holdfast.audit_log_${rows[0]?.month}`, month: rows[0]?.month }]);
  });

  test('P5 · what no month covers is kept all the same, seen by the watch, and moved when its month is made', async () => {
    const workspaceId = `workspace-${randomUUID()}`;
    await plant(workspaceId, '2031-05-31T23:59:59.999Z');
    await plant(workspaceId, '2031-06-01T00:00:00Z');
    expect(await auditReport()).toMatchObject({ misplaced_rows: 2 });

    // twice is as good as once
    expect(await ensure(`'2031-06-15Z'`, 0)).toBeGreaterThan(0);
    expect(await ensure(`'2031-06-15Z'`, 0)).toBe(0);
    expect(await auditReport()).toMatchObject({ misplaced_rows: 1 });
    await ensure(`'2031-05-15Z'`, 0);

    expect(await auditReport()).toMatchObject({ misplaced_rows: 0 });
    expect(
      await world.database.query(
        `select tableoid::regclass::text as place from holdfast.audit_log where workspace_id = $1 order by occurred_at`,
        [workspaceId],
      ),
    ).toEqual([{ place: 'holdfast.audit_log_203105' }, { place: 'holdfast.audit_log_203106' }]);
    await world.database.query('drop table holdfast.audit_log_203105, holdfast.audit_log_203106');
  });

  test('P5 · it moves also where a publication tells of all tables', async () => {
    const workspaceId = `workspace-${randomUUID()}`;
    await plant(workspaceId, '2032-05-31T23:59:59.999Z');
    await world.database.query('create publication holdfast_test_of_all for all tables');
    try {
      await ensure(`'2032-05-15Z'`, 0);
      expect(await auditReport()).toMatchObject({ misplaced_rows: 0 });
    } finally {
      await world.database.query('drop publication holdfast_test_of_all');
    }
    await world.database.query('drop table holdfast.audit_log_203205');
  });

  test('P5, P8 · readers of the feed hear up to which change it went, of whichever workspace that was', async () => {
    await ensure(`'2018-01-15Z'`, 0);
    for (const workspaceId of [null, `b-${randomUUID()}`, null, `c-${randomUUID()}`, `a-${randomUUID()}`])
      await plant(workspaceId, '2018-01-10T00:00:00Z');
    const [last] = await world.database.query('select max(id)::text as id from holdfast.audit_log_201801');
    await plant(`a-${randomUUID()}`, new Date().toISOString());

    await enforce('2018-06-01Z');

    expect(
      await world.database.query('select trimmed_id::text as id from holdfast.epochs order by place desc limit 1'),
    ).toEqual([last]);
  });

  test('P5 · a month is dropped once all of it is older than 90 days, and not a day before', async () => {
    const workspaceId = `workspace-${randomUUID()}`;
    await ensure(`'2020-01-15Z'`, 1);
    await plant(workspaceId, '2020-01-31T00:00:00Z');
    await plant(workspaceId, '2020-02-01T00:00:00Z');
    // 90 days after the first of February
    expect(await enforce('2020-04-30T23:59:59Z')).toEqual([]);
    expect(await enforce('2020-05-01T00:00:00Z')).toContain('audit_log_202001');
    expect(await countOf(workspaceId)).toBe(1);
    expect(await enforce('2020-05-31T00:00:00Z')).toContain('audit_log_202002');
    expect(await countOf(workspaceId)).toBe(0);
  });

  test('P5 · on legal hold nothing goes; with an archive asked for, nothing goes before it was read back', async () => {
    const workspaceId = `workspace-${randomUUID()}`;
    await ensure(`'2021-01-15Z'`, 0);
    await plant(workspaceId, '2021-01-10T00:00:00Z');
    const setRetention = (rest: string) =>
      world.database.query(`select holdfast.set_retention('audit_log', interval '90 days'${rest})`);

    await setRetention(', is_held => true');
    expect(await enforce('2021-09-01Z')).toEqual([]);
    await setRetention(', needs_archive => true');
    expect(await enforce('2021-09-01Z')).not.toContain('audit_log_202101');
    await expect(
      world.database.query(`select holdfast.finish_archive('audit_log_202101', 1, '\\x00', 'nowhere')`),
    ).rejects.toThrow('does not hold what the database does');
    await world.database.query(
      `select holdfast.finish_archive('audit_log_202101', 1,
         (select holdfast.archive_digest(to_jsonb(log.*)::text order by log.id) from holdfast.audit_log_202101 as log), 'a box')`,
    );
    expect(await enforce('2021-09-01Z')).toContain('audit_log_202101');
    await setRetention('');

    expect(
      await world.database.query(
        `select row_count::int, location, dropped_at is not null as dropped from holdfast.archives where partition_name = 'audit_log_202101'`,
      ),
    ).toEqual([{ row_count: 1, location: 'a box', dropped: true }]);
  });

  test('P5 · a month ends with the month of UTC, and its archive is found whole, whatever the time zone', async () => {
    const workspaceId = `workspace-${randomUUID()}`;
    await ensure(`'2021-03-15Z'`, 0);
    await plant(workspaceId, '2021-03-10T00:00:00Z');
    await world.database.transaction(async (session) => {
      const digest = `select holdfast.archive_digest(to_jsonb(log.*)::text order by log.id) as digest
                      from holdfast.audit_log_202103 as log`;
      await session.query(`set local timezone = 'UTC'`);
      const [written] = await session.query<{ digest: Uint8Array }>(digest);
      await session.query(`set local timezone = 'America/New_York'`);
      expect(
        await session.query(
          `select to_at = '2021-04-01Z' as is_end from holdfast.partitions('audit_log') where partition_name = 'audit_log_202103'`,
        ),
      ).toEqual([{ is_end: true }]);
      await session.query(`select holdfast.finish_archive('audit_log_202103', 1, $1, 'a box')`, [written?.digest]);
    });
  });

  test('P5 · what cannot be archived is refused when it is asked for, and the audit log goes on', async () => {
    await expect(
      world.database.query(`select holdfast.set_retention('audit_chain', interval '90 days', needs_archive => true)`),
    ).rejects.toThrow('"audit_chain" cannot be archived.');
    await world.database.query(`select holdfast.set_retention('audit_chain', interval '90 days')`);
  });

  async function auditReport() {
    const rows = await world.database.query<{ misplaced_rows: string }>(
      `select month_count, months_ahead, misplaced_rows from holdfast.partition_report() where table_name = 'audit_log'`,
    );
    return { ...rows[0], misplaced_rows: Number(rows[0]?.misplaced_rows) };
  }

  async function ensure(at: string, monthsAhead = 3): Promise<number | undefined> {
    const rows = await world.database.query<{ made: number }>(
      `select holdfast.ensure_partitions(${monthsAhead}, ${at}) as made`,
    );
    return rows[0]?.made;
  }

  /** What went of the audit log; other logs have a retention of their own. */
  async function enforce(at: string): Promise<readonly string[]> {
    const rows = await world.database.query<{ dropped: string[] }>('select holdfast.enforce_retention($1) as dropped', [
      at,
    ]);
    return (rows[0]?.dropped ?? []).filter((name) => name.startsWith('audit_log_'));
  }

  function plant(workspaceId: string | null, at: string) {
    return world.database.query(
      `insert into holdfast.audit_log (workspace_id, occurred_at, action, entity_type, entity_id, new_values)
       values ($1, $2, 'create', 'planted', 'x', '{}')`,
      [workspaceId, at],
    );
  }

  async function countOf(workspaceId: string): Promise<number | undefined> {
    const rows = await world.database.query<{ count: number }>(
      'select count(*)::int as count from holdfast.audit_log where workspace_id = $1',
      [workspaceId],
    );
    return rows[0]?.count;
  }
});
