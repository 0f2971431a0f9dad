import { expect, test } from 'vitest';
import { FakeClock } from './fake-clock.ts';
import { FaultyServer, type RequestErrorMode } from './faulty-server.ts';
import { NetworkSimulator } from './network-simulator.ts';

function open() {
  const arrived: string[] = [];
  const server = new FaultyServer({
    fetch: async (input, init) => {
      arrived.push(`${init?.method} ${String(input)} ${String(init?.body ?? '')}`.trim());
      return new Response('{"real":true}', { headers: { 'content-type': 'application/json' } });
    },
  });
  const clock = new FakeClock();
  const network = new NetworkSimulator({ clock, random: () => 0.5, server });
  return { arrived, server, network, clock };
}

test('K1 · before a real server: what nothing is wrong with goes through, with its query and its body', async () => {
  const { arrived, network } = open();
  expect(await (await network.fetch('/list?since=7')).json()).toEqual({ real: true });
  await network.fetch('/v1/apply', { method: 'POST', body: '{"a":1}' });
  expect(arrived).toEqual(['GET /list?since=7', 'POST /v1/apply {"a":1}']);
});

test.each<{ readonly mode: RequestErrorMode; readonly status: number; readonly arrives: boolean }>([
  { mode: 'unauthorized', status: 401, arrives: false },
  { mode: 'serverError', status: 500, arrives: false },
  { mode: 'failsAfterCommit', status: 500, arrives: true },
  { mode: { status: 429, headers: { 'retry-after': '5' } }, status: 429, arrives: false },
])('K1 · before a real server, with $mode it answers $status', async ({ mode, status, arrives }) => {
  const { arrived, server, network } = open();
  server.setErrorMode(mode, { when: ({ path }) => path === '/v1/apply' });
  expect((await network.fetch('/v1/apply', { method: 'POST' })).status).toBe(status);
  expect(arrived).toHaveLength(arrives ? 1 : 0);
  expect((await network.fetch('/v1/health')).status).toBe(200);
  server.setErrorMode(null);
  expect((await network.fetch('/v1/apply', { method: 'POST' })).status).toBe(200);
});

test('K1 · before a real server: no answer ever comes, whether the request arrived or not', async () => {
  for (const [mode, count] of [
    ['timeout', 0],
    ['halfOpen', 1],
  ] as const) {
    const { arrived, server, network, clock } = open();
    server.setErrorMode(mode);
    let isAnswered = false;
    const abort = new AbortController();
    const asked = network.fetch('/v1/apply', { signal: abort.signal }).finally(() => {
      isAnswered = true;
    });
    await clock.advance(60_000);
    expect([arrived.length, isAnswered]).toEqual([count, false]);
    abort.abort();
    await expect(asked).rejects.toThrow();
  }
});

test('K1 · before a real server, a mode about single mutations is refused, with those that there are', () => {
  expect(() => open().server.setErrorMode('validation' as RequestErrorMode)).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', hint: expect.not.stringContaining('validation') as unknown }),
  );
});
