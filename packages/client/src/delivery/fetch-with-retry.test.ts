import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { FakeClock } from '../queue/testing-queue/fake-clock.ts';
import { type FetchRetryOptions, fetchWithRetry } from './fetch-with-retry.ts';

let server: Server | null = null;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  server = null;
});

type Step = number | 'reset' | { readonly status: number; readonly headers: Record<string, string> };

/** A real server that takes these steps in turn, and answers with 200 afterwards. */
async function serve(...steps: readonly Step[]): Promise<{ readonly url: string; readonly bodies: string[] }> {
  const bodies: string[] = [];
  const listening = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      bodies.push(body);
      const step = steps[bodies.length - 1] ?? 200;
      if (step === 'reset') request.socket.resetAndDestroy();
      else if (typeof step === 'number') response.writeHead(step).end(`answer ${bodies.length}`);
      else response.writeHead(step.status, step.headers).end();
    });
  });
  server = listening;
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(listening.address() as AddressInfo).port}/`, bodies };
}

/** A clock on which every wait is over at once; it notes how long each was. */
function hurry(): FetchRetryOptions & { readonly delaysMs: number[] } {
  const delaysMs: number[] = [];
  const clock = {
    wallMs: () => 0,
    nowMs: () => 0,
    schedule: (delayMs: number, callback: () => void) => {
      delaysMs.push(delayMs);
      const immediate = setImmediate(callback);
      return () => clearImmediate(immediate);
    },
  };
  return { clock, random: () => 0.5, jitter: 'none', delaysMs };
}

test('R7 · 503, 500, then 200: the caller gets the 200, its body unread', async () => {
  const { url, bodies } = await serve(503, 500);
  const options = hurry();
  const response = await fetchWithRetry(url, { method: 'POST', body: '{"a":1}' }, options);
  expect([response.status, response.bodyUsed]).toEqual([200, false]);
  expect(await response.text()).toBe('answer 3');
  expect(bodies).toEqual(['{"a":1}', '{"a":1}', '{"a":1}']);
  expect(options.delaysMs).toEqual([1_000, 2_000]);
});

test('R7 · out of retries, the last answer is returned as fetch would, its body unread', async () => {
  const { url, bodies } = await serve(503, 503, 503, 502);
  const response = await fetchWithRetry(url, {}, hurry());
  expect([response.status, response.bodyUsed, bodies.length]).toEqual([502, false, 4]);
  expect(await response.text()).toBe('answer 4');
});

test.each([200, 204, 400, 401, 404, 409, 422])('R2 · %i is returned at once', async (status) => {
  const { url, bodies } = await serve(status);
  expect((await fetchWithRetry(url, {}, hurry())).status).toBe(status);
  expect(bodies).toHaveLength(1);
});

test.each([408, 425, 429, 500, 503])('R2 · %i is tried again', async (status) => {
  const { url } = await serve(status);
  expect((await fetchWithRetry(url, {}, hurry())).status).toBe(200);
});

test('R2 · a redirect that the caller did not want followed is what they asked for', async () => {
  const { url, bodies } = await serve({ status: 302, headers: { location: '/elsewhere' } });
  expect((await fetchWithRetry(url, { redirect: 'manual' }, hurry())).status).toBe(302);
  expect(bodies).toHaveLength(1);
});

test('R3 · Retry-After in seconds and as a date', async () => {
  const date = new Date().toUTCString();
  const later = new Date(Date.parse(date) + 9_000).toUTCString();
  const { url } = await serve(
    { status: 429, headers: { 'retry-after': '5' } },
    { status: 503, headers: { 'retry-after': later, date } },
  );
  const options = hurry();
  await fetchWithRetry(url, {}, options);
  expect(options.delaysMs).toEqual([5_000, 9_000]);
});

test('R2 · a real connection reset is tried again within 100 ms', async () => {
  const { url } = await serve('reset');
  const options = hurry();
  expect((await fetchWithRetry(url, {}, options)).status).toBe(200);
  expect(options.delaysMs).toEqual([50]);
});

test('R7 · no answer at all: a typed error with the last failure as its cause', async () => {
  const { url } = await serve('reset', 'reset');
  const failed = fetchWithRetry(url, {}, { ...hurry(), maxRetries: 1 });
  await expect(failed).rejects.toMatchObject({ category: 'NETWORK_ERROR', code: 'UNREACHABLE' });
  await expect(failed).rejects.toHaveProperty('cause.message', 'fetch failed');
});

test('R7 · a stream is sent once, and the error says why', async () => {
  const { url } = await serve('reset');
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode('once'));
      controller.close();
    },
  });
  const init = { method: 'POST', body, duplex: 'half' } as RequestInit;
  const failed = fetchWithRetry(url, init, hurry());
  await expect(failed).rejects.toMatchObject({ code: 'BODY_NOT_REPEATABLE', category: 'NETWORK_ERROR' });
  await expect(failed).rejects.toHaveProperty('cause.message', 'fetch failed');
});

test('R7 · a stream that was answered gets its answer, whatever it is', async () => {
  const { url, bodies } = await serve(503);
  const body = new Blob(['once']).stream();
  expect((await fetchWithRetry(url, { method: 'POST', body, duplex: 'half' } as RequestInit, hurry())).status).toBe(
    503,
  );
  expect(bodies).toEqual(['once']);
});

test.each([
  { name: 'a blob', body: new Blob(['same']) },
  { name: 'a buffer', body: new TextEncoder().encode('same') },
  { name: 'a form', body: new URLSearchParams('same') },
])('R7 · $name is sent again', async ({ body }) => {
  const { url, bodies } = await serve(503);
  expect((await fetchWithRetry(url, { method: 'POST', body }, hurry())).status).toBe(200);
  expect(bodies[1]).toBe(bodies[0]);
});

test('R7 · aborting during a wait ends it', async () => {
  const { url, bodies } = await serve(503);
  const clock = new FakeClock();
  const abort = new AbortController();
  const ended = fetchWithRetry(
    url,
    { signal: abort.signal },
    { clock, random: () => 0.5, onRetry: () => abort.abort(new Error('gone')) },
  );
  await expect(ended).rejects.toThrow('gone');
  expect([bodies.length, clock.waitingCount]).toEqual([1, 0]);
});

test('R7 · aborting while the server is asked ends it', async () => {
  const abort = new AbortController();
  const fetching = (): Promise<Response> => {
    abort.abort(new Error('gone'));
    return Promise.reject(new TypeError('fetch failed'));
  };
  await expect(fetchWithRetry('/x', { signal: abort.signal }, { ...hurry(), fetch: fetching })).rejects.toThrow('gone');
});
