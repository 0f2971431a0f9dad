import { randomUUID } from 'node:crypto';
import type { ApplyRequest, ErrorBody } from 'holdfast/protocol';
import { SignJWT } from 'jose';
import { expect, test } from 'vitest';
import type { Database } from './database.ts';
import { createDoor, type DoorLogEntry } from './door.ts';
import { openPg } from './pg-database.ts';
import { describeOnEachDatabase } from './testing-databases/test-databases.ts';
import { countTraces } from './testing-databases/test-device.ts';

const SECRET = 'a development secret of 32 bytes.';

interface TokenOptions {
  readonly secret?: string;
  readonly sub?: string;
  readonly role?: string;
  readonly workspaceId?: string | null;
  readonly expiresInSeconds?: number | null;
}

describeOnEachDatabase((world) => {
  test('P4 · a batch with a valid token is applied as its user', async () => {
    const request = batch('w-door');
    const answer = await post(request, await token({ sub: 'ada', workspaceId: 'w-door' }));

    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toContain('application/json');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(await answer.json()).toMatchObject({
      protocol: 1,
      serverTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as unknown,
      outcomes: [{ kind: 'applied', seq: 1, result: { name: 'Oslo', workspace_id: 'w-door' } }],
    });
    const history = await open().request('/v1/audit?entityType=accounts&limit=1', {
      headers: { authorization: `Bearer ${await token({ workspaceId: 'w-door' })}` },
    });
    expect(await history.json()).toMatchObject({ entries: [{ actor: 'ada', action: 'create' }], nextBefore: null });
  });

  test.each<[string, TokenOptions | string | null, number, string]>([
    ['no token', null, 401, 'TOKEN_MISSING'],
    ['something else than a bearer token', 'Basic abc', 401, 'TOKEN_MISSING'],
    ['a token that is none', 'Bearer abc', 401, 'TOKEN_INVALID'],
    ['a token signed by someone else', { secret: 'another secret that has 32 bytes..' }, 401, 'TOKEN_INVALID'],
    ['an expired token', { expiresInSeconds: -60 }, 401, 'TOKEN_EXPIRED'],
    ['a token without end', { expiresInSeconds: null }, 401, 'TOKEN_INVALID'],
    ['a token of another role', { role: 'postgres' }, 401, 'TOKEN_INVALID'],
    ['a token of another workspace', { workspaceId: 'another' }, 403, 'FOREIGN_WORKSPACE'],
    ['a token without workspace', { workspaceId: null }, 403, 'FOREIGN_WORKSPACE'],
    ["a token of another user than the queue's", { sub: 'bob' }, 401, 'WRONG_LOGIN'],
  ])('P4 · %s is refused, and nothing is stored', async (_, given, status, code) => {
    const workspaceId = `w-${randomUUID()}`;
    const authorization =
      given === null || typeof given === 'string' ? given : `Bearer ${await token({ workspaceId, ...given })}`;
    const request = batch(workspaceId);

    const answer = await open().request('/v1/apply', {
      method: 'POST',
      body: JSON.stringify({ ...request, client: { ...request.client, userId: 'ada' } }),
      headers: { 'content-type': 'application/json', ...(authorization === null ? {} : { authorization }) },
    });

    expect(answer.status).toBe(status);
    expect(await errorOf(answer)).toMatchObject({ code, hint: expect.stringMatching(/.{10}/) as unknown });
    expect(await countTraces(world.database, workspaceId)).toEqual({ accounts: 0, ledger: 0, audit: 0 });
  });

  test('P4 · a token that claims to need no signature is refused', async () => {
    const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const unsigned = `${part({ alg: 'none' })}.${part({ sub: 'x', role: 'authenticated', exp: 4_000_000_000 })}.`;
    const answer = await post(batch('w'), unsigned);
    expect([answer.status, (await errorOf(answer)).code]).toEqual([401, 'TOKEN_INVALID']);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
  });

  test('P4 · the client of another user is refused', async () => {
    const request = batch('w-clients');
    await post(request, await token({ sub: 'ada', workspaceId: 'w-clients' }));
    const answer = await post(request, await token({ sub: 'eve', workspaceId: 'w-clients' }));
    expect([answer.status, (await errorOf(answer)).code]).toEqual([403, 'FOREIGN_CLIENT']);
  });

  test('P9 · a body of 2 MB is refused by its header, and also when it hides its length', async () => {
    const large = JSON.stringify({ ...batch('w'), padding: 'x'.repeat(2_000_000) });
    const honest = await open().request('/v1/apply', {
      method: 'POST',
      body: large,
      headers: { ...(await headers()), 'content-length': String(large.length) },
    });
    let pulledBytes = 0;
    const stream = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulledBytes += 65_536;
        if (pulledBytes > 20_000_000) controller.close();
        else controller.enqueue(new Uint8Array(65_536));
      },
    });
    const hidden = await open().fetch(
      new Request('http://door/v1/apply', { method: 'POST', body: stream, headers: await headers(), duplex: 'half' }),
    );

    for (const answer of [honest, hidden]) {
      expect(answer.status).toBe(413);
      expect(await errorOf(answer)).toMatchObject({ category: 'VALIDATION_ERROR', code: 'BODY_TOO_LARGE' });
    }
    // the rest was not read
    expect(pulledBytes).toBeLessThan(2_000_000);
  });

  test.each<[string, unknown, number, string]>([
    ['no JSON', '{', 400, 'INVALID_REQUEST'],
    ['HTML', '<html></html>', 400, 'INVALID_REQUEST'],
    ['null', 'null', 400, 'INVALID_REQUEST'],
    ['an array', '[]', 400, 'INVALID_REQUEST'],
    ['bytes that are no UTF-8', new Uint8Array([0x22, 0xff, 0x22]), 400, 'INVALID_REQUEST'],
    ['JSON nested a hundred thousand deep', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, 400, 'INVALID_REQUEST'],
    ['another protocol', JSON.stringify({ protocol: 2, mutations: [] }), 426, 'UPGRADE_REQUIRED'],
    ['no client', JSON.stringify({ ...batch('w'), client: undefined }), 400, 'INVALID_REQUEST'],
    [
      'a client id that is no UUID',
      JSON.stringify({ ...batch('w'), client: { id: 'x', workspaceId: 'w' } }),
      400,
      'INVALID_REQUEST',
    ],
    ['a mutation without payload', JSON.stringify({ ...batch('w'), mutations: [{ id: 'x' }] }), 400, 'INVALID_REQUEST'],
    [
      '101 mutations',
      JSON.stringify({ ...batch('w'), mutations: Array.from({ length: 101 }, () => batch('w').mutations[0]) }),
      413,
      'BATCH_TOO_LARGE',
    ],
  ])('P9 · a body that is %s is refused', async (_, body, status, code) => {
    const answer = await open().request('/v1/apply', {
      method: 'POST',
      body: body as string | Uint8Array<ArrayBuffer>,
      headers: await headers('w'),
    });
    expect(answer.status).toBe(status);
    expect(await errorOf(answer)).toMatchObject({ code });
  });

  test('P9 · a refusal says where the request is wrong', async () => {
    const [mutation] = batch('w').mutations;
    const answer = await post({ ...batch('w'), mutations: [{ ...mutation, seq: 'one' }] }, await token());
    expect(await errorOf(answer)).toMatchInlineSnapshot(`
      {
        "category": "VALIDATION_ERROR",
        "code": "INVALID_REQUEST",
        "hint": "Send an ApplyRequest as the protocol describes it.",
        "message": "The request is not a batch: mutations.0.seq: Invalid input: expected number, received string.",
      }
    `);
  });

  test('P9 · a body that is not declared as JSON, or is compressed otherwise than by gzip, is refused', async () => {
    for (const odd of [{ 'content-type': 'text/plain' }, { 'content-encoding': 'br' }]) {
      const answer = await open().request('/v1/apply', {
        method: 'POST',
        body: JSON.stringify(batch('w')),
        headers: { ...(await headers('w')), ...odd },
      });
      expect([answer.status, (await errorOf(answer)).code]).toEqual([400, 'INVALID_REQUEST']);
    }
  });

  test.each([
    ['a NUL', { name: 'a\u0000b' }],
    ['half a surrogate pair', { name: '\ud800' }],
    ['a NUL in a key', { 'na\u0000me': 'x' }],
    ['nesting beyond 32', { name: 'x', tags: nest(32) }],
  ])('P9 · a payload with %s is rejected by itself, and the batch goes on', async (_, payload) => {
    const workspaceId = `w-${randomUUID()}`;
    const [mutation] = batch(workspaceId).mutations;
    const answer = await post(
      {
        ...batch(workspaceId),
        mutations: [
          { ...mutation, payload },
          { ...mutation, id: randomUUID(), seq: 2, after: 1 },
        ],
      },
      await token({ workspaceId }),
    );
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({
      outcomes: [{ kind: 'rejected', error: { code: 'INVALID_PAYLOAD' } }, { kind: 'applied' }],
    });
  });

  test('P9 · a payload nested 32 deep, and one named like a prototype, are taken for what they are', async () => {
    const workspaceId = `w-${randomUUID()}`;
    const body = JSON.stringify({
      ...batch(workspaceId),
      mutations: [
        { ...batch(workspaceId).mutations[0], payload: { name: 'deep', tags: nest(31) } },
        { ...batch(workspaceId).mutations[0], id: randomUUID(), seq: 2, payload: { name: 'proto', tags: 'PROTO' } },
      ],
    }).replace('"PROTO"', '{"__proto__":{"polluted":true}}');
    const answer = await open().request('/v1/apply', { method: 'POST', body, headers: await headers(workspaceId) });
    const { outcomes } = (await answer.json()) as { outcomes: { kind: string; result: { tags: object } }[] };

    expect(outcomes.map((outcome) => outcome.kind)).toEqual(['applied', 'applied']);
    expect(JSON.stringify(outcomes[1]?.result.tags)).toBe('{"__proto__":{"polluted":true}}');
    expect(Reflect.has({}, 'polluted')).toBe(false);
  });

  test('P5 · the history is refused without a token, and when asked for strangely', async () => {
    const answer = await open().request('/v1/audit');
    expect([answer.status, (await errorOf(answer)).code]).toEqual([401, 'TOKEN_MISSING']);
    for (const query of [
      'limit=0',
      'limit=201',
      'limit=x',
      'before=-1',
      'before=1;drop',
      'entityId=1',
      'entityType=',
      'action=erase',
      'startDate=yesterday',
      'startDate=0000-12-31', // before our era, as Postgres has no such year
      'endDate=2026-01-01T10:00:00', // in which zone?
    ]) {
      const odd = await open().request(`/v1/audit?${query}`, { headers: await headers() });
      expect([query, odd.status, (await errorOf(odd)).code]).toEqual([query, 400, 'INVALID_REQUEST']);
    }
  });

  test('P5 · the history shows the caller no other workspace', async () => {
    const workspaceId = `w-${randomUUID()}`;
    await post(batch(workspaceId), await token({ workspaceId }));
    const answer = await open().request('/v1/audit', { headers: await headers('someone-elses') });
    expect(await answer.json()).toEqual({ entries: [], nextBefore: null });
    const asked = await open().request(`/v1/audit?workspaceId=${workspaceId}`, {
      headers: await headers('someone-elses'),
    });
    expect([asked.status, (await errorOf(asked)).code]).toEqual([403, 'FOREIGN_WORKSPACE']);
  });

  test('P4 · health is JSON that no captive portal could have answered', async () => {
    const answer = await open().request('/v1/health');
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toContain('application/json');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(await answer.json()).toEqual({
      service: 'holdfast',
      protocol: 1,
      status: 'ok',
      serverTime: expect.stringMatching(/Z$/) as unknown,
    });
  });

  test('P4 · an unknown address and a wrong method are answered in JSON', async () => {
    for (const [path, method] of [
      ['/v1/nothing', 'GET'],
      ['/v1/apply', 'GET'],
      ['/v1/health', 'POST'],
      ['/elsewhere', 'GET'],
    ]) {
      const answer = await open().request(path ?? '', { method: method ?? '' });
      expect([path, answer.status, (await errorOf(answer)).code]).toEqual([path, 404, 'NOT_FOUND']);
    }
  });

  test('P9 · with the database away: 503, when to come back, and no word of why', async () => {
    const away = openPg({ connectionString: 'postgres://nobody:secret@127.0.0.1:1/none', connectTimeoutMs: 500 });
    const door = createDoor({ database: away, auth: { secret: SECRET } });
    const applied = await door.request('/v1/apply', {
      method: 'POST',
      body: JSON.stringify(batch('w')),
      headers: await headers('w'),
    });
    const health = await door.request('/v1/health');
    await away.close();

    for (const answer of [applied, health]) {
      expect(answer.status).toBe(503);
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
      const text = await answer.text();
      expect(text).toContain('SERVER_UNAVAILABLE');
      expect(text).not.toMatch(/ECONNREFUSED|127\.0\.0\.1|nobody|secret/);
    }
  });

  test('P9 · what goes wrong inside stays inside, and the log names neither payload nor token', async () => {
    const entries: DoorLogEntry[] = [];
    const broken: Database = {
      ...world.database,
      transact: () => Promise.reject(Object.assign(new Error('duplicate key (name)=(CANARY)'), { code: 'XX000' })),
    };
    const bearer = await token({ workspaceId: 'w' });
    const answer = await open(broken, entries).request('/v1/apply', {
      method: 'POST',
      body: JSON.stringify(batch('w', 'CANARY')),
      headers: { 'content-type': 'application/json', authorization: `Bearer ${bearer}` },
    });

    expect(answer.status).toBe(500);
    expect(await answer.text()).toMatch(/"code":"INTERNAL"/);
    expect(entries).toEqual([
      {
        method: 'POST',
        path: '/v1/apply',
        status: 500,
        durationMs: expect.any(Number) as unknown,
        code: 'INTERNAL',
        cause: 'Error',
        sqlState: 'XX000',
      },
    ]);
    expect(JSON.stringify(entries)).not.toContain('CANARY');
    expect(JSON.stringify(entries)).not.toContain(bearer);
  });

  test('P9 · a busy database is told apart from a broken one', async () => {
    const busy: Database = {
      ...world.database,
      transaction: () => Promise.reject(Object.assign(new Error('deadlock'), { code: '40P01' })),
    };
    const answer = await open(busy).request('/v1/audit', { headers: await headers() });
    expect([answer.status, (await errorOf(answer)).code]).toEqual([503, 'SERVER_UNAVAILABLE']);
    expect(answer.headers.get('retry-after')).toBe('2');
  });

  test('P4 · where the address of the database or the secret is empty, it is asked whether the variable is set', () => {
    for (const connectionString of ['', ' ', undefined as never]) {
      expect(() => openPg({ connectionString })).toThrow(
        new TypeError('openPg: `connectionString` is empty. Is DATABASE_URL set?'),
      );
    }
    expect(() => createDoor({ database: world.database, auth: { secret: '' } })).toThrow(
      'auth.secret must be at least 32 bytes long, not 0. Is its environment variable set?',
    );
  });

  test('P4 · a secret that can be guessed is refused at start', () => {
    expect(() => createDoor({ database: world.database, auth: { secret: 'short' } })).toThrow(
      'auth.secret must be at least 32 bytes long, not 5.',
    );
  });

  function open(database: Database = world.database, entries: DoorLogEntry[] = []) {
    const log = (entry: DoorLogEntry): void => void entries.push(entry);
    return createDoor({ database, auth: { secret: SECRET }, logger: { info: log, error: log } });
  }

  async function post(body: unknown, bearer: string): Promise<Response> {
    return open().request('/v1/apply', {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json', authorization: `Bearer ${bearer}` },
    });
  }
});

function batch(workspaceId: string, name = 'Oslo'): ApplyRequest {
  return {
    protocol: 1,
    client: { id: randomUUID(), workspaceId },
    acknowledgedFloor: 0,
    mutations: [
      {
        id: randomUUID(),
        seq: 1,
        after: null,
        generation: 0,
        type: 'account.create',
        version: 1,
        operation: 'create',
        entity: { table: 'accounts', id: randomUUID() },
        payload: { name },
        createdAt: '2026-01-01T00:00:00.000Z',
      },
    ],
  };
}

async function headers(workspaceId = 'w'): Promise<Record<string, string>> {
  return { 'content-type': 'application/json', authorization: `Bearer ${await token({ workspaceId })}` };
}

function token(options: TokenOptions = {}): Promise<string> {
  const workspaceId = options.workspaceId === undefined ? 'w' : options.workspaceId;
  const draft = new SignJWT({
    role: options.role ?? 'authenticated',
    ...(workspaceId === null ? {} : { workspace_id: workspaceId }),
  })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(options.sub ?? 'user');
  if (options.expiresInSeconds !== null) {
    draft.setExpirationTime(Math.floor(Date.now() / 1000) + (options.expiresInSeconds ?? 3600));
  }
  return draft.sign(new TextEncoder().encode(options.secret ?? SECRET));
}

async function errorOf(answer: Response): Promise<ErrorBody['error']> {
  return ((await answer.json()) as ErrorBody).error;
}

/** Arrays within arrays, this many. */
function nest(depth: number): object {
  let value: object = [];
  for (let level = 1; level < depth; level += 1) value = [value];
  return value;
}
