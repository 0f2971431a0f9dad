import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { TransportAnswer } from '../engine/transport-answer.ts';
import type { ApplyRequest, ErrorBody } from '../protocol/wire.ts';
import { httpTransport, type HttpTransportOptions } from './http-transport.ts';

const request: ApplyRequest = {
  protocol: 1,
  client: { id: 'c', workspaceId: 'w' },
  acknowledgedFloor: 3,
  mutations: [
    {
      id: 'm',
      seq: 4,
      after: null,
      generation: 0,
      type: 'account.rename',
      version: 1,
      operation: 'update',
      entity: { table: 'accounts', id: 'a' },
      payload: { id: 'a', name: 'Ä "quoted"' },
      createdAt: '2026-01-01T00:00:00.000Z',
    },
  ],
};
const OUTCOMES = [
  { seq: 4, id: 'm', kind: 'applied', result: { name: 'x' } },
  { seq: 5, id: 'n', kind: 'duplicate', verdict: 'applied', result: null },
  {
    seq: 6,
    id: 'o',
    kind: 'duplicate',
    verdict: 'rejected',
    error: { category: 'CONFLICT', code: 'ID_REUSED', message: 'x' },
  },
  {
    seq: 7,
    id: 'p',
    kind: 'rejected',
    error: { category: 'VALIDATION_ERROR', code: 'NO_HANDLER', message: 'x', hint: 'y' },
  },
  { seq: 8, id: 'q', kind: 'refused', error: { category: 'SERVER_ERROR', code: '40001', message: 'x' } },
  { seq: 9, id: 'r', kind: 'deferred' },
] as const;
const SERVER_TIME_MS = Date.UTC(2026, 0, 1);
const ANSWER = { protocol: 1, serverTime: '2026-01-01T00:00:00.000Z', outcomes: OUTCOMES };
const OURS: ErrorBody = {
  error: { category: 'SERVER_ERROR', code: 'INTERNAL', message: 'It broke.', hint: 'Tell us.' },
};
const HTML = '<!doctype html><title>Sign in to the hotel</title>';

/** What a transport makes of an answer that a handed-in `fetch` brings. */
async function answerTo(
  response: Response | (() => Promise<Response>),
  signal = new AbortController().signal,
): Promise<TransportAnswer> {
  const transport = httpTransport({
    url: '/v1/apply',
    fetch: () => (response instanceof Response ? Promise.resolve(response) : response()),
  });
  return transport.send(request, { token: 't', signal });
}

function answerWith(status: number, body: unknown, headers: Record<string, string> = {}): Response {
  const isEmpty = [204, 304].includes(status);
  return new Response(isEmpty ? null : typeof body === 'string' ? body : JSON.stringify(body), { status, headers });
}

describe('what an answer means', () => {
  test('R1 · 200 with outcomes is an answer, of every kind there is', async () => {
    expect(await answerTo(answerWith(200, ANSWER))).toEqual({
      kind: 'answered',
      outcomes: OUTCOMES,
      serverTimeMs: SERVER_TIME_MS,
    });
  });

  test('R1 · fields that we do not know are ignored, and a category that we do not know is UNKNOWN_ERROR', async () => {
    const outcome = {
      seq: 1,
      id: 'm',
      kind: 'rejected',
      colour: 'red',
      error: { category: 'NEW_SORT', code: 'X', message: 'y' },
    };

    expect(await answerTo(answerWith(200, { ...ANSWER, mood: 'e', outcomes: [outcome] }))).toEqual({
      kind: 'answered',
      serverTimeMs: SERVER_TIME_MS,
      outcomes: [{ seq: 1, id: 'm', kind: 'rejected', error: { category: 'UNKNOWN_ERROR', code: 'X', message: 'y' } }],
    });
  });

  test('P12 · the epoch of the server comes with the outcomes', async () => {
    const answer = await answerTo(answerWith(200, { ...ANSWER, epoch: 'e', outcomes: [] }));
    expect(answer).toMatchObject({ kind: 'answered', epoch: 'e' });
  });

  test('C1 · a conflict brings the row as it is; an answer whose row is none is not that of our server', async () => {
    const outcome = {
      seq: 4,
      id: 'm',
      kind: 'conflict',
      baseRowVersion: 3,
      current: { name: 'Moss' },
      rowVersion: 4,
      error: { category: 'CONFLICT', code: 'ROW_CHANGED', message: 'x' },
    };
    const answerOf = (current: unknown): Promise<TransportAnswer> =>
      answerTo(answerWith(200, { ...ANSWER, outcomes: [{ ...outcome, current }] }));

    expect(await answerOf(outcome.current)).toMatchObject({ kind: 'answered', outcomes: [outcome] });
    expect(await answerOf(null), 'it was deleted').toMatchObject({ outcomes: [{ current: null }] });
    for (const current of ['a row', ['a row']])
      expect(await answerOf(current)).toMatchObject({ kind: 'unavailable', error: { code: 'NOT_OUR_SERVER' } });
  });

  test('S14 · what the server says of this client comes with the outcomes', async () => {
    const client = { behind: { reason: 'reused', highSeq: 9 } };
    expect(await answerTo(answerWith(200, { ...ANSWER, client }))).toMatchObject({ kind: 'answered', client });
  });

  test('C1 · a server that does not tell the time is believed in all else', async () => {
    expect(await answerTo(answerWith(200, { ...ANSWER, serverTime: 'noon' }))).toEqual({
      kind: 'answered',
      outcomes: OUTCOMES,
    });
  });

  test.each([
    { name: 'HTML, as of a captive portal', body: HTML },
    { name: 'JSON cut short', body: JSON.stringify(ANSWER).slice(0, -10) },
    { name: 'nothing', body: '' },
    { name: 'JSON of somebody else', body: '{"ok":true}' },
    { name: 'a list', body: '[]' },
    {
      name: 'outcomes without ids',
      body: JSON.stringify({ ...ANSWER, outcomes: [{ seq: 1, kind: 'applied', result: 1 }] }),
    },
    {
      name: 'an applied one without its result',
      body: JSON.stringify({ ...ANSWER, outcomes: [{ seq: 1, id: 'm', kind: 'applied' }] }),
    },
    {
      name: 'a kind that we do not know',
      body: JSON.stringify({ ...ANSWER, outcomes: [{ seq: 1, id: 'm', kind: 'maybe' }] }),
    },
    {
      name: 'a rejection without an error',
      body: JSON.stringify({ ...ANSWER, outcomes: [{ seq: 1, id: 'm', kind: 'rejected' }] }),
    },
  ])('R1 · 200 with $name is no success: the line is at fault', async ({ body }) => {
    expect(await answerTo(answerWith(200, body))).toMatchObject({
      kind: 'unavailable',
      error: { code: 'NOT_OUR_SERVER' },
    });
  });

  // By status; `ours` with our own error body, `theirs` with anything else: anyone may stand between.
  test.each([
    { status: 201, ours: 'unavailable', theirs: 'unavailable' },
    { status: 204, ours: 'unavailable', theirs: 'unavailable' },
    { status: 301, ours: 'unavailable', theirs: 'unavailable' },
    { status: 302, ours: 'unavailable', theirs: 'unavailable' },
    { status: 304, ours: 'unavailable', theirs: 'unavailable' },
    { status: 400, ours: 'batchRefused', theirs: 'unavailable' },
    { status: 401, ours: 'unauthorized', theirs: 'unauthorized' },
    { status: 403, ours: 'forbidden', theirs: 'unavailable' },
    { status: 404, ours: 'unavailable', theirs: 'unavailable' },
    { status: 405, ours: 'unavailable', theirs: 'unavailable' },
    { status: 407, ours: 'unavailable', theirs: 'unavailable' },
    { status: 408, ours: 'unavailable', theirs: 'unavailable' },
    { status: 409, ours: 'unavailable', theirs: 'unavailable' },
    { status: 413, ours: 'batchRefused', theirs: 'unavailable' },
    { status: 418, ours: 'unavailable', theirs: 'unavailable' },
    { status: 422, ours: 'batchRefused', theirs: 'unavailable' },
    { status: 425, ours: 'unavailable', theirs: 'unavailable' },
    { status: 426, ours: 'upgradeRequired', theirs: 'unavailable' },
    { status: 429, ours: 'rateLimited', theirs: 'rateLimited' },
    { status: 500, ours: 'unavailable', theirs: 'unavailable' },
    { status: 502, ours: 'unavailable', theirs: 'unavailable' },
    { status: 503, ours: 'unavailable', theirs: 'unavailable' },
    { status: 504, ours: 'unavailable', theirs: 'unavailable' },
    { status: 599, ours: 'unavailable', theirs: 'unavailable' },
  ])('R1 · $status with our own body is $ours, with any other $theirs', async ({ status, ours, theirs }) => {
    const fromUs = await answerTo(answerWith(status, OURS));
    expect(fromUs.kind).toBe(ours);
    if (fromUs.kind !== 'answered' && ![204, 304].includes(status)) expect(fromUs.error).toEqual(OURS.error);

    for (const body of [HTML, '', '{"error":"no"}', '{"error":{"code":5}}']) {
      const fromThem = await answerTo(answerWith(status, body));
      expect(fromThem.kind).toBe(theirs);
      // never our words in somebody else's mouth, and always something to show
      if (fromThem.kind !== 'answered')
        expect(fromThem.error).toMatchObject({ message: expect.stringContaining(`${status}`) as string });
    }
  });

  test.each([429, 503, 500] as const)('R3 · the pause that %i asks for is told', async (status) => {
    const date = 'Wed, 21 Oct 2026 07:28:00 GMT';
    expect(await answerTo(answerWith(status, OURS, { 'retry-after': '7' }))).toMatchObject({ retryAfterMs: 7_000 });
    expect(
      await answerTo(answerWith(status, HTML, { 'retry-after': 'Wed, 21 Oct 2026 07:28:09 GMT', date })),
    ).toMatchObject({ retryAfterMs: 9_000 });
    expect(await answerTo(answerWith(status, OURS))).toMatchObject({ retryAfterMs: null });
  });

  test('R3 · the pace of the server travels with the outcomes', async () => {
    const headers = { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '30' };
    expect(await answerTo(answerWith(200, ANSWER, headers))).toEqual({
      kind: 'answered',
      serverTimeMs: SERVER_TIME_MS,
      outcomes: OUTCOMES,
      pace: { remaining: 0, resetMs: 30_000 },
    });
  });

  test('R4 · a fetch that fails says nothing about whether the request had left', async () => {
    const failing = (): Promise<Response> => Promise.reject(new TypeError('Failed to fetch'));

    expect(await answerTo(failing)).toMatchObject({
      kind: 'unknown',
      error: {
        category: 'NETWORK_ERROR',
        code: 'UNREACHABLE',
        message: 'The server could not be reached (Failed to fetch).',
      },
    });
    expect(await answerTo(() => Promise.reject(new Error('')))).toMatchObject({
      error: { message: 'The server could not be reached.' },
    });
  });
});

describe('over a real connection', () => {
  let server: Server | null = null;

  afterEach(
    () =>
      new Promise<void>((resolve) => {
        server?.closeAllConnections();
        if (server === null) resolve();
        else server.close(() => resolve());
        server = null;
      }),
  );

  async function serve(handle: (incoming: IncomingMessage, response: ServerResponse) => void): Promise<string> {
    const listening = createServer(handle);
    server = listening;
    await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(listening.address() as AddressInfo).port}/v1/apply`;
  }

  const send = (
    url: string,
    signal = new AbortController().signal,
    token: string | null = 'secret',
  ): Promise<TransportAnswer> => httpTransport({ url, headers: { 'x-app': 'crm' } }).send(request, { token, signal });

  test('P2 · the batch travels as JSON, with the token and the headers of the app', async () => {
    const seen: { method: string; headers: IncomingMessage['headers']; body: unknown }[] = [];
    const url = await serve((incoming, response) => {
      let body = '';
      incoming.setEncoding('utf8');
      incoming.on('data', (chunk: string) => {
        body += chunk;
      });
      incoming.on('end', () => {
        seen.push({ method: incoming.method ?? '', headers: incoming.headers, body: JSON.parse(body) });
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(ANSWER));
      });
    });

    expect(await send(url)).toEqual({ kind: 'answered', outcomes: OUTCOMES, serverTimeMs: SERVER_TIME_MS });
    await send(url, undefined, null);

    expect(seen[0]).toMatchObject({
      method: 'POST',
      body: request,
      headers: { authorization: 'Bearer secret', 'content-type': 'application/json', 'x-app': 'crm' },
    });
    expect(seen[1]?.headers.authorization).toBeUndefined();
  });

  test('P2 · a redirect is not followed, so the token does not travel on', async () => {
    let callCount = 0;
    const url = await serve((_, response) => {
      callCount += 1;
      response.writeHead(307, { location: '/elsewhere' }).end();
    });

    expect(await send(url)).toMatchObject({ kind: 'unavailable', error: { code: 'NOT_OUR_SERVER' } });
    expect(callCount).toBe(1);
  });

  test('R4 · a connection that is reset leaves it unknown', async () => {
    const url = await serve((incoming) => incoming.socket.destroy());

    expect(await send(url)).toMatchObject({ kind: 'unknown', error: { code: 'UNREACHABLE' } });
  });

  test('R4 · an answer that breaks off in its middle leaves it unknown', async () => {
    const url = await serve((incoming, response) => {
      response.writeHead(200, { 'content-length': '1000' });
      response.write('{"protocol":1', () => incoming.socket.destroy());
    });

    expect(await send(url)).toMatchObject({ kind: 'unknown', error: { code: 'UNREACHABLE' } });
  });

  test('R4 · running out of time leaves it unknown', async () => {
    const abort = new AbortController();
    const url = await serve(() => abort.abort());

    expect(await send(url, abort.signal)).toMatchObject({
      kind: 'unknown',
      error: { category: 'TIMEOUT_ERROR', code: 'NO_ANSWER' },
    });
  });

  test('R4 · a port where nobody listens leaves it unknown', async () => {
    const url = await serve(() => {});
    await new Promise((resolve) => server?.close(resolve));
    server = null;

    expect(await send(url)).toMatchObject({ kind: 'unknown', error: { code: 'UNREACHABLE' } });
  });
});

test.each([[{ url: '' }], [{}], [undefined]])(
  'R9 · without an address (%o) it is refused where it is made',
  (options) => {
    expect(() => httpTransport(options as HttpTransportOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining('`url`') as unknown }),
    );
  },
);
