import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { createTokenVerifier } from './auth.ts';
import type { Database } from './database.ts';
import { createDoor } from './door.ts';
import { createLiveChannel } from './live-channel.ts';
import { attachLiveSocket } from './live-socket.ts';
import { migrate } from './migrate.ts';
import { openPglite } from './pglite-database.ts';
import { shutDown } from './shut-down.ts';
import { TEST_SECRET, testToken } from './testing-databases/test-token.ts';

let database: Database;
beforeAll(async () => {
  database = await openPglite();
  await migrate(database);
});
afterAll(() => database.close());

/** A server in use, with a request under way that is answered when `finish` is called. */
async function serverAtWork() {
  let isDatabaseClosed = false;
  const watched: Database = {
    ...database,
    close: async () => {
      isDatabaseClosed = true;
    },
  };
  const begun = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const door = createDoor({
    database: watched,
    auth: { secret: TEST_SECRET },
    handlers: {
      slow: async () => {
        begun.resolve();
        await gate.promise;
      },
    },
  });
  const server = createServer(getRequestListener(door.fetch));
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
  const url = `http://127.0.0.1:${port}`;
  const answer = post(url);
  answer.catch(() => undefined);
  // Were it refused, it would have an answer before the handler begins.
  await Promise.race([begun.promise, answer.then(({ status }) => expect(status).toBe('not answered yet'))]);
  const finish = (): void => gate.resolve();
  return { server, database: watched, url, answer, finish, isDatabaseClosed: () => isDatabaseClosed };
}

async function post(url: string): Promise<Response> {
  const workspaceId = `w-${randomUUID()}`;
  const mutation = {
    id: randomUUID(),
    seq: 1,
    after: null,
    generation: 0,
    type: 'slow',
    version: 1,
    operation: 'custom',
    entity: null,
    payload: {},
    createdAt: '2026-01-01T00:00:00.000Z',
  };
  const client = { id: randomUUID(), workspaceId };
  return fetch(`${url}/v1/apply`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${await testToken(workspaceId)}`,
    },
    body: JSON.stringify({ protocol: 1, client, acknowledgedFloor: 0, mutations: [mutation] }),
  });
}

test('P9 · a server that ends answers what it took, takes nothing new, and then lets the database go', async () => {
  const { url, answer, finish, isDatabaseClosed, ...parts } = await serverAtWork();
  const ended = shutDown(parts);

  await expect(fetch(`${url}/v1/health`)).rejects.toThrow('fetch failed');
  expect(isDatabaseClosed()).toBe(false);
  finish();

  const response = await answer;
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({ outcomes: [{ kind: 'applied' }] });
  expect(await ended).toEqual({ isWhole: true });
  expect(isDatabaseClosed()).toBe(true);
});

test('P9 · a database that is not let go is not waited for without end, and that is said', async () => {
  const { answer, finish, ...parts } = await serverAtWork();
  finish();
  await answer;
  const database = { ...parts.database, close: () => new Promise<void>(() => undefined) };
  expect(await shutDown({ ...parts, database, finishMsMax: 100 })).toEqual({ isWhole: false });
});

test('P9 · a request that does not end is cut off in the end, and that is said', async () => {
  const { answer, finish, ...parts } = await serverAtWork();
  const ended = shutDown({ ...parts, finishMsMax: 100 });
  await expect(answer).rejects.toThrow('fetch failed');
  expect(await ended).toEqual({ isWhole: false });
  finish();
});

test('P8, P9 · a line on which nobody has signed in yet is told that the server closes, and holds nothing up', async () => {
  const { answer, finish, url, ...parts } = await serverAtWork();
  finish();
  await answer;
  const live = createLiveChannel({ database: parts.database });
  attachLiveSocket(parts.server, { live, verifyToken: createTokenVerifier({ secret: TEST_SECRET }) });
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/live`);
  await once(socket, 'open');
  const told = once(socket, 'message');

  expect(await shutDown({ ...parts, live })).toEqual({ isWhole: true });
  expect(JSON.parse(String((await told)[0]))).toMatchObject({
    error: { code: 'SERVER_UNAVAILABLE' },
    retryAfterMs: 1_000,
  });
});

test('P8, P9 · a line that nobody answers on is not waited for without end, and that is said', async () => {
  const { answer, finish, url, ...parts } = await serverAtWork();
  finish();
  await answer;
  const live = createLiveChannel({ database: parts.database });
  attachLiveSocket(parts.server, { live, verifyToken: createTokenVerifier({ secret: TEST_SECRET }) });
  const line = connect(Number(new URL(url).port), '127.0.0.1');
  line.write(
    'GET /v1/live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
  );
  await once(line, 'data');

  expect(await shutDown({ ...parts, live, finishMsMax: 100 })).toEqual({ isWhole: false });
  line.destroy();
});

test('P8, P9 · a database that answers nothing any more keeps no server from ending', async () => {
  const { answer, finish, ...parts } = await serverAtWork();
  finish();
  await answer;
  const live = createLiveChannel({
    database: { ...parts.database, query: () => new Promise(() => undefined) },
    pollIntervalMs: 1,
  });
  live.subscribe({ sub: 'ada', role: 'authenticated', workspace_id: 'w' }, null, {
    send: async () => undefined,
    close: () => undefined,
  });

  expect(await shutDown({ ...parts, live, finishMsMax: 100 })).toEqual({ isWhole: false });
});
