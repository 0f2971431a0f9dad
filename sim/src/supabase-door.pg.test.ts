import { randomUUID } from 'node:crypto';
import { createDoor, type Database, DatabaseUnavailableError } from '@holdfast/server';
import { createClient } from '@supabase/supabase-js';
import {
  createQueue,
  defineMutation,
  type JsonObject,
  memoryStorage,
  soloTabs,
  supabaseFetch,
  supabaseTransport,
  type Transport,
  type TransportAnswer,
} from 'holdfast';
import { type ApplyRequest, PROTOCOL_VERSION } from 'holdfast/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { anyPayload } from './any-payload.ts';
import { openTapePglite, openTapePostgres, type TapeDatabase } from './test/tape-databases.ts';
import { SECRET, token } from './test/token.ts';

describe.each([
  ['PGlite', openTapePglite],
  ['Postgres', openTapePostgres],
])('on %s', (_, open) => {
  let world: TapeDatabase;
  beforeAll(async () => {
    world = await open();
  });
  afterAll(() => world.close());

  test('R9, P2 · supabase-js carries a batch to apply, and a repeated one is a duplicate', async () => {
    const workspaceId = `w-${randomUUID()}`;
    const request = batch(workspaceId);
    const options = { token: token(workspaceId), signal: new AbortController().signal };

    const first = await transportTo(world.database).send(request, options);
    const second = await transportTo(world.database).send(request, options);

    expect(first).toMatchObject({
      kind: 'answered',
      outcomes: [{ kind: 'applied', seq: 1, result: { entries: ['Oslo'], workspace_id: workspaceId } }],
    });
    expect(second).toMatchObject({ kind: 'answered', outcomes: [{ kind: 'duplicate', verdict: 'applied', seq: 1 }] });
    expect(await entriesIn(world.database, workspaceId)).toEqual([['Oslo']]);
  });

  test('Q8 · a child that overtakes its parent waits for it, and uses no attempt; one without a parent is a dead letter at once', async () => {
    // given: parts of items, by a foreign key that no mutation names; the item is refused for now
    await world.database.transaction((session) => session.runScript(PARTS));
    const workspaceId = `w-${randomUUID()}`;
    const queue = createQueue({
      name: 'parts',
      identity: { userId: 'ada', workspaceId },
      mutations: [createItem, createPart],
      transport: transportTo(world.database),
      auth: { getToken: () => Promise.resolve(token(workspaceId)) },
      storage: memoryStorage(),
      tabs: soloTabs,
      network: { isOnline: () => true, onHint: () => () => {}, probe: async () => ({ kind: 'reached', latencyMs: 1 }) },
    });
    const [itemId, partId] = [randomUUID(), randomUUID()];
    const statuses: unknown[] = [];

    // when: both are stored in one commit, and go in one batch
    const [item, part] = await Promise.all([
      queue.add({
        type: 'item.create',
        payload: { id: itemId, tag: 'Oslo', mood: 'tired' },
        retryDelayMs: 50,
        onRetry: () => {
          statuses.push(queue.listUnconfirmed().find(({ type }) => type === 'part.create'));
          void world.database.query(`delete from public.sim_failing_moods where mood = 'tired'`);
        },
      }),
      queue.add({ type: 'part.create', payload: { id: partId, item_id: itemId } }),
    ]);

    // then
    expect(await part.settled).toMatchObject({ status: 'completed', result: { item_id: itemId } });
    expect(await item.settled).toMatchObject({ status: 'completed' });
    expect(statuses).toMatchObject([
      { status: 'pending', waitingFor: 'dependency', attemptCount: 0, lastError: { code: '23503' } },
    ]);
    const orphan = await queue.add({ type: 'part.create', payload: { id: randomUUID(), item_id: randomUUID() } });
    expect(await orphan.settled).toMatchObject({ status: 'failed', error: { code: '23503', category: 'CONFLICT' } });
    await queue.close();
  });

  test('R9 · what the whole call is refused for says what the queue waits for', async () => {
    const workspaceId = `w-${randomUUID()}`;
    const { signal } = new AbortController();
    const send = async (request: ApplyRequest, bearer: string | null): Promise<string> => {
      const answer = await transportTo(world.database).send(request, { token: bearer, signal });
      return answer.kind === 'answered' ? answer.kind : `${answer.kind} ${answer.error.category} ${answer.error.code}`;
    };
    const own = token(workspaceId);
    const tooMany = Array.from({ length: 101 }, (_each, index) => mutation(index + 1));

    expect(await send(batch(workspaceId), token(workspaceId, -60))).toBe('unauthorized AUTH_ERROR PGRST301');
    expect(await send(batch('another'), own)).toBe('forbidden FORBIDDEN FOREIGN_WORKSPACE');
    const { client } = batch(workspaceId);
    const ofBob = { ...batch(workspaceId), client: { ...client, userId: 'bob' } };
    expect(await send(ofBob, own)).toBe('unauthorized AUTH_ERROR WRONG_LOGIN');
    expect(await send({ ...batch(workspaceId), protocol: 99 }, own)).toBe('upgradeRequired OUTDATED UPGRADE_REQUIRED');
    expect(await send({ ...batch(workspaceId), mutations: tooMany }, own)).toBe(
      'batchRefused VALIDATION_ERROR BATCH_TOO_LARGE',
    );
    expect(await entriesIn(world.database, workspaceId)).toEqual([]);
  });
});

test('R9 · a project without the migrations is no fault of the mutations, and says what to do', async () => {
  const client = createClient('https://project.supabase.test', 'key', {
    global: { fetch: fetchOf(UNREACHABLE) },
  });
  const answer = await supabaseTransport({ client, schema: 'public' }).send(batch('w'), {
    token: token('w'),
    signal: new AbortController().signal,
  });

  expect(answer).toMatchObject({
    kind: 'unavailable',
    error: { hint: expect.stringContaining('Run the migrations') as unknown },
  });
});

test('R9 · a database that is away is the line at fault', async () => {
  const answer = await transportTo(UNREACHABLE).send(batch('w'), {
    token: token('w'),
    signal: new AbortController().signal,
  });

  expect(answer.kind).toBe('unavailable');
});

test('R9 · a call that is given up may have been sent', async () => {
  const abort = new AbortController();
  abort.abort();

  expect((await transportTo(UNREACHABLE).send(batch('w'), { token: null, signal: abort.signal })).kind).toBe('unknown');
});

test.each<[string, number, Record<string, string>, Partial<TransportAnswer>]>([
  ['a limit in seconds', 429, { 'retry-after': '7' }, { kind: 'rateLimited', retryAfterMs: 7_000 }],
  ['a pause after a failure', 503, { 'retry-after': '9' }, { kind: 'unavailable', retryAfterMs: 9_000 }],
  [
    'how many calls are left',
    200,
    { 'ratelimit-remaining': '0', 'ratelimit-reset': '30' },
    { kind: 'answered', pace: { remaining: 0, resetMs: 30_000 } },
  ],
  ['nothing', 429, {}, { kind: 'rateLimited', retryAfterMs: null }],
])('R3 · the wishes of a Supabase project are seen: %s', async (_what, status, headers, expected) => {
  const answer = { protocol: PROTOCOL_VERSION, outcomes: [], serverTime: '2026-01-01T00:00:00.000Z' };
  const fetch = supabaseFetch(async () =>
    Response.json(status === 200 ? answer : { message: 'x' }, { status, headers }),
  );
  const client = createClient('https://project.supabase.test', 'key', { global: { fetch } });

  const seen = await supabaseTransport({ client, fetch }).send(batch('w'), {
    token: 'own',
    signal: new AbortController().signal,
  });

  expect(seen).toMatchObject(expected);
});

test('R5 · the batch travels under the login of its queue, whoever is signed in to the client', async () => {
  const bearers: (string | null)[] = [];
  const client = createClient('https://project.supabase.test', 'key', {
    accessToken: async () => 'the token of somebody else',
    global: {
      fetch: async (_input: RequestInfo | URL, init?: RequestInit) => {
        bearers.push(new Headers(init?.headers).get('authorization'));
        return Response.json({ protocol: 1, outcomes: [], serverTime: '' });
      },
    },
  });

  await supabaseTransport({ client }).send(batch('w'), { token: 'own', signal: new AbortController().signal });

  expect(bearers).toEqual(['Bearer own']);
});

const PARTS = `
  create table public.sim_parts (
      id           uuid primary key,
      workspace_id text not null,
      item_id      uuid not null constraint sim_parts_item references public.sim_items deferrable initially deferred
  );
  alter table public.sim_parts enable row level security;
  create policy by_workspace on public.sim_parts to authenticated
      using (workspace_id = (select holdfast.workspace())) with check (workspace_id = (select holdfast.workspace()));
  grant select, insert, update, delete on public.sim_parts to authenticated;
  select holdfast.register_table('public.sim_parts', array['item_id']);
  insert into public.sim_failing_moods values ('tired');
`;

type Payload = { readonly id: string } & JsonObject;

const createItem = defineMutation({
  type: 'item.create',
  payload: anyPayload<Payload>(),
  operation: 'create',
  entity: ({ id }) => ({ table: 'sim_items', id }),
});

const createPart = defineMutation({
  type: 'part.create',
  payload: anyPayload<Payload>(),
  operation: 'create',
  entity: ({ id }) => ({ table: 'sim_parts', id }),
});

const UNREACHABLE: Database = {
  query: () => Promise.reject(new DatabaseUnavailableError('away')),
  transaction: () => Promise.reject(new DatabaseUnavailableError('away')),
  transact: () => Promise.reject(new DatabaseUnavailableError('away')),
  close: async () => {},
};

/** The real client, whose requests go to the door in this process. */
function transportTo(database: Database): Transport {
  return supabaseTransport({
    client: createClient('https://project.supabase.test', 'key', { global: { fetch: fetchOf(database) } }),
  });
}

function fetchOf(database: Database): typeof fetch {
  const door = createDoor({ database, auth: { secret: SECRET } });
  return async (input, init) => {
    const request = new Request(input, init);
    request.signal.throwIfAborted();
    return door.fetch(request);
  };
}

function batch(workspaceId: string): ApplyRequest {
  return {
    protocol: PROTOCOL_VERSION,
    client: { id: randomUUID(), workspaceId },
    acknowledgedFloor: 0,
    mutations: [mutation(1)],
  };
}

function mutation(seq: number): ApplyRequest['mutations'][number] {
  return {
    id: randomUUID(),
    seq,
    after: null,
    generation: 0,
    type: 'item.create',
    version: 1,
    operation: 'create',
    entity: { table: 'sim_items', id: randomUUID() },
    payload: { tag: 'Oslo' },
    createdAt: '2026-01-01T00:00:00.000Z',
  };
}

async function entriesIn(database: Database, workspaceId: string): Promise<readonly (readonly string[])[]> {
  const rows = await database.query<{ readonly entries: readonly string[] }>(
    'select entries from public.sim_items where workspace_id = $1',
    [workspaceId],
  );
  return rows.map(({ entries }) => entries);
}
