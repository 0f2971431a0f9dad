import { randomUUID } from 'node:crypto';
import type { WireMutation, WireOutcome } from 'holdfast/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseApplyRequest, toBatchText } from './apply-request.ts';
import { withCaller } from './caller.ts';
import type { Database } from './database.ts';
import { migrate } from './migrate.ts';
import { openPg } from './pg-database.ts';
import { randomFrom } from './testing-databases/random-from.ts';
import { type RealPostgres, startRealPostgres } from './testing-databases/real-postgres.ts';
import { TEST_TABLES } from './testing-databases/test-tables.ts';
import { change, createDevice, kindOf, type TestDevice } from './testing-databases/test-device.ts';

/** The issue asks for 10,000; `HOSTILE_COUNT=10000` brings them. */
const NAME_COUNT = Number(process.env['HOSTILE_COUNT'] ?? 1_000);
const BATCH_COUNT = 40;
const CANARY = 'canary-8f2d';

const TABLES = `
  create table public.labels (id text primary key, workspace_id text not null, title text not null);
  alter table public.labels enable row level security;
  create policy by_workspace on public.labels to authenticated
      using (workspace_id = (select holdfast.workspace())) with check (workspace_id = (select holdfast.workspace()));
  grant select, insert, update, delete on public.labels to authenticated;
  select holdfast.register_table('public.labels', array['title']);
`;

let server: RealPostgres;
let database: Database;

beforeAll(async () => {
  // what a server logs by default, and a little more
  server = await startRealPostgres({ settings: ['log_min_messages=info', 'log_error_verbosity=verbose'] });
  database = openPg({ connectionString: await server.createDatabase() });
  await migrate(database);
  await database.transaction((session) => session.runScript(TEST_TABLES + TABLES));
});
afterAll(async () => {
  await database.close();
  await server.stop();
});

test('P4 · hostile names as tables, columns, ids, types and values are refused, or stored letter for letter', async () => {
  const device = createDevice(database);
  const before = await catalogue();
  const names = hostileNames(NAME_COUNT);
  const counts = new Map<string, number>();
  const stored = new Map<string, string>();

  let batch: { readonly mutation: WireMutation; readonly expected: readonly string[] }[] = [];
  for (const [index, name] of names.entries()) {
    const label = { table: 'labels', id: name };
    const other = { table: 'labels', id: randomUUID() };
    const turn = index % 4;
    if (turn === 0) {
      batch.push({
        mutation: device.next(change('create', label, { title: name })),
        expected: ['applied', 'rejected INVALID_PAYLOAD'],
      });
      if (isPlain(name)) stored.set(name, name);
    } else if (turn === 1) {
      batch.push({
        mutation: device.next(change('create', { table: name, id: name }, { title: name })),
        expected: ['rejected NO_HANDLER', 'rejected INVALID_PAYLOAD'],
      });
    } else if (turn === 2) {
      batch.push({
        mutation: device.next(change('create', other, { title: 'x', [name]: name })),
        expected: ['rejected UNKNOWN_COLUMN', 'rejected INVALID_PAYLOAD'],
      });
    } else {
      batch.push({
        mutation: device.next({ ...change('custom', null, { [name]: name }), type: name }),
        expected: ['rejected NO_HANDLER', 'rejected INVALID_PAYLOAD'],
      });
    }
    if (batch.length === BATCH_COUNT || index === names.length - 1) {
      const outcomes = await settle(
        device,
        batch.map(({ mutation }) => mutation),
      );
      for (const { mutation, expected } of batch) {
        const kind = outcomes.get(mutation.seq) ?? 'nothing';
        expect(expected, JSON.stringify(mutation)).toContain(kind);
        counts.set(kind, (counts.get(kind) ?? 0) + 1);
      }
      batch = [];
    }
  }

  const rows = await database.query<{ id: string; title: string }>(
    'select id, title from public.labels where workspace_id = $1',
    [device.workspaceId],
  );
  expect(new Map(rows.map(({ id, title }) => [id, title]))).toEqual(stored);
  expect(await catalogue()).toEqual(before);
  for (const kind of ['applied', 'rejected NO_HANDLER', 'rejected UNKNOWN_COLUMN', 'rejected INVALID_PAYLOAD'])
    expect(counts.get(kind) ?? 0, kind).toBeGreaterThan(5);
  // read back by the same names
  const audited = await database.query<{ count: number }>(
    `select count(*)::int as count from holdfast.audit_log where workspace_id = $1 and entity_id = any ($2)`,
    [device.workspaceId, [...stored.keys()]],
  );
  expect(audited[0]?.count).toBe(stored.size);
}, 240_000);

test('sec-W17 · nothing of a payload, a token or a row is in the log of the database, whatever goes wrong', async () => {
  const device = createDevice(database, { user: `${CANARY}-user` });
  await database.query(`insert into public.fault_states values ('55P03'), ('XX000'), ('42P01'), ('P0001')`);
  const account = { table: 'accounts', id: randomUUID() };
  const kinds = (
    await device.send([
      device.next(change('create', account, { name: CANARY, code: CANARY })),
      device.next({ payload: { name: CANARY, code: CANARY } }),
      device.next({ payload: { name: CANARY, beds: -5 } }),
      device.next({ payload: { name: CANARY, beds: CANARY } }),
      device.next({ payload: { name: CANARY, [CANARY]: 1 } }),
      device.next({ payload: { name: CANARY, parent_id: randomUUID() } }),
      device.next(change('update', { table: 'accounts', id: CANARY }, { name: CANARY })),
      device.next(change('create', { table: 'fault', id: randomUUID() }, { state: '55P03' })),
      device.next(change('create', { table: 'fault', id: randomUUID() }, { state: 'XX000' })),
      device.next(change('create', { table: 'fault', id: randomUUID() }, { state: '42P01' })),
    ])
  ).map(kindOf);
  expect(kinds).toContain('refused XX000');
  expect(kinds).toContain('rejected 22P02');
  // requests that are refused whole are errors to the database, which logs the statement
  const wrong: unknown[] = [
    { protocol: 9, payload: CANARY },
    { protocol: 1, client: { id: CANARY, workspaceId: CANARY }, mutations: [{ payload: CANARY }] },
  ];
  for (const batch of wrong) {
    await expect(
      withCaller(database, device.claims, (session) =>
        session.query('select holdfast.apply($1::jsonb)', [JSON.stringify(batch)]),
      ),
    ).rejects.toThrow();
  }
  await expect(
    withCaller(database, device.claims, (session) => session.query('select holdfast.read_changes($1)', [CANARY])),
  ).rejects.toThrow();

  // a last line of our own tells that what came before it has been written
  await database.query(`do $$ begin raise log 'the last line'; end $$`);
  await expect.poll(() => server.log()).toContain('the last line');
  expect(server.log()).toContain('holdfast: mutation');
  expect(server.log()).not.toContain(CANARY);
});

/** Until each has a verdict: a call makes at most 50 blocks. */
async function settle(device: TestDevice, mutations: readonly WireMutation[]): Promise<ReadonlyMap<number, string>> {
  const kinds = new Map<number, string>();
  for (let round = 0; round < 20 && kinds.size < mutations.length; round += 1) {
    const open = mutations.filter(({ seq }) => !kinds.has(seq));
    // as the door does it
    const request = parseApplyRequest({
      protocol: 1,
      client: { id: device.clientId, workspaceId: device.workspaceId },
      acknowledgedFloor: 0,
      mutations: open,
    });
    const rows = await withCaller(database, device.claims, (session) =>
      session.query<{ answer: { outcomes: readonly WireOutcome[] } }>('select holdfast.apply($1::jsonb) as answer', [
        toBatchText(request),
      ]),
    );
    for (const outcome of rows[0]?.answer.outcomes ?? [])
      if (outcome.kind !== 'deferred') kinds.set(outcome.seq, kindOf(outcome));
  }
  return kinds;
}

function catalogue() {
  return database.query(
    `select relname::text as name, relacl::text as rights from pg_class where relnamespace in ('public'::regnamespace, 'holdfast'::regnamespace)
     union all select proname::text, proacl::text from pg_proc where pronamespace in ('public'::regnamespace, 'holdfast'::regnamespace)
     union all select rolname::text, null from pg_roles order by 1, 2`,
  );
}

function isPlain(name: string): boolean {
  return !name.includes('\u0000') && name.isWellFormed();
}

/** What these are called is no attack. */
const REGISTERED: ReadonlySet<string> = new Set(['labels', 'accounts', 'title', 'id']);

/** Each different, within what the wire takes as a name: 1 to 200 characters that Postgres can hold; the payload alone may hold others. */
function hostileNames(count: number): readonly string[] {
  const draw = randomFrom(7);
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(draw() * items.length)] as Item;
  const parts = [
    `'`,
    `"`,
    `''`,
    `""`,
    '`',
    '\\',
    `\\'`,
    ';',
    '--',
    '/*',
    '*/',
    '$$',
    '$1',
    '$tag$',
    '%s',
    '%I',
    '%%',
    '%',
    '(',
    ')',
    '::text',
    ' or 1=1',
    ' union select 1',
    `'); drop table public.labels; --`,
    `"; drop table public.labels; --`,
    'null',
    'NULL',
    'select',
    'pg_catalog.pg_authid',
    'holdfast.ledger',
    'public.accounts',
    'labels',
    'accounts',
    'workspace_id',
    'id',
    'owner',
    'title',
    '__proto__',
    'constructor',
    '\u2018',
    '\u2019',
    '\u201c',
    '\u02bc',
    '\uff07',
    '\uff02',
    '\u0000',
    '\ud800',
    '\u202e',
    '\u200b',
    '\n',
    '\r',
    '\t',
    '\u001b[31m',
    'é',
    'e\u0301',
    '\u{1f4a9}',
    'x'.repeat(63),
    'y'.repeat(64),
    '{}',
    '[0]',
    '{a,b}',
    '0',
    '-1',
    '1e400',
    'true',
    '..',
    '/',
    '~1',
    '%00',
    '\u2028',
    "E'\\x27'",
    'U&"\\0041"',
    'current_user',
    'xp_cmdshell',
    "copy labels to program 'id'",
  ];
  const names = new Set<string>();
  while (names.size < count) {
    let name = '';
    for (let length = 1 + Math.floor(draw() * 4); length > 0; length -= 1) name += pick(parts);
    // as an id or a type the door refuses the whole request; such a name is tried as a key of a payload only
    if (REGISTERED.has(name)) continue;
    if (name.length <= 190 && (isPlain(name) || names.size % 4 === 2))
      names.add(`${name}${names.size % 3 === 0 ? names.size : ''}`);
  }
  return [...names];
}
