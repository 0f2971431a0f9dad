import {
  createDoor,
  type Database,
  DatabaseUnavailableError,
  type DoorOptions,
  migrate,
  openPg,
  openPglite,
  Rejection,
} from '@holdfast/server';
import { createClient } from '@supabase/supabase-js';
import fc from 'fast-check';
import {
  httpTransport,
  type PlainFetch,
  supabaseFetch,
  supabaseTransport,
  type Transport,
  type TransportAnswer,
} from 'holdfast';
import type { ApplyRequest, WireOutcome } from 'holdfast/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startRealPostgres } from '../../packages/server/src/testing-databases/real-postgres.ts';
import { type Call, DOOR_TABLES, doorCases, type Loose, newTenant, type Tenant } from './test/door-cases.ts';
import { postgrest } from './test/postgrest.ts';
import { SECRET } from './test/token.ts';

/** CI takes few; `DOOR_HISTORIES=500` for a long look. */
const HISTORY_COUNT = Number(process.env['DOOR_HISTORIES'] ?? 40);

/** How batches travel, each to a database of its own, so that all of them can be sent the very same. */
interface Carrier {
  readonly name: string;
  readonly database: Database;
  readonly transport: Transport;
}

interface World {
  readonly carriers: readonly Carrier[];
  close(): Promise<void>;
}

const CARRIERS = ['POST /v1/apply', 'supabase-js to the same server', 'supabase-js to PostgREST'] as const;

describe.each<[string, () => Promise<World>]>([
  ['PGlite', openWithPglite],
  ['Postgres 18', () => openWithPostgres(false)],
  ['Postgres 15', () => openWithPostgres(true)],
])('on %s', (engine, open) => {
  let world: World;
  beforeAll(async () => {
    world = await open();
  });
  afterAll(() => world.close());

  test.each(doorCases)(
    'P2 · the same through either door, and with nothing of ours before the database: $name',
    async ({ calls, said }) => {
      const tenant = await newTenant();
      const answers = await sendEverywhere(world.carriers, await calls(tenant));

      expect(answers[0]?.map(inShort)).toEqual(said);
      for (const [index, each] of answers.entries()) {
        expect([CARRIERS[index], each.map(comparable)]).toEqual([CARRIERS[index], answers[0]?.map(comparable)]);
      }
      const [first, ...others] = await leftBehind(world.carriers, tenant);
      for (const other of others) expect(other).toEqual(first);
    },
  );

  test('P2 · whatever histories of batches come, valid or not, every answer and every row is the same', async () => {
    const kinds = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(fc.array(batchPlan, { minLength: 1, maxLength: 7 }), async (plans) => {
        const tenant = await newTenant();
        const [first = [], ...others] = await sendEverywhere(world.carriers, await callsOf(plans, tenant));
        for (const kind of first.flatMap(inShort)) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
        for (const other of others) expect(other.map(comparable)).toEqual(first.map(comparable));
        const [rows, ...otherRows] = await leftBehind(world.carriers, tenant);
        for (const other of otherRows) expect(other).toEqual(rows);
      }),
      { numRuns: HISTORY_COUNT, seed: 2 },
    );
    // control: it did meet what doors could differ in
    const met = [
      'applied',
      'duplicate applied',
      'deferred',
      'conflict',
      'rejected 23514',
      'rejected ID_REUSED',
      'refused 40001',
    ];
    expect(met.filter((kind) => !kinds.has(kind))).toEqual([]);
    expect(
      [...kinds.keys()].filter((kind) => / /.test(kind) && !/^(duplicate|rejected|refused)/.test(kind)).length,
    ).toBeGreaterThan(2);
  });

  test('P2, P3 · what code of the server handles has the same verdicts through either door', async () => {
    const handlers: DoorOptions['handlers'] = {
      'code.do': async ({ payload }, { claims }) => {
        if ('never' in payload) throw new Rejection('Never.', 'Give it up.');
        if ('later' in payload) throw new Error('not now');
        return { result: { did: payload as never, by: claims.sub }, rowVersion: 7 };
      },
    };
    const carriers = nodeDoors(world.carriers, { handlers });
    const tenant = await newTenant();
    const code = (payload: Loose, over: Loose = {}): Loose =>
      tenant.next({ type: 'code.do', operation: 'custom', entity: null, payload, ...over });
    const batch = [
      code({ x: 1 }),
      tenant.next({ after: 1 }),
      code({ never: 1 }),
      code({ later: 1 }),
      tenant.next({ after: 4 }),
    ];

    const [first = [], second] = await sendEverywhere(carriers, [tenant.call(batch), tenant.call(batch)]);

    expect(first.map(inShort)).toEqual([
      ['applied', 'applied', 'rejected P0001', 'refused XX000', 'deferred'],
      ['duplicate applied', 'duplicate applied', 'duplicate rejected P0001', 'refused XX000', 'deferred'],
    ]);
    expect(second?.map(comparable)).toEqual(first.map(comparable));
  });

  test.each<[string, (database: Database) => DoorOptions, string]>([
    [
      'too many requests',
      (database) => ({ database, auth: AUTH, rateLimit: { requestsPerMinute: 1 } }),
      'rateLimited RATE_LIMITED TOO_MANY_REQUESTS',
    ],
    [
      'as much in work as it can bear',
      (database) => ({ database, auth: AUTH, inFlightCountMax: 0 }),
      'unavailable SERVER_ERROR',
    ],
    ['a database that is away', () => ({ database: AWAY, auth: AUTH }), 'unavailable SERVER_ERROR'],
  ])('P2, P9 · with %s, either door says so, and how long to wait', async (_what, optionsOf, said) => {
    const tenant = await newTenant();
    const batch = tenant.call([tenant.next()]);
    const answers = await sendEverywhere(
      nodeDoors(world.carriers, (database) => optionsOf(database)),
      [batch, batch],
    );
    const last = answers.map((each) => each.at(-1));
    for (const answer of last) {
      expect([inShort(answer as TransportAnswer)].join()).toContain(said);
      expect(answer).toHaveProperty('retryAfterMs', expect.any(Number));
    }
    expect(last.map((answer) => Reflect.get(answer ?? {}, 'retryAfterMs') as unknown)).toSatisfy(
      ([one, other]: readonly number[]) => Math.abs((one ?? 0) - (other ?? 0)) <= 1_000,
    );
  });

  // It has one connection, so that nobody there waits for another.
  if (engine === 'PGlite') return;
  test('P2, P9 · a call that waits too long for another ends as the same, and nothing of it stands', async () => {
    const carriers = nodeDoors(world.carriers, { statementTimeoutMs: 300 });
    const tenant = await newTenant();
    const batch = tenant.call([tenant.next()]);
    await sendEverywhere(carriers, [tenant.call([])]);
    const hold = `select from holdfast.clients where client_id = '${tenant.clientId}' for update`;

    const answers = await Promise.all(
      carriers.map(async ({ database, transport }) =>
        database.transaction(async (session) => {
          await session.query(hold);
          return transport.send(batch.request as unknown as ApplyRequest, {
            token: batch.token,
            signal: new AbortController().signal,
          });
        }),
      ),
    );

    expect(answers.map(({ kind }) => kind)).toEqual(['unavailable', 'unavailable']);
    expect(answers.map((answer) => Reflect.get(answer, 'retryAfterMs') as unknown)).toEqual([2_000, 2_000]);
    expect((await sendEverywhere(carriers, [batch])).map((each) => each.map(inShort))).toEqual([
      [['applied']],
      [['applied']],
    ]);
  });
});

const AUTH = { secret: SECRET };

const AWAY: Database = {
  query: () => Promise.reject(new DatabaseUnavailableError('away')),
  transaction: () => Promise.reject(new DatabaseUnavailableError('away')),
  transact: () => Promise.reject(new DatabaseUnavailableError('away')),
  close: async () => {},
};

async function openWithPglite(): Promise<World> {
  const databases = [await openPglite(), await openPglite(), await openPglite()];
  return worldOf(databases, async () => {});
}

async function openWithPostgres(isLowest: boolean): Promise<World> {
  const server = await startRealPostgres({ isLowest });
  const databases: Database[] = [];
  for (const _ of CARRIERS) databases.push(openPg({ connectionString: await server.createDatabase() }));
  return worldOf(databases, () => server.stop());
}

async function worldOf(databases: readonly Database[], end: () => Promise<void>): Promise<World> {
  for (const database of databases) {
    await migrate(database);
    await database.transaction((session) => session.runScript(DOOR_TABLES));
  }
  const [overHttp, overRpc, hosted] = databases as [Database, Database, Database];
  return {
    carriers: [
      ...nodeDoors([{ database: overHttp }, { database: overRpc }], {}),
      { name: CARRIERS[2], database: hosted, transport: overSupabase(postgrest(hosted)) },
    ],
    async close() {
      for (const database of databases) await database.close();
      await end();
    },
  };
}

type Options = Partial<DoorOptions> | ((database: Database) => DoorOptions);

/** The two doors of our own server. */
function nodeDoors(carriers: readonly { readonly database: Database }[], options: Options): readonly Carrier[] {
  return carriers.slice(0, 2).map(({ database }, index) => {
    const door = createDoor(
      typeof options === 'function' ? options(database) : { database, auth: AUTH, rateLimit: false, ...options },
    );
    const fetch: PlainFetch = async (input, init) => door.fetch(new Request(input, init));
    return {
      name: CARRIERS[index] ?? '',
      database,
      transport: index === 0 ? httpTransport({ url: 'http://door.test/v1/apply', fetch }) : overSupabase(fetch),
    };
  });
}

function overSupabase(plain: PlainFetch): Transport {
  const fetch = supabaseFetch(plain);
  const client = createClient('https://project.supabase.test', 'key', {
    global: { fetch },
    auth: { persistSession: false, autoRefreshToken: false },
  });
  return supabaseTransport({ client, fetch });
}

async function sendEverywhere(
  carriers: readonly Carrier[],
  calls: readonly Call[],
): Promise<readonly (readonly TransportAnswer[])[]> {
  return Promise.all(
    carriers.map(async ({ transport }) => {
      const answers: TransportAnswer[] = [];
      for (const { request, token } of calls) {
        answers.push(
          await transport.send(request as unknown as ApplyRequest, { token, signal: new AbortController().signal }),
        );
      }
      return answers;
    }),
  );
}

/** `applied`, `rejected ROW_EXISTS`, …; of a whole call `forbidden FORBIDDEN FOREIGN_WORKSPACE`. */
function inShort(answer: TransportAnswer): readonly string[] | string {
  if (answer.kind === 'answered') return answer.outcomes.map(outcomeInShort);
  return answer.kind === 'calledOff'
    ? answer.kind
    : `${answer.kind} ${answer.error.category} ${wordOf(answer.error.code)}`;
}

function outcomeInShort(outcome: WireOutcome): string {
  const verdict = 'verdict' in outcome ? [outcome.verdict] : [];
  return [
    outcome.kind,
    ...verdict,
    ...('error' in outcome && outcome.kind !== 'conflict' ? [outcome.error.code] : []),
  ].join(' ');
}

/** What PostgREST has words of its own for, and what only a server that reads a body can count. */
function wordOf(code: string): string {
  if (['TOKEN_MISSING', 'TOKEN_INVALID', 'TOKEN_EXPIRED', 'PGRST301', 'PGRST303', '42501'].includes(code))
    return 'not signed in';
  return ['BODY_TOO_LARGE', 'BATCH_TOO_LARGE'].includes(code) ? 'too large' : code;
}

/** All that an answer says, but when that was, which server it is, and the words of a refusal of the whole call. */
function comparable(answer: TransportAnswer): unknown {
  if (answer.kind !== 'answered') return inShort(answer);
  const { serverTimeMs, epoch, ...rest } = answer;
  return {
    ...rest,
    hasTime: serverTimeMs !== undefined,
    hasEpoch: epoch !== undefined,
    outcomes: rest.outcomes.map(withoutClock),
  };
}

/** Rows know when they were changed by the clock of the server. */
function withoutClock(outcome: WireOutcome): unknown {
  return JSON.parse(JSON.stringify(outcome), (key, value: unknown) =>
    key === 'changed_at' && String(value).endsWith('server') ? 'then' : value,
  );
}

/** What all of it came to, in each database: rows, ledger, log, and what is known of clients. */
async function leftBehind(carriers: readonly Carrier[], { workspaceId }: Tenant): Promise<readonly unknown[]> {
  return Promise.all(
    carriers.map(async ({ database }) => {
      const read = (sql: string) => database.query(sql, [[workspaceId, 'another']]);
      return {
        items: await read(
          'select id, workspace_id, name, beds, code, meta, version::int from public.items where workspace_id = any ($1) order by id',
        ),
        events: await read(
          'select id, workspace_id, line from public.events where workspace_id = any ($1) order by id',
        ),
        ledger: await read(
          `select client_id, seq::int, mutation_id, generation, verdict, error, rebases, row_version::int from holdfast.ledger
           where workspace_id = any ($1) order by client_id, seq, mutation_id`,
        ),
        log: await read(
          `select action, entity_type, entity_id, mutation_id, client_id, actor,
                  array_remove(changed_fields, 'changed_at') as changed_fields from holdfast.audit_log
           where workspace_id = any ($1) order by id`,
        ),
        clients: await read(
          `select client_id, actor, floor::int, high_seq::int, unsent_count, lost_reason, lost_count, replaced_by from holdfast.clients
           where workspace_id = any ($1) order by client_id`,
        ),
        retries: await read(
          `select mutation_id, attempt_number, outcome, error_code from holdfast.mutation_retry_logs
           where workspace_id = any ($1) order by mutation_id, id`,
        ),
      };
    }),
  );
}

interface MutationPlan {
  readonly again: number | null;
  readonly operation: string;
  readonly row: number;
  readonly payload: Loose;
  readonly base: number | null;
  readonly after: number | null;
  readonly defect: Loose | null;
}

interface BatchPlan {
  readonly mutations: readonly MutationPlan[];
  readonly over: Loose;
  readonly client: Loose;
  readonly login: 'own' | 'bob' | 'another' | 'expired' | 'none';
}

const rarely = <Value>(value: fc.Arbitrary<Value>, weight = 12): fc.Arbitrary<Value | null> =>
  fc.oneof({ weight, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: value });

const payload: fc.Arbitrary<Loose> = fc.oneof(
  fc.record({ name: fc.constantFrom<unknown>('a', 'b', 'state 40001', 'state P0001', null, 7, 'é "quoted" \\ 😀') }),
  fc.record({ name: fc.constant('c'), beds: fc.constantFrom<unknown>(0, 1_000, 1_001, 1.5, '3', 1e21) }),
  fc.record({ name: fc.constant('d'), code: fc.constantFrom('1', '2') }),
  fc.record({
    name: fc.constant('e'),
    meta: fc.jsonValue({ maxDepth: 2, noUnicodeString: true }) as fc.Arbitrary<unknown>,
  }),
  fc.constantFrom<Loose>(
    {},
    { name: 'f', owner: 'me' },
    { id: 'x', name: 'g' },
    { name: 'h', parent_id: 'nobody' },
    { kind: 'tea' },
    { kind: 'milk' },
  ),
);

/** What no client of ours makes, and either door refuses. */
const DEFECTS: readonly Loose[] = [
  { id: 'x' },
  { id: 7 },
  { seq: 0 },
  { seq: 1.5 },
  { seq: '1' },
  { after: 0 },
  { generation: -1 },
  { generation: 2_147_483_648 },
  { type: '' },
  { type: 'x'.repeat(201) },
  { type: 7 },
  { operation: 'upsert' },
  { entity: { table: 'items' } },
  { entity: { table: 'items', id: '' } },
  { entity: { table: 'items', id: 'x'.repeat(201) } },
  { entity: 'items' },
  { payload: [1] },
  { payload: null },
  { payload: 'x' },
  { base: {} },
  { base: null },
  { base: { rowVersion: -1 } },
  { rebases: -1 },
  { hlc: 'now' },
  { hlc: null },
  { encoding: 'mergePatch' },
  { encoding: 'xml', base: { rowVersion: 1 } },
  // and what either passes over
  { outdated: 'x' },
  { awaitsCreation: 'x' },
  { replaces: 'x' },
  { attempt: 0 },
  { attempt: 3 },
  { createdAt: 'yesterday' },
  { source: 5 },
  { metadata: 5 },
  { unheardOf: true },
];

const mutationPlan: fc.Arbitrary<MutationPlan> = fc.record({
  again: fc.oneof({ weight: 2, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.nat(9) }),
  operation: fc.constantFrom('create', 'create', 'update', 'update', 'delete', 'restore', 'custom', 'event'),
  row: fc.nat(4),
  payload,
  base: rarely(fc.nat(3), 2),
  after: rarely(fc.nat(3), 3),
  defect: rarely(fc.constantFrom(...DEFECTS), 40),
});

const batchPlan: fc.Arbitrary<BatchPlan> = fc.record({
  mutations: fc.array(mutationPlan, { maxLength: 6 }),
  over: fc.oneof(
    { weight: 8, arbitrary: fc.constant<Loose>({}) },
    { weight: 1, arbitrary: fc.record({ acknowledgedFloor: fc.nat(4) }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom<Loose>(
        { epoch: '00000000-0000-4000-8000-00000000beef' },
        { protocol: 2 },
        { acknowledgedFloor: 1.5 },
      ),
    },
  ),
  client: fc.oneof(
    { weight: 6, arbitrary: fc.constant<Loose>({}) },
    { weight: 2, arbitrary: fc.record({ lastSeq: fc.nat(30), unsentCount: fc.nat(2) }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom<Loose>(
        { userId: 'ada' },
        { userId: 'bob' },
        { lastSeq: -1 },
        { forkedFrom: 7 },
        { queue: 'q' },
      ),
    },
  ),
  login: fc.oneof(
    { weight: 16, arbitrary: fc.constant('own' as const) },
    { weight: 1, arbitrary: fc.constantFrom('bob' as const, 'another' as const, 'expired' as const, 'none' as const) },
  ),
});

/** A mutation that comes again is one of those before, under its number or another, at times as a retry or with another payload. */
async function callsOf(plans: readonly BatchPlan[], tenant: Tenant): Promise<readonly Call[]> {
  const rows = Array.from({ length: 5 }, () => tenant.id());
  const made: Loose[] = [];
  const calls: Call[] = [];
  for (const { mutations, over, client, login } of plans) {
    // A batch that is malformed, and under a login that is not its own or of another epoch besides: the doors tell the one, and the
    // database the other.
    const isLookedAt = login === 'own' && client['userId'] === undefined && over['epoch'] === undefined;
    const batch = mutations.map((plan) => {
      const former = plan.again === null ? undefined : made[plan.again % Math.max(1, made.length)];
      if (former !== undefined) {
        if (plan.row === 0) return { ...former, generation: 1, seq: tenant.next()['seq'] };
        return plan.row === 1 ? { ...former, payload: plan.payload } : former;
      }
      const isEvent = plan.operation === 'event';
      const mutation = tenant.next({
        operation: isEvent ? 'create' : plan.operation,
        type: plan.operation === 'custom' ? 'coffee.make' : 'item.change',
        entity:
          plan.operation === 'custom'
            ? null
            : { table: isEvent ? 'events' : 'items', id: isEvent ? tenant.id() : rows[plan.row] },
        payload: isEvent ? { line: `${plan.row}`, at: '2026-01-01T00:00:00Z' } : plan.payload,
        ...(plan.base === null ? {} : { base: { rowVersion: plan.base } }),
        ...(plan.after === null ? {} : { after: made[plan.after]?.['seq'] ?? null }),
        ...(isLookedAt ? plan.defect : {}),
      });
      if (plan.defect === null) made.push(mutation);
      return mutation;
    });
    calls.push({ request: tenant.batch(batch, over, client), token: await tokenFor(tenant, login) });
  }
  return calls;
}

async function tokenFor(tenant: Tenant, login: BatchPlan['login']): Promise<string | null> {
  switch (login) {
    case 'own':
      return tenant.token;
    case 'bob':
      return tenant.tokenOf({ sub: 'bob' });
    case 'another':
      return tenant.tokenOf({ workspaceId: 'another' });
    case 'expired':
      return tenant.tokenOf({ seconds: -60 });
    case 'none':
      return null;
    default:
      throw new Error('a login of no known kind');
  }
}
