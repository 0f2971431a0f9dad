import { expect, test } from 'vitest';
import type { Database } from './database.ts';
import { describeOnEachDatabase } from './testing-databases/test-databases.ts';
import { createDevice } from './testing-databases/test-device.ts';

describeOnEachDatabase((world) => {
  test('P12 · a dump that is put back into the same database begins a new epoch, once', async () => {
    const before = await epochOf(world.database);
    // what `pg_restore --clean` does with the table
    await world.database.transaction((session) =>
      session.runScript(`
        create table holdfast.restored (like holdfast.epochs including all);
        insert into holdfast.restored (epoch, incarnation, server_since, lies_at, reason, first_audit_id)
            select epoch, incarnation, server_since, lies_at, reason, first_audit_id from holdfast.epochs order by place;
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
});

/** As a caller is told it. */
async function epochOf(database: Database): Promise<string | undefined> {
  const [row] = await database.query<{ epoch: string }>('select holdfast.current_epoch()::text as epoch');
  return row?.epoch;
}
