import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ERROR_CODES } from 'holdfast/protocol';
import { expect, test } from 'vitest';
import { DatabaseUnavailableError } from './database.ts';
import { openPg } from './pg-database.ts';
import { openPglite } from './pglite-database.ts';
import { describeOnEachDatabase, describeOnPostgres } from './testing-databases/test-databases.ts';

describeOnEachDatabase((world) => {
  test('P10 · a transaction whose work throws leaves nothing behind', async () => {
    await world.database.query('create table public.left_behind (id integer)');
    await expect(
      world.database.transaction(async (session) => {
        await session.query('insert into public.left_behind values (1)');
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect(await world.database.query('select * from public.left_behind')).toEqual([]);
  });

  test('P10 · transactions asked for at once all get their turn', async () => {
    const counts = await Promise.all(
      Array.from({ length: 30 }, (_, index) =>
        world.database.transaction((session) => session.query<{ n: number }>('select $1::int as n', [index])),
      ),
    );
    expect(counts.map((rows) => rows[0]?.n)).toEqual(Array.from({ length: 30 }, (_, index) => index));
  });

  test('P10 · an error keeps its code, hint and constraint', async () => {
    await expect(
      world.database.query(`select holdfast.refuse('ROW_NOT_FOUND', 'no row', 'a hint')`),
    ).rejects.toMatchObject({
      code: 'HF034',
      message: 'no row',
      hint: 'a hint',
      detail: 'ROW_NOT_FOUND',
    });
  });

  test('R1 · the errors of the database are those of the protocol', async () => {
    const rows = await world.database.query<{ code: string; category: string }>(
      'select code, category from holdfast.known_errors()',
    );
    expect(rows.length).toBeGreaterThan(10);
    expect(Object.fromEntries(rows.map((row) => [row.code, row.category]))).toEqual(
      Object.fromEntries(rows.map((row) => [row.code, ERROR_CODES[row.code as keyof typeof ERROR_CODES]])),
    );
  });
});

describeOnPostgres((world) => {
  test('P9 · a connection cut in the middle counts as the database being away, and the next one works', async () => {
    const cut = world.database.transaction((session) => session.query('select pg_terminate_backend(pg_backend_pid())'));
    await expect(cut).rejects.toBeInstanceOf(DatabaseUnavailableError);
    expect(await world.database.query('select 1 as one')).toEqual([{ one: 1 }]);
  });
});

test('P9 · a server that is not there counts as the database being away', async () => {
  const database = openPg({ connectionString: 'postgres://nobody@127.0.0.1:1/none' });
  await expect(database.query('select 1')).rejects.toBeInstanceOf(DatabaseUnavailableError);
  await database.close();
});

test('P10 · the embedded database keeps its folder, and what is in it survives a restart', async () => {
  const parent = await mkdtemp(join(tmpdir(), 'holdfast-pglite-'));
  try {
    const folder = join(parent, 'not', 'there', 'yet');
    const first = await openPglite({ folder });
    await first.query('create table kept as select 42 as answer');
    await first.close();
    const second = await openPglite({ folder });
    expect(await second.query('select answer from kept')).toEqual([{ answer: 42 }]);
    await second.close();
    await expect(second.query('select 1')).rejects.toBeInstanceOf(DatabaseUnavailableError);
  } finally {
    await rm(parent, { recursive: true, force: true });
  }
});

test('P10 · a data folder in use by a living process is refused; one left by a dead process is taken over', async () => {
  const parent = await mkdtemp(join(tmpdir(), 'holdfast-pglite-'));
  try {
    const folder = join(parent, 'data');
    // the process that runs this one is alive
    await writeFile(`${folder}.lock`, String(process.ppid));
    await expect(openPglite({ folder })).rejects.toThrow(
      `The data folder ${folder} is used by another process (${process.ppid}). Stop that one, or choose another folder.`,
    );
    const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
    await once(child, 'exit');
    await writeFile(`${folder}.lock`, String(child.pid));
    await (await openPglite({ folder })).close();
  } finally {
    await rm(parent, { recursive: true, force: true });
  }
});

test('P10 · a data folder that cannot be written gets one clear sentence', async () => {
  const parent = await mkdtemp(join(tmpdir(), 'holdfast-pglite-'));
  try {
    const file = join(parent, 'a-file');
    await writeFile(file, '');
    await expect(openPglite({ folder: join(file, 'data') })).rejects.toThrow(
      `The data folder ${join(file, 'data')} cannot be written. Choose another folder, or change who may write to this one.`,
    );
  } finally {
    await rm(parent, { recursive: true, force: true });
  }
});
