import { expect, test } from 'vitest';
import { maintain } from './maintenance.ts';
import { migrate } from './migrate.ts';
import { openPg } from './pg-database.ts';
import { startRealPostgres } from './testing-databases/real-postgres.ts';
import { TEST_TABLES } from './testing-databases/test-tables.ts';
import { createDevice } from './testing-databases/test-device.ts';

test('P10 · an owner of the database who may create roles, and is no superuser, can migrate, register, serve and maintain', async () => {
  const server = await startRealPostgres();
  const connectionString = await server.createDatabase();
  const superuser = openPg({ connectionString });
  const address = new URL(connectionString);
  await superuser.query(`create role app login createrole password 'app'`);
  await superuser.query(`alter database ${address.pathname.slice(1)} owner to app`);
  await superuser.close();
  address.username = 'app';
  address.password = 'app';
  const database = openPg({ connectionString: address.href });
  try {
    await migrate(database);
    expect(await migrate(database)).toEqual({ applied: [] });
    // as docs/server.md says
    await database.query('grant authenticated to app');
    await database.transaction((session) => session.runScript(TEST_TABLES));
    const device = createDevice(database);
    expect(await device.sendForKinds([device.next()])).toEqual(['applied']);
    expect(await maintain(database)).toMatchObject({ monthsMade: 0, auditRowsSealed: 1 });
    await database.query('select holdfast.maintain_if_due()');
  } finally {
    await database.close();
    await server.stop();
  }
});
