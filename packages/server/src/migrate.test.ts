import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readStatus } from './cli/read-status.ts';
import { renderStatus } from './cli/render.ts';
import { MigrationError, migrate } from './migrate.ts';
import { describeOnEachDatabase } from './testing-databases/test-databases.ts';

const SQL = fileURLToPath(new URL('../sql/', import.meta.url));

describeOnEachDatabase((world) => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-migrations-'));
    await cp(SQL, folder, { recursive: true });
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  test('P10 · migrating runs every file once, and a second time none', async () => {
    const [database] = await open();
    const names = (await readdir(SQL)).toSorted();
    expect(names.length).toBeGreaterThan(3);

    expect(await migrate(database)).toEqual({ applied: names });
    expect(await migrate(database)).toEqual({ applied: [] });
  });

  test('P10 · of servers starting at once, each file is run by one', async () => {
    const handles = await world.openEmpty(4);
    const reports = await Promise.all(handles.map((handle) => migrate(handle)));
    expect(reports.flatMap((report) => report.applied).toSorted()).toEqual((await readdir(SQL)).toSorted());
  });

  test('P10 · running the files again by hand changes nothing', async () => {
    const [database] = await open();
    await migrate(database);
    const before = await catalogue();
    for (const name of (await readdir(SQL)).toSorted()) {
      const sql = await readFile(join(SQL, name), 'utf8');
      await database.transaction((session) => session.runScript(sql));
    }
    expect(await catalogue()).toEqual(before);

    function catalogue() {
      return database.query(
        `select proname as name, proacl::text as rights from pg_proc where pronamespace = 'holdfast'::regnamespace
         union all select relname, relacl::text from pg_class where relnamespace = 'holdfast'::regnamespace
         union all select polname, null from pg_policy union all select conname, null from pg_constraint
         order by 1, 2`,
      );
    }
  });

  test('P10 · a file edited after it ran is refused; other line ends are no edit', async () => {
    const [database] = await open();
    await migrate(database, { folder });
    const file = join(folder, '0002_clients_and_ledger.sql');
    const sql = await readFile(file, 'utf8');

    await writeFile(file, sql.replaceAll('\n', '\r\n'));
    expect(await migrate(database, { folder })).toEqual({ applied: [] });
    await writeFile(file, `${sql}-- one more word\n`);
    await expect(migrate(database, { folder })).rejects.toThrow(
      '"0002_clients_and_ledger.sql" (holdfast) was edited after it ran on this database. Put the file back as it was, and bring the change as a new file.',
    );
  });

  test('P10 · a database newer than the code is refused', async () => {
    const [database] = await open();
    await writeFile(join(folder, '9999_from_the_future.sql'), 'select 1;');
    await migrate(database, { folder });

    await expect(migrate(database)).rejects.toThrow(
      'The database has "9999_from_the_future.sql" (holdfast), which this version does not know: it is newer. Update this server, or restore a backup made before that migration.',
    );
  });

  test('P10 · a database migrated with files that are gone is told to be made anew, and is left as it was', async () => {
    const [database] = await open();
    const former = await mkdtemp(join(tmpdir(), 'holdfast-former-'));
    await writeFile(join(former, '0001_schema_of_before.sql'), 'create table holdfast.of_before (id integer);');
    try {
      await migrate(database, { folder: former });

      const failure = migrate(database);
      await expect(failure).rejects.toBeInstanceOf(MigrationError);
      await expect(failure).rejects.toThrow(
        'The database was migrated with files (holdfast) that this version no longer has: its first is "0001_schema_of_before.sql", and not "0001_roles_claims_errors.sql". No way leads from those to these: make the database anew (drop it and create it; of an embedded one, delete the folder), and migrate that.',
      );
      expect(renderStatus(await readStatus(database))).toContain('the database has to be made anew');
      expect(await database.query(`select to_regclass('holdfast.clients')::text as clients`)).toEqual([
        { clients: null },
      ]);
    } finally {
      await rm(former, { recursive: true, force: true });
    }
  });

  test('P10 · a file that fails is rolled back whole, and runs once it is mended', async () => {
    const [database] = await open();
    const file = join(folder, '9009_mended.sql');
    await writeFile(file, 'create table public.half (id integer); select nonsense;');
    const failure = migrate(database, { folder });
    await expect(failure).rejects.toBeInstanceOf(MigrationError);
    await expect(failure).rejects.toThrow(
      '9009_mended.sql failed and was rolled back: column "nonsense" does not exist',
    );
    expect(await database.query(`select to_regclass('public.half')::text as half`)).toEqual([{ half: null }]);

    await writeFile(file, 'create table public.half (id integer);');
    expect(await migrate(database, { folder })).toEqual({ applied: ['9009_mended.sql'] });
  });

  test('P10 · an app keeps its own files, with its own numbering, beside those of Holdfast', async () => {
    const [database] = await open();
    await migrate(database);
    const own = await mkdtemp(join(tmpdir(), 'holdfast-app-'));
    await writeFile(join(own, '0001_things.sql'), 'create table public.things (id integer);');
    await writeFile(join(own, 'README.md'), 'not a migration');
    await writeFile(join(own, '._0001_things.sql'), 'what macOS keeps beside a file');
    try {
      expect(await migrate(database, { set: 'app', folder: own })).toEqual({ applied: ['0001_things.sql'] });
      expect(await migrate(database, { set: 'app', folder: own })).toEqual({ applied: [] });
      expect(await migrate(database)).toEqual({ applied: [] });
    } finally {
      await rm(own, { recursive: true, force: true });
    }
  });

  test.each(['001_things.sql', '0001-things.sql', 'things.sql', '0001_things.SQL'])(
    'P10 · %s, which no rule can put in order, is named, and nothing is run',
    async (name) => {
      const [database] = await open();
      await writeFile(join(folder, name), 'create table public.things (id integer);');
      const failure = migrate(database, { set: 'app', folder });
      await expect(failure).rejects.toBeInstanceOf(MigrationError);
      await expect(failure).rejects.toThrow(
        `Nothing was run: "${name}" is not called NNNN_what_it_does.sql (four digits, "_", then letters, digits and "_"). Rename it, or keep it in another folder.`,
      );
      expect(await database.query(`select to_regclass('holdfast.migrations')::text as migrations`)).toEqual([
        { migrations: null },
      ]);
    },
  );

  async function open() {
    const [database] = await world.openEmpty();
    if (database === undefined) throw new Error('no database');
    return [database] as const;
  }
});

test('P1 · no error of ours is in class 40, which a gateway might repeat without end', async () => {
  const offenders: string[] = [];
  for (const name of await readdir(SQL)) {
    const sql = await readFile(join(SQL, name), 'utf8');
    offenders.push(...(sql.match(/errcode = '40\w*|\('40\w{3}', '[A-Z_]+'/g) ?? []));
  }
  expect(offenders).toEqual([]);
});

test('P10 · before the first release each object is defined once, as it is in force', async () => {
  const places = new Map<string, string[]>();
  const changes: string[] = [];
  for (const name of await readdir(SQL)) {
    // what stands in a body is done when it is called, and not by the file
    const sql = (await readFile(join(SQL, name), 'utf8')).replaceAll(/\$(\w*)\$[^]*?\$\1\$/g, '');
    for (const [, kind, object] of sql.matchAll(
      /^create (?:or replace )?(aggregate|function|index|policy|sequence|table|trigger|view) (?:if not exists )?(?:holdfast\.)?(\w+)/gm,
    )) {
      places.set(`${kind} ${object}`, [...(places.get(`${kind} ${object}`) ?? []), name]);
    }
    changes.push(
      ...(sql.match(
        /^(?:drop (?:function|index|table)|alter (?:function|index)|alter table .* (?:add|drop|rename) ).*/gm,
      ) ?? []),
    );
  }
  expect(places.size).toBeGreaterThan(100);
  expect([...places].filter(([, names]) => names.length > 1)).toEqual([]);
  expect(changes).toEqual([]);
});
