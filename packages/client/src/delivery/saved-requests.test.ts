import { describe, expect, test } from 'vitest';
import { createQueue } from '../queue/create-queue.ts';
import { TestDevice } from '../queue/testing-queue/test-device.ts';
import { routeTransport } from './route-transport.ts';
import { savedRequests, type SavedRequestsOptions } from './saved-requests.ts';

interface Call {
  readonly url: string;
  readonly init: RequestInit;
}

/** A queue that keeps requests beside its own mutations, and a backend that answers with `status`. */
async function rig(options: SavedRequestsOptions = {}) {
  const device = new TestDevice();
  const calls: Call[] = [];
  const backend = { statusOf: (url: string): number => (url === '' ? 0 : 200) };
  const requests = savedRequests({
    ...options,
    fetch: async (url, init) => {
      calls.push({ url, init });
      const status = backend.statusOf(url);
      if (status === 0) throw new TypeError('Failed to fetch');
      return new Response('', { status });
    },
  });
  let idCount = 0;
  const queue = createQueue({
    name: 'app',
    identity: { userId: 'ann', workspaceId: 'home' },
    mutations: [requests.definition],
    transport: routeTransport({
      byType: { [requests.definition.type]: requests.transport },
      otherwise: device.server.transport,
    }),
    storage: device.storage.open,
    network: device.network,
    tabs: device.browser.openTabs,
    auth: { getToken: async () => 'secret' },
    clock: device.clock,
    random: () => 0,
    newId: () => `id-${(idCount += 1)}`,
  });
  await device.clock.settle();
  /** Runs while the clock goes on. */
  const during = async <Value>(work: Promise<Value>): Promise<Value> => {
    await device.clock.pass(1_000);
    return work;
  };
  return { device, calls, backend, queue, during, ...requests.bindTo(queue) };
}

const headersOf = (call: Call | undefined): unknown => call?.init.headers;

describe('saving', () => {
  test('R7 · a request is kept and made again: same method, body, and the id as its Idempotency-Key', async () => {
    const { saveFailedRequest, during, calls } = await rig();
    const { settled, id } = await during(saveFailedRequest('/api/orders', 'post', { item: 5 }));
    expect(await settled).toMatchObject({ status: 'completed', result: { status: 200 } });
    expect(calls).toMatchObject([{ url: '/api/orders', init: { method: 'POST', body: '{"item":5}' } }]);
    expect(headersOf(calls[0])).toEqual({
      'content-type': 'application/json',
      'idempotency-key': id,
      authorization: 'Bearer secret',
    });
  });

  test('R7 · a body that is text travels as it is, and none at all stays none', async () => {
    const { saveFailedRequest, during, calls } = await rig();
    await during(
      saveFailedRequest('/a', 'PUT', 'a=1', { headers: { 'Content-Type': 'application/x-www-form-urlencoded' } }),
    );
    await during(saveFailedRequest('/b', 'DELETE'));
    expect(calls[0]?.init.body).toBe('a=1');
    expect(headersOf(calls[0])).toMatchObject({ 'content-type': 'application/x-www-form-urlencoded' });
    expect(calls[1]?.init).not.toHaveProperty('body');
  });

  test('R7 · requests to one address are made in order, each after the verdict on the one before', async () => {
    const { saveFailedRequest, during, device, calls, backend } = await rig();
    backend.statusOf = (url) => (url === '/a' ? 0 : 200);
    await during(
      Promise.all([
        saveFailedRequest('/a', 'POST', 1),
        saveFailedRequest('/a', 'POST', 2),
        saveFailedRequest('/b', 'POST', 3),
      ]),
    );
    expect(calls.filter(({ url }) => url === '/a').every(({ init }) => init.body === '1')).toBe(true);
    expect(calls.some(({ url }) => url === '/b')).toBe(true);
    backend.statusOf = () => 200;
    await device.clock.pass(120_000);
    expect(calls.filter(({ url }) => url === '/a').at(-1)?.init.body).toBe('2');
  });

  test.each(['Authorization', 'Cookie', 'apikey'])(
    'R7 · the header %s is refused: a login is not kept',
    async (header) => {
      const { saveFailedRequest, queue } = await rig();
      await expect(saveFailedRequest('/a', 'POST', null, { headers: { [header]: 'x' } })).rejects.toMatchObject({
        code: 'INVALID_OPTION',
      });
      expect(queue.getSnapshot().pendingCount).toBe(0);
    },
  );

  test.each([
    ['/api', true],
    ['https://api.example.com/x', true],
    ['https://api.example.com', true],
    ['https://api.example.com.evil.test/x', false],
    ['https://api.example.com@evil.test/x', false],
    ['http://api.example.com/x', false],
    ['//evil.test/x', false],
    ['/\\evil.test/x', false],
    ['/\t/evil.test/x', false],
    ['https://evil.test/https://api.example.com/', false],
  ])('R7 · whether %s is sent the token: %s', async (url, isSent) => {
    const { saveFailedRequest, during, calls } = await rig({ tokenOrigins: ['https://api.example.com'] });
    await during(saveFailedRequest(url, 'POST'));
    expect(Object.hasOwn(headersOf(calls[0]) as object, 'authorization')).toBe(isSent);
  });
});

describe('retrying', () => {
  test('R7 · given-up requests are made again, and the counts say what became of all', async () => {
    const { saveFailedRequest, retryFailedRequests, during, backend } = await rig();
    backend.statusOf = (url) => (url === '/bad' ? 422 : 404);
    await during(
      Promise.all([
        saveFailedRequest('/bad', 'POST'),
        saveFailedRequest('/a', 'POST'),
        saveFailedRequest('/b', 'POST'),
      ]),
    );

    backend.statusOf = (url) => (url === '/bad' ? 422 : 200);

    expect(await during(retryFailedRequests())).toEqual({ succeeded: 2, failed: 1, total: 3 });
    expect(await during(retryFailedRequests())).toEqual({ succeeded: 0, failed: 1, total: 1 });
  });

  test('R7 · what still cannot be made is in neither count, and stays', async () => {
    const { saveFailedRequest, retryFailedRequests, during, backend, queue } = await rig();
    backend.statusOf = () => 0;
    await during(saveFailedRequest('/a', 'POST'));
    expect(await during(retryFailedRequests())).toEqual({ succeeded: 0, failed: 0, total: 1 });
    expect(queue.getSnapshot().pendingCount).toBe(1);
  });

  test('R7 · with none saved there is nothing to do', async () => {
    const { retryFailedRequests, during } = await rig();
    expect(await during(retryFailedRequests())).toEqual({ succeeded: 0, failed: 0, total: 0 });
  });
});
