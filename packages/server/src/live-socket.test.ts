import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { createTokenVerifier } from './auth.ts';
import type { LiveChannel } from './live-channel.ts';
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

test('P8, P9 · of lines that do not say who they are so many are held, and one that ends makes room', async () => {
  const server = await listen();
  attachLiveSocket(server, { live, verifyToken, waitingCountMax: 2 });
  const lines = [await open(server), await open(server)];

  expect(await upgrade(server, '/v1/live')).toMatch(/^HTTP\/1\.1 503 Service Unavailable\r\nRetry-After: 2\r\n/);

  const closed = once(lines[0] as WebSocket, 'close');
  lines[0]?.terminate();
  await closed;
  await expect.poll(() => open(server).then(({ readyState }) => readyState, String)).toBe(WebSocket.OPEN);
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

function open(server: Server): Promise<WebSocket> {
  const socket = new WebSocket(`${urlOf(server).replace('http', 'ws')}/v1/live`);
  onTestFinished(() => socket.terminate());
  return new Promise((resolve, reject) => socket.once('open', () => resolve(socket)).once('error', reject));
}

async function listen(): Promise<Server> {
  const server = createServer((_, response) => response.end('here'));
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
