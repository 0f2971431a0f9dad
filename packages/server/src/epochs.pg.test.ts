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
        create table holdfast.dumped as select * from holdfast.epochs;
        drop table holdfast.epochs;
        create table holdfast.epochs (
            place integer generated always as identity primary key, epoch uuid not null unique default gen_random_uuid(),
            incarnation text, reason text not null, first_audit_id bigint not null, trimmed_id bigint not null default 0,
            began_at timestamptz not null default now());
        alter table holdfast.epochs owner to holdfast_owner;
        insert into holdfast.epochs (epoch, incarnation, reason, first_audit_id)
            select epoch, incarnation, reason, first_audit_id from holdfast.dumped order by place;
        drop table holdfast.dumped`),
    );

    const after = await epochOf(world.database);

    expect(after).not.toBe(before);
    expect(await epochOf(world.database)).toBe(after);
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
