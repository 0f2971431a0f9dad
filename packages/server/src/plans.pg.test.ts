import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readAudit } from './audit-query.ts';
import { withCaller } from './caller.ts';
import { readChanges } from './change-feed.ts';
import type { Database, Session } from './database.ts';
import { migrate } from './migrate.ts';
import { openPg } from './pg-database.ts';
import { type RealPostgres, startRealPostgres } from './testing-databases/real-postgres.ts';
import { TEST_TABLES } from './testing-databases/test-tables.ts';
import { change, createDevice, type TestDevice } from './testing-databases/test-device.ts';

/** Enough that reading all of it would be the wrong plan by far. */
const ROW_COUNT = 40_000;
/** Read whole each time, and small whatever happens: registrations and settings. */
const SMALL = [
  'registered_tables',
  'handlers',
  'near_events',
  'settings',
  'epochs',
  'seal_state',
  'partitioned_tables',
];

let server: RealPostgres;
let database: Database;
let device: TestDevice;
let entityId = '';

beforeAll(async () => {
  server = await startRealPostgres();
  database = openPg({ connectionString: await server.createDatabase() });
  await migrate(database);
  await database.transaction((session) => session.runScript(TEST_TABLES));
  device = createDevice(database);
  entityId = randomUUID();
  await device.send([device.next(change('create', { table: 'accounts', id: entityId }, { name: 'x' }))]);
  await database.transaction(async (session) => {
    await session.query(
      `insert into holdfast.ledger (client_id, seq, workspace_id, mutation_id, generation, payload_hash, verdict)
       select $1, 1000 + n, $2, gen_random_uuid(), 0, 0, 'applied' from generate_series(1, $3::integer) as n`,
      [device.clientId, device.workspaceId, ROW_COUNT],
    );
    await session.query(
      `insert into holdfast.audit_log (workspace_id, action, entity_type, entity_id, new_values)
       select $1, 'create', 'accounts', gen_random_uuid()::text, '{}' from generate_series(1, $2::integer) as n`,
      [device.workspaceId, ROW_COUNT],
    );
    await session.query(
      `insert into holdfast.mutation_reports (client_id, mutation_id, workspace_id, actor, type, status, retry_count, created_at)
       select gen_random_uuid(), gen_random_uuid(), $1, $2, 'type ' || n % 50, (array['pending', 'completed', 'completed', 'completed'])[1 + n % 4], 0,
              now() - n * interval '1 minute' from generate_series(1, $3::integer) as n`,
      [device.workspaceId, device.claims.sub, ROW_COUNT],
    );
    await session.query(
      `insert into holdfast.mutation_retry_logs (workspace_id, actor, client_id, mutation_id, type, generation, attempt_number, outcome)
       select $1, $2, gen_random_uuid(), gen_random_uuid(), 'x', 0, 1, 'success' from generate_series(1, $3::integer) as n`,
      [device.workspaceId, device.claims.sub, ROW_COUNT],
    );
  });
  await database.query('analyze');
});
afterAll(async () => {
  await database.close();
  await server.stop();
});

/** As autovacuum does a little later. */
async function summarize(): Promise<void> {
  await database.query(
    `select brin_summarize_new_values(each.indexrelid)
     from pg_inherits join pg_index as each on each.indrelid = inhrelid join pg_class as index on index.oid = each.indexrelid
     where inhparent = 'holdfast.audit_log'::regclass and index.relam = (select oid from pg_am where amname = 'brin')`,
  );
}

test.each<[string, (session: Session) => Promise<unknown>]>([
  [
    'a batch',
    (session) =>
      session.query('select holdfast.apply($1::jsonb)', [
        JSON.stringify({
          protocol: 1,
          client: { id: device.clientId, workspaceId: device.workspaceId },
          acknowledgedFloor: 0,
          mutations: [
            device.next(),
            device.next({ after: 1 }),
            device.next(change('update', { table: 'accounts', id: entityId }, { name: 'y' })),
            device.next({ payload: { beds: -1 } }),
          ],
        }),
      ]),
  ],
  ['the latest of the audit log', (session) => readAudit(session, { limit: 50 })],
  ['a later page of it', (session) => readAudit(session, { limit: 50, before: '20000' })],
  ['the history of a row', (session) => readAudit(session, { limit: 50, entityType: 'accounts', entityId })],
  [
    'the change feed',
    async (session) => readChanges(session, { cursor: (await readChanges(session, { cursor: null })).cursor }),
  ],
  [
    'what waits, oldest first',
    (session) =>
      session.query(`select id from holdfast.mutation_queue where status = 'failed' order by created_at limit 50`),
  ],
  [
    'one type in the queue',
    (session) =>
      session.query(`select count(*) from holdfast.mutation_queue where type = 'type 7' and status = 'pending'`),
  ],
  [
    'what became of one mutation',
    (session) => session.query('select status from holdfast.mutation_queue where id = $1', [randomUUID()]),
  ],
  [
    'the attempts of a mutation',
    (session) =>
      session.query(
        'select 1 from holdfast.mutation_retry_logs where workspace_id = holdfast.workspace() and mutation_id = $1',
        [randomUUID()],
      ),
  ],
])('P1, P5, P8, P13 · %s is found by an index, with tens of thousands of rows beside it', async (_, query) => {
  const scanned = await withCaller(database, device.claims, async (session) => {
    await query(session);
    // what the plans within our functions really did, in this very transaction
    return session.query<{ relname: string; rows: string }>(
      `select relname, seq_tup_read as rows from pg_stat_xact_user_tables
       where schemaname = 'holdfast' and seq_tup_read > 1000 and relname <> all ($1)`,
      [SMALL],
    );
  });
  expect(scanned).toEqual([]);
});

test('P1 · control: a search that no index serves is seen to read everything', async () => {
  // as an admin, who may read every row: of others the policy would have to ask for each
  const scanned = await withCaller(database, { ...device.claims, holdfast_role: 'admin' }, async (session) => {
    await session.query(`select 1 from holdfast.audit_log where new_values ? 'nothing'`);
    return session.query<{ relname: string }>(
      `select relname from pg_stat_xact_user_tables where schemaname = 'holdfast' and seq_tup_read > 1000`,
    );
  });
  expect(scanned).toHaveLength(1);
});

test('P5 · a round of seals reads what has come since the last, with tens of thousands of rows of others before it', async () => {
  await database.query(
    `insert into holdfast.audit_log (workspace_id, action, entity_type, entity_id, new_values)
     select 'workspace ' || n, 'create', 'accounts', n::text, '{}' from generate_series(1, $1::integer) as n`,
    [ROW_COUNT],
  );
  await summarize();
  await database.query('analyze');
  const pages: number[] = [];
  // often enough that Postgres may plan without looking at the numbers
  for (let round = 0; round < 8; round += 1) {
    // as a minute later: it is known by then that nothing is under way below the highest number
    await database.query(`update holdfast.feed_marks set marked_at = marked_at - interval '1 minute'`);
    await device.send([device.next()]);
    const [told] = await database.query<{
      'QUERY PLAN': readonly { readonly Plan: Readonly<Record<string, number>> }[];
    }>('explain (analyze, buffers, format json) select holdfast.seal_audit(1000000)');
    const plan = told?.['QUERY PLAN'][0]?.Plan;
    pages.push((plan?.['Shared Hit Blocks'] ?? Number.NaN) + (plan?.['Shared Read Blocks'] ?? Number.NaN));
  }
  // the first round seals all that was planted; the log has some 1,500 pages and each of its indexes hundreds
  expect(pages.at(-1)).toBeLessThan(500);
});

test('P5 · the history of a row, and what it was when it was deleted, are found beside all that its workspace did since', async () => {
  await device.send([device.next(change('delete', { table: 'accounts', id: entityId }))]);
  await database.query(
    `insert into holdfast.audit_log (workspace_id, action, entity_type, entity_id, new_values)
     select $1, 'create', 'accounts', gen_random_uuid()::text, jsonb_build_object('note', repeat('x', 300))
     from generate_series(1, $2::integer) as n`,
    [device.workspaceId, ROW_COUNT],
  );
  await summarize();
  await database.query('analyze');
  const read = async (sql: string): Promise<{ readonly rows: number; readonly pages: number }> =>
    withCaller(database, { ...device.claims, holdfast_role: 'admin' }, async (session) => {
      const [told] = await session.query<{
        'QUERY PLAN': readonly { readonly Plan: Readonly<Record<string, number>> }[];
      }>(`explain (analyze, buffers, format json) ${sql}`, [entityId]);
      const plan = told?.['QUERY PLAN'][0]?.Plan ?? {};
      const count = (name: string): number => plan[name] ?? Number.NaN;
      return { rows: count('Actual Rows'), pages: count('Shared Hit Blocks') + count('Shared Read Blocks') };
    });

  const history = await read(`select * from holdfast.audit_page('accounts', $1, null, null, null, null, 500)`);
  const deletion = await read(
    `select old_values from holdfast.audit_log where workspace_id = holdfast.workspace() and entity_type = 'accounts'
     and entity_id = $1 and action = 'delete' order by id desc limit 1`,
  );

  // the log has some 4,000 pages, and half of them come after these rows
  expect(history.rows).toBeGreaterThanOrEqual(2);
  expect(history.pages).toBeLessThan(1_000);
  expect(deletion.rows).toBe(1);
  expect(deletion.pages).toBeLessThan(50);
});

test('P5 · a bulk write is recorded in one go, however many rows it changes', async () => {
  const counts = await database.transaction(async (session) => {
    await session.query(`set local track_functions = 'all'`);
    await session.query(
      `insert into public.notes (id, workspace_id, title) select gen_random_uuid(), 'bulk', n::text from generate_series(1, 1000) as n`,
    );
    await session.query(`update public.notes set body = title where workspace_id = 'bulk'`);
    await session.query(`delete from public.notes where workspace_id = 'bulk'`);
    return session.query<{ calls: number; rows: number }>(
      `select calls::int as calls, (select count(*)::int from holdfast.audit_log where workspace_id = 'bulk') as rows
       from pg_stat_xact_user_functions where funcname = 'write_audit'`,
    );
  });
  expect(counts).toEqual([{ calls: 3, rows: 3_000 }]);
});
