import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import type { LiveMessage } from 'holdfast/protocol';
import { Hono } from 'hono';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { createTokenVerifier } from './auth.ts';
import type { LiveChannel, LiveSink } from './live-channel.ts';
import { liveEvents } from './live-events.ts';
import { attachLiveSocket } from './live-socket.ts';
import { Refusal } from './refusal.ts';
import { TEST_SECRET } from './testing-databases/test-token.ts';

/** Nobody gets so far as to subscribe. */
const live: LiveChannel = {
  subscribe: () => {
    throw new Error('Nobody was to be let in.');
  },
  nudge: () => undefined,
  subscriberCount: 0,
  closing: new AbortController().signal,
  close: async () => undefined,
};
const verifyToken = createTokenVerifier({ secret: TEST_SECRET });

test.each(['//', 'http://[', '/nothing', '/v1/live/', '*', '//v1/live'])(
  'P8, P9 · a line to %s is answered with 404 and ended, and the server serves on',
  async (target) => {
    const server = await listen();
    attachLiveSocket(server, { live, verifyToken });

    expect(await upgrade(server, target)).toMatch(/^HTTP\/1\.1 404 Not Found\r\n/);
    expect((await fetch(urlOf(server))).status).toBe(200);
  },
);

test('P8 · an address with a query is the same address', async () => {
  const server = await listen();
  attachLiveSocket(server, { live, verifyToken });

  expect(await upgrade(server, '/v1/live?a=//b', 'not a key')).toMatch(/^HTTP\/1\.1 400 /);
});

test('P8 · a line to another address is left to who else takes lines of that server', async () => {
  const server = await listen();
  attachLiveSocket(server, { live, verifyToken });
  server.on('upgrade', (request, line) => {
    if (request.url === '/theirs') line.end('HTTP/1.1 418 Theirs\r\n\r\n');
  });

  expect(await upgrade(server, '/theirs')).toMatch(/^HTTP\/1\.1 418 /);
});

test('P8, P9 · of lines that do not say who they are so many are held: the one that has waited longest makes room, and is told why', async () => {
  const server = await listen();
  attachLiveSocket(server, { live, verifyToken, waitingCountMax: 2 });
  const [first, second] = [await open(server), await open(server)];
  const told = once(first, 'message');
  const closed = once(first, 'close');
  const third = await open(server);

  expect(JSON.parse(String((await told)[0]))).toMatchObject({
    kind: 'refused',
    error: { code: 'SERVER_UNAVAILABLE' },
    retryAfterMs: 2_000,
  });
  expect((await closed)[0]).toBe(4_400);
  expect([second.readyState, third.readyState]).toEqual([WebSocket.OPEN, WebSocket.OPEN]);
});

test('P9 · whoever opens many lines and says nothing shuts nobody out: of the address that has most, one goes', async () => {
  const server = await listen();
  attachLiveSocket(server, { live, verifyToken, waitingCountMax: 10, trustedHops: 1 });
  const from = (address: string): Promise<WebSocket> => open(server, `1.1.1.1, ${address}`);
  const honest = await from('10.0.0.1');
  const silent: WebSocket[] = [];
  for (let index = 0; index < 50; index += 1) silent.push(await from('10.0.0.2'));
  // the last of those that were let go has closed, and before it all others
  await expect.poll(() => silent[40]?.readyState).toBe(WebSocket.CLOSED);

  expect(honest.readyState).toBe(WebSocket.OPEN);
  expect(silent.slice(41).map(({ readyState }) => readyState)).toEqual(Array(9).fill(WebSocket.OPEN));
  const told = once(honest, 'message');
  honest.send('{"kind": "subscribe", "token": "none"}');
  expect(JSON.parse(String((await told)[0]))).toMatchObject({ error: { code: 'TOKEN_INVALID' } });
});

test('P9 · a line on which nobody signs in in time is refused, and cut, although nothing answers on it', async () => {
  const server = await listen();
  attachLiveSocket(server, { live, verifyToken, signInMs: 50 });

  const answer = await upgrade(server, '/v1/live');
  expect(answer).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/);
  expect(answer).toContain('"code":"TOKEN_MISSING"');
  expect(answer).toContain('"retryAfterMs":1000');
});

test.each([
  ['the keys are out of reach', new Refusal('SERVER_UNAVAILABLE', 'Away.', 'Later.'), 2_000],
  ['something went wrong inside', new Error('a fault'), 5_000],
  ['the login is none', new Refusal('TOKEN_INVALID', 'None.', 'Sign in.'), null],
])('P8 · where %s, a line is told whether to come again', async (_, thrown, retryAfterMs) => {
  const server = await listen();
  attachLiveSocket(server, { live, verifyToken: () => Promise.reject(thrown) });
  const socket = await open(server);
  const told = once(socket, 'message');
  socket.send('{"kind": "subscribe", "token": "x"}');
  expect(JSON.parse(String((await told)[0]))).toMatchObject({ kind: 'refused', retryAfterMs });
});

test('P8, P9 · whoever does not read Server-Sent Events loses the line with the subscription', async () => {
  const sinks: LiveSink[] = [];
  const channel: LiveChannel = {
    ...live,
    subscribe: (_claims, _cursor, sink) => {
      sinks.push(sink);
      return () => undefined;
    },
  };
  const door = new Hono();
  door.get('/v1/live', () => liveEvents(channel, { sub: 'ada', role: 'authenticated', workspace_id: 'w' }, null));
  const server = await listen(getRequestListener(door.fetch));
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const line = connect(Number(new URL(urlOf(server)).port), '127.0.0.1');
  onTestFinished(() => void line.destroy());
  line.write('GET /v1/live HTTP/1.1\r\nHost: x\r\n\r\n');
  const [theirs] = await accepted;
  const ended = new Promise((resolve) => theirs.once('close', resolve));
  await expect.poll(() => sinks.length).toBe(1);

  // until the line is full: nobody reads at the other end
  const message: LiveMessage = { kind: 'ready', cursor: 'x'.repeat(1_000_000) };
  let isTaken = true;
  while (isTaken) {
    isTaken =
      (await Promise.race([
        sinks[0]?.send(message).then(() => true),
        new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 200)),
      ])) ?? false;
  }
  sinks[0]?.close();
  await ended;
});

test('P8, P9 · one that goes while its login is looked at ends nothing but its own line', async () => {
  const server = await listen();
  const asked = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<never>();
  attachLiveSocket(server, {
    live,
    verifyToken: () => {
      asked.resolve();
      return gate.promise;
    },
  });
  const lost: unknown[] = [];
  const note = (reason: unknown): void => void lost.push(reason);
  process.on('unhandledRejection', note);
  onTestFinished(() => void process.off('unhandledRejection', note));

  const socket = await open(server);
  socket.send('{"kind": "subscribe", "token": "x"}');
  await asked.promise;
  const closed = once(socket, 'close');
  socket.close();
  await closed;
  gate.reject(new Refusal('TOKEN_INVALID', 'Nobody.', 'Sign in.'));
  // what nobody takes is told after all that is due by now
  await new Promise((resolve) => setImmediate(resolve));

  expect(lost).toEqual([]);
});

function open(server: Server, forwardedFor?: string): Promise<WebSocket> {
  const headers = forwardedFor === undefined ? {} : { 'x-forwarded-for': forwardedFor };
  const socket = new WebSocket(`${urlOf(server).replace('http', 'ws')}/v1/live`, { headers });
  onTestFinished(() => socket.terminate());
  return new Promise((resolve, reject) => socket.once('open', () => resolve(socket)).once('error', reject));
}

async function listen(answer: RequestListener = (_, response) => response.end('here')): Promise<Server> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return server;
}

/** What comes back, once the other side has ended the line. */
async function upgrade(server: Server, target: string, key = 'AAAAAAAAAAAAAAAAAAAAAA=='): Promise<string> {
  const line = connect(Number(new URL(urlOf(server)).port), '127.0.0.1');
  line.write(
    `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
  );
  let answer = '';
  for await (const piece of line) answer += String(piece);
  return answer;
}

function urlOf(server: Server): string {
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return `http://127.0.0.1:${address.port}`;
}
