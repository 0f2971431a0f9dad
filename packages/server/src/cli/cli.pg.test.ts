import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type RealPostgres, startRealPostgres } from '../testing-databases/real-postgres.ts';
import { createDevice } from '../testing-databases/test-device.ts';
import { TEST_TABLES } from '../testing-databases/test-tables.ts';
import { openPg } from '../pg-database.ts';
import { examine, type Finding } from './examine.ts';
import { parseCommand, UsageError } from './parse-command.ts';

let server: RealPostgres;
beforeAll(async () => {
  server = await startRealPostgres({ isDurable: true });
});
afterAll(() => server.stop());

function holdfast(args: readonly string[], databaseUrl?: string) {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      '--conditions=@holdfast/source',
      join(import.meta.dirname, 'main.ts'),
      ...args,
    ],
    { encoding: 'utf8', env: { ...process.env, DATABASE_URL: databaseUrl ?? '' } },
  );
  return { stdout, stderr, status };
}

test('K3 · migrate brings a database up to date, a second time does nothing, and status and doctor say how it stands', async () => {
  const url = await server.createDatabase();
  expect(holdfast(['status'], url)).toMatchObject({ status: 3 });

  const first = holdfast(['migrate'], url);
  expect(first.stderr).toBe('');
  expect(first.stdout).toMatch(/^ran 0001_roles_claims_errors\.sql\n[^]*The database is up to date\.\n$/);
  expect(holdfast(['migrate', '--json'], url)).toMatchObject({ status: 0, stdout: '{\n  "applied": []\n}\n' });

  const status = holdfast(['status', '--json'], url);
  expect(status.status).toBe(0);
  expect(JSON.parse(status.stdout)).toMatchObject({
    migrations: { pending: [], unknown: [], edited: [] },
    counts: { clients: 0 },
  });
  // nothing is registered yet, and nobody has maintained it, which are warnings
  const doctor = holdfast(['doctor'], url);
  expect(doctor.stdout).toContain('ok      test insert');
  expect(doctor.stdout).toContain('0 problems, 2 warnings.');
  expect(doctor.status).toBe(0);

  const round = holdfast(['maintain'], url);
  expect(round.stdout).toMatch(/^Months made {4}0\nRows sealed {4}0\nRows trimmed {3}0\nMonths dropped none\n$/);
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-archive-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  expect(holdfast(['archive', '--folder', folder], url).stdout).toBe(
    'No month is to be archived.\nMonths dropped: none\n',
  );
  expect(holdfast(['doctor'], url).stdout).toMatch(/ok {6}maintenance +It was done within the last day\./);
});

test('K3 · doctor finds what was planted: grant, policy, audit, durability, months, an edited and an unknown migration', async () => {
  const url = await server.createDatabase();
  holdfast(['migrate'], url);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  onTestFinished(() => client.end());
  await client.query(TEST_TABLES);
  const find = (state: Finding['state']): readonly string[] => {
    const { stdout, status, stderr } = holdfast(['doctor', '--json'], url);
    expect(stderr).toBe('');
    const { findings } = JSON.parse(stdout) as { readonly findings: readonly Finding[] };
    expect(status).toBe(findings.some((finding) => finding.state === 'problem') ? 3 : 0);
    for (const { state: found, hint } of findings) expect(hint === null).toBe(found === 'ok');
    return findings.filter((finding) => finding.state === state).map(({ check, message }) => `${check}: ${message}`);
  };
  expect(find('problem')).toEqual([]);
  expect(find('warning')).toContain('table accounts: Its policies do not bind its owner.');

  await client.query(`
    revoke update on public.accounts from authenticated;
    drop policy by_workspace on public.lists;
    alter table public.notes disable row level security;
    select holdfast.disable_audit('public.calls');
    grant truncate on public.plans to authenticated;
    select set_config('plant.name', current_database(), false);
    do $$ begin execute format('alter database %I set synchronous_commit = off', current_database()); end $$;
    do $$ declare part record; begin
        for part in select partition_name from holdfast.partitions('audit_log') where from_at > now() loop
            execute format('drop table holdfast.%I', part.partition_name);
        end loop;
    end $$;
  `);
  expect(find('problem')).toEqual([
    'synchronous_commit: synchronous_commit is off: what was confirmed to a device is lost when the server crashes.',
    'table accounts: "authenticated" may not update.',
    'table lists: No policy is for "authenticated", so callers see nothing and change nothing.',
    'table notes: Row-level security is off: everybody reads and changes everything.',
    'partitions of audit_log: No month is made ahead.',
  ]);
  expect(find('warning')).toContain('table calls: Changes are not recorded: no history, no undo, no live updates.');
  expect(find('warning')).toContain(
    'table plans: May be emptied by authenticated: truncate goes past every policy, and is not recorded.',
  );
  expect(find('warning')).toContain('maintenance: It has never been done.');
  await client.query(`revoke execute on function pg_catalog.pg_control_system() from public`);
  expect(find('warning')).toContain(
    'rewind: Postgres does not say here which server it is: a restore or fail-over may pass unnoticed.',
  );
  await client.query(`update holdfast.settings set maintained_at = now() - interval '9 days'`);
  expect(find('problem')).toContain('maintenance: It was done 9 days ago.');

  await client.query(`update holdfast.migrations set sha256 = 'edited' where name like '0003%'`);
  expect(find('problem')).toContain('migrations: 0003_mutations.sql was edited after it ran.');
  await client.query(
    `insert into holdfast.migrations (set_name, name, sha256) values ('holdfast', '9999_from_the_future.sql', 'x')`,
  );
  expect(holdfast(['migrate'], url)).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('was edited after it ran on this database.') as unknown,
  });
  await client.query(`update holdfast.migrations set name = '0001_of_before.sql' where name like '0001%'`);
  expect(find('problem')).toContain(
    'migrations: The database was migrated with files that this version no longer has.',
  );
});

test('K3 · doctor finds what callers would be refused, and what is open to all: schema, columns, commands, handlers', async () => {
  const url = await server.createDatabase();
  holdfast(['migrate'], url);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  onTestFinished(() => client.end());
  await client.query(`
    create schema closed;
    create table closed.away (id uuid primary key, workspace_id text not null, name text);
    create table public.narrow (id uuid primary key, workspace_id text not null, name text, code text);
    create table public.readable (id uuid primary key, workspace_id text not null, name text);
    create table public.wide (id uuid primary key, workspace_id text not null, name text);
    do $$ declare named text; begin
        foreach named in array array['closed.away', 'public.narrow', 'public.readable', 'public.wide'] loop
            execute format('alter table %s enable row level security; alter table %s force row level security;', named, named);
            execute format('grant select, insert, update, delete on %s to authenticated', named);
        end loop;
    end $$;
    create policy w on closed.away to authenticated using (workspace_id = (select holdfast.workspace()));
    create policy w on public.narrow to authenticated using (workspace_id = (select holdfast.workspace()));
    create policy w on public.readable for select to authenticated using (workspace_id = (select holdfast.workspace()));
    create policy everyone on public.wide to authenticated using (true);
    revoke select, update on public.narrow from authenticated;
    grant select (id), update (name) on public.narrow to authenticated;
    select holdfast.register_table('closed.away', array['name']), holdfast.register_table('public.narrow', array['name', 'code']),
        holdfast.register_table('public.readable', array['name']), holdfast.register_table('public.wide', array['name']);
    create function public.shut(mutation jsonb) returns jsonb language sql as 'select null::jsonb';
    create function public.turned(mutation jsonb) returns jsonb language sql as 'select null::jsonb';
    select holdfast.register_handler('shut', 'public.shut(jsonb)'), holdfast.register_handler('turned', 'public.turned(jsonb)');
    revoke execute on function public.shut(jsonb) from public;
    alter function public.turned(jsonb) security definer;
  `);
  const { findings } = JSON.parse(holdfast(['doctor', '--json'], url).stdout) as {
    readonly findings: readonly Finding[];
  };
  const found = findings
    .filter(({ check, state }) => /^(table|handler)/.test(check) && state !== 'ok')
    .map(({ check, state, message }) => `${state} ${check}: ${message}`);
  expect(found).toEqual([
    'problem table away: "authenticated" may not use the schema closed.',
    'problem table narrow: "authenticated" may not select (workspace_id, name, code), update (code).',
    'warning table readable: No policy lets "authenticated" insert, update, delete.',
    'problem table wide: Open to every workspace by everyone: using (true).',
    'problem handler shut: "authenticated" may not execute shut(jsonb).',
    'problem handler turned: turned(jsonb) runs with the rights of its owner, so it is not called.',
  ]);
});

test('K3 · doctor finds a database that does not keep text as UTF8', async () => {
  const url = new URL(await server.createDatabase());
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  onTestFinished(() => client.end());
  await client.query(`create database of_bytes encoding 'SQL_ASCII' locale 'C' template template0`);
  url.pathname = '/of_bytes';
  const database = openPg({ connectionString: url.href });
  onTestFinished(() => database.close());

  const findings = await examine(database, () => Date.now());
  expect(findings.find(({ check }) => check === 'encoding')).toEqual({
    check: 'encoding',
    state: 'problem',
    message: 'Text is kept as SQL_ASCII: what people write in other letters is refused, or cannot be read back.',
    hint: `Make the database anew: create database your_database encoding 'UTF8' template template0;`,
  });
});

test('K3, P10 · the files for the Supabase CLI run as they are, and migrate then finds nothing to do', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-export-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  expect(holdfast(['migrate', '--export', folder]).status).toBe(0);
  const names = readdirSync(folder).toSorted();
  expect(names[0]).toBe('20260101000001_holdfast_roles_claims_errors.sql');

  const url = await server.createDatabase();
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  for (const name of names) await client.query(readFileSync(join(folder, name), 'utf8'));
  await client.end();

  expect(holdfast(['migrate', '--json'], url).stdout).toBe('{\n  "applied": []\n}\n');
});

test('K3 · export writes the logs of a workspace, or rows of a table, to a file that is whole or not there', async () => {
  const url = await server.createDatabase();
  holdfast(['migrate'], url);
  const database = openPg({ connectionString: url });
  onTestFinished(() => database.close());
  await database.transaction((session) => session.runScript(TEST_TABLES));
  const [device, other] = [createDevice(database, { workspaceId: 'w' }), createDevice(database)];
  await device.send([device.next({ payload: { name: '=1+1' } }), device.next({ payload: { beds: -1 } })]);
  await other.send([other.next()]);
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-export-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const day = (offset: number) => new Date(Date.now() + offset * 86_400_000).toISOString().slice(0, 10);

  const logs = holdfast(['export', '--workspace', 'w', '--from', day(-1), '--to', day(2)], url);
  expect(logs).toMatchObject({ status: 0, stderr: '' });
  expect(JSON.parse(logs.stdout)).toMatchObject({
    workspaceId: 'w',
    format: 'json',
    entries: [
      { log: 'audit', action: 'create', newValues: { name: '=1+1' } },
      { log: 'retry', outcome: 'failure' },
    ],
  });
  const file = join(folder, 'accounts.csv');
  expect(holdfast(['export', '--workspace', 'w', '--table', 'accounts', '--output', file], url)).toMatchObject({
    status: 0,
    stdout: `wrote ${file}\n`,
  });
  const rows = readFileSync(file, 'utf8').split('\n');
  expect([rows.length, rows[1]]).toEqual([3, expect.stringContaining(`"'=1+1"`)]);
  const missing = holdfast(
    ['export', '--workspace', 'w', '--table', 'none', '--output', join(folder, 'none.csv')],
    url,
  );
  expect(missing).toMatchObject({ status: 1, stderr: 'No table is registered as "none".\n' });
  expect(readdirSync(folder)).toEqual(['accounts.csv']);
});

test.each([
  [
    ['fly'],
    'There is no command "fly". Commands are dev, migrate, status, doctor, maintain, archive, export; see holdfast --help.',
  ],
  [['status'], 'Which database? Set DATABASE_URL, or give --database-url postgres://user:password@host:port/name.'],
  [
    ['status', '--database-url', 'mysql://x'],
    'The address of the database must begin with postgres:// or postgresql://.',
  ],
  [
    ['archive', '--database-url', 'postgres://x'],
    'Into which folder? Give --folder PATH; see holdfast archive --help.',
  ],
  [
    ['doctor', '--database-url', 'postgres://x', '--folder', 'y'],
    '--folder belongs to archive and dev, not to doctor.',
  ],
  [['dev', '--port', '70000'], '--port must be a number from 0 to 65535; it is "70000".'],
  [['status', '--sql', 'x'], '--sql belongs to dev, not to status.'],
  [
    ['export', '--database-url', 'postgres://x'],
    'Of which workspace? Give --workspace ID; see holdfast export --help.',
  ],
  [
    ['export', '--database-url', 'postgres://x', '--workspace', 'w'],
    'Which days? Give --from DAY and --to DAY, or --table NAME; see holdfast export --help.',
  ],
  [
    ['export', '--database-url', 'postgres://x', '--workspace', 'w', '--from', '2026-02-01', '--to', '2026-01-01'],
    '--to: must be later than --from.',
  ],
  [['export', '--database-url', 'postgres://x', '--workspace', 'w', '--table', 't', '--format', 'xml'], '--format: '],
  [
    ['export', '--database-url', 'postgres://x', '--workspace', 'w', '--table', 't', '--from', '2026-01-01'],
    'A table is exported as it is now: --from and --to are for the logs.',
  ],
  [['status', '--export', 'x'], '--export belongs to migrate, not to status.'],
  [['status', 'now'], '"now" is one word too many; see holdfast status --help.'],
  [['--colour'], `Unknown option '--colour'`],
])('K3 · %j is not understood, and says what would be', (args, message) => {
  const parse = (): unknown => parseCommand(args, {});
  expect(parse).toThrow(UsageError);
  expect(parse).toThrow(message);
});

test('K3 · help names the commands, their options and the exit codes; a database that is away is a failure in a sentence', () => {
  expect(holdfast(['--help']).stdout).toContain('holdfast doctor      what is wrong');
  expect(holdfast(['help', 'migrate']).stdout).toContain('--export FOLDER');
  expect(holdfast(['fly'])).toMatchObject({ status: 2, stdout: '' });
  const away = holdfast(['status'], 'postgres://nobody@127.0.0.1:9/none');
  expect(away).toMatchObject({ status: 1, stdout: '' });
  expect(away.stderr).toMatch(/^No connection to the database\..*\n$/);
});
