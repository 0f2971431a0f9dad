import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Database } from './database.ts';
import { migrate } from './migrate.ts';
import { describeOnEachDatabase } from './testing-databases/test-databases.ts';
import { change, createDevice } from './testing-databases/test-device.ts';
import { TEST_TABLES } from './testing-databases/test-tables.ts';

describeOnEachDatabase((world) => {
  test('P12 · a dump that is put back into the same database begins a new epoch, once', async () => {
    const before = await epochOf(world.database);
    // what `pg_restore --clean` does with the table
    await world.database.transaction((session) =>
      session.runScript(`
        create table holdfast.restored (like holdfast.epochs including all);
        insert into holdfast.restored select * from holdfast.epochs;
        drop table holdfast.epochs;
        alter table holdfast.restored rename to epochs;
        alter table holdfast.epochs owner to holdfast_owner`),
    );

    const after = await epochOf(world.database);

    expect(after).not.toBe(before);
    expect(await epochOf(world.database)).toBe(after);
  });

  test('P12 · a table that only lies elsewhere, as after "vacuum full", is the same server, which is noted once', async () => {
    const noted = () =>
      world.database.query<{ lies_at: string }>('select lies_at, server_since from holdfast.epochs order by place');
    const before = await epochOf(world.database);
    await world.database.query('vacuum full holdfast.epochs');

    expect(await epochOf(world.database)).toBe(before);

    const after = await noted();
    expect(await epochOf(world.database)).toBe(before);
    expect(await noted()).toEqual(after);
    expect(await world.database.query(`select pg_relation_filepath('holdfast.epochs') as lies_at`)).toEqual([
      { lies_at: after.at(-1)?.lies_at },
    ]);
  });

  test('P12 · where the platform keeps its timeline to itself, changes are taken all the same, and a new epoch is begun by hand', async () => {
    await world.database.query('revoke execute on function pg_catalog.pg_control_system() from public');
    const device = createDevice(world.database);
    expect(await device.sendForKinds([device.next()])).toEqual(['applied']);
    const before = await epochOf(world.database);

    await world.database.query(`select holdfast.begin_epoch('put back')`);

    const after = await epochOf(world.database);
    expect(after).not.toBe(before);
    expect(await epochOf(world.database)).toBe(after);
    await world.database.query('grant execute on function pg_catalog.pg_control_system() to public');
  });

  test('P5, P12 · where the counters were left behind, as by logical replication, a new epoch goes on above what the log holds', async () => {
    const [database] = await world.openEmpty();
    if (database === undefined) throw new Error('There is no database.');
    await migrate(database);
    await database.transaction((session) => session.runScript(TEST_TABLES));
    const device = createDevice(database);
    const id = randomUUID();
    const entity = { table: 'accounts', id };
    const live = async (name: string) => [
      ...(await device.sendForKinds([device.next({ entity, payload: { name } })])),
      ...(await device.sendForKinds([device.next(change('delete', entity))])),
    ];
    for (const name of ['first', 'former']) expect(await live(name)).toEqual(['applied', 'applied']);
    await database.query('select holdfast.maintain()');

    await database.query(`select setval('holdfast.audit_log_ids', 1, false)`);
    await database.query(`select holdfast.begin_epoch('a copy took over')`);

    expect(await live('latest')).toEqual(['applied', 'applied']);
    const [restored] = await device.send([device.next(change('restore', entity))]);
    expect(restored).toMatchObject({ kind: 'applied', result: { name: 'latest' } });
    await database.query('select holdfast.maintain()');
    const [sealed] = await database.query(
      `select (select count(*) from holdfast.audit_log) = (select count(*) from holdfast.audit_chain) as all,
              (select count(*)::int from holdfast.verify_audit($1)) as problems`,
      [device.workspaceId],
    );
    expect(sealed).toEqual({ all: true, problems: 0 });
  });
});

/** As a caller is told it. */
async function epochOf(database: Database): Promise<string | undefined> {
  const [row] = await database.query<{ epoch: string }>('select holdfast.current_epoch()::text as epoch');
  return row?.epoch;
}
