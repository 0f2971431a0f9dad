import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HoldfastError } from '../mutation/holdfast-error.ts';
import { classifyFailure } from './classify-failure.ts';
import { lookUpFailure, type Verdict } from './failure-table.ts';
import { POSTGRES_ERRORS } from './fixtures/postgres-errors.ts';
import { SUPABASE_RESULTS } from './fixtures/supabase-results.ts';

/** `CATEGORY CODE verdict`, so that a table of them can be read. */
function said(failure: unknown): string {
  const { error, verdict } = classifyFailure(failure);
  return `${error.category} ${error.code} ${verdict}`;
}

describe('what Postgres really said', () => {
  const expected: Readonly<Record<string, string>> = {
    23505: 'CONFLICT 23505 rejected',
    23502: 'VALIDATION_ERROR 23502 rejected',
    23514: 'VALIDATION_ERROR 23514 rejected',
    23503: 'CONFLICT 23503 refused',
    22001: 'VALIDATION_ERROR 22001 rejected',
    22003: 'VALIDATION_ERROR 22003 rejected',
    '22P02': 'VALIDATION_ERROR 22P02 rejected',
    22008: 'VALIDATION_ERROR 22008 rejected',
    22012: 'VALIDATION_ERROR 22012 rejected',
    P0001: 'VALIDATION_ERROR P0001 rejected',
    42501: 'FORBIDDEN 42501 forbidden',
    42883: 'SERVER_ERROR 42883 refused',
    '42P01': 'SERVER_ERROR 42P01 refused',
    42703: 'SERVER_ERROR 42703 refused',
    57014: 'TIMEOUT_ERROR 57014 refused',
    25006: 'SERVER_ERROR 25006 line',
    PT429: 'RATE_LIMITED PT429 rateLimit',
    PT409: 'CONFLICT PT409 conflict',
    XX000: 'SERVER_ERROR XX000 refused',
    '55P03': 'SERVER_ERROR 55P03 refused',
    40001: 'SERVER_ERROR 40001 refused',
    '40P01': 'SERVER_ERROR 40P01 refused',
    '57P01': 'SERVER_ERROR 57P01 line',
    53300: 'SERVER_ERROR 53300 line',
    '28P01': 'FORBIDDEN 28P01 forbidden',
  };

  test('R1 · every recorded SQLSTATE has a meaning written down', () => {
    expect(new Set(POSTGRES_ERRORS.map(({ code }) => code))).toEqual(new Set(Object.keys(expected)));
  });

  test.each(POSTGRES_ERRORS)('R1 · $code, from: $does', (recorded) => {
    const asThrown = Object.assign(new Error(recorded.message), recorded);
    expect(said(asThrown)).toBe(expected[recorded.code]);
    expect(classifyFailure(asThrown).error.message).toBe(recorded.message);
  });

  test('R1 · 42501 is a matter of the login when nobody is signed in', () => {
    expect(said({ status: 401, error: { code: '42501', message: 'permission denied' } })).toBe('AUTH_ERROR 42501 auth');
    expect(said({ status: 403, error: { code: '42501', message: 'permission denied' } })).toBe(
      'FORBIDDEN 42501 forbidden',
    );
  });

  test('R1 · what our own functions raise carries the word for it in its detail', () => {
    const raised = { code: 'HF034', message: 'No such row.', details: 'ROW_NOT_FOUND', hint: 'Make it anew.' };
    expect(classifyFailure({ status: 400, error: raised })).toMatchObject({
      error: { category: 'NOT_FOUND', code: 'ROW_NOT_FOUND', message: 'No such row.', hint: 'Make it anew.' },
      verdict: 'rejected',
    });
    expect(said({ code: 'HF002', details: 'TOKEN_INVALID', message: 'x' })).toBe('AUTH_ERROR TOKEN_INVALID auth');
  });
});

describe('what supabase-js really handed back', () => {
  const expected: Readonly<Record<keyof typeof SUPABASE_RESULTS, string>> = {
    tooMany: 'RATE_LIMITED TOO_MANY_REQUESTS rateLimit',
    expired: 'AUTH_ERROR PGRST301 auth',
    noFunction: 'SERVER_ERROR PGRST202 refused',
    duplicate: 'CONFLICT 23505 rejected',
    raised: 'VALIDATION_ERROR P0001 rejected',
    noSchemaCache: 'SERVER_ERROR PGRST002 line',
    empty500: 'SERVER_ERROR HTTP_500 refused',
    cutOff: 'SERVER_ERROR UNREADABLE_ANSWER line',
    gatewayPage: 'SERVER_ERROR SERVER_UNAVAILABLE line',
    reset: 'NETWORK_ERROR UNREACHABLE line',
    noHost: 'NETWORK_ERROR UNREACHABLE line',
    timedOut: 'TIMEOUT_ERROR NO_ANSWER line',
    aborted: 'TIMEOUT_ERROR NO_ANSWER line',
  };

  test.each(Object.entries(SUPABASE_RESULTS))('R1 · the result called %s', (name, result) => {
    expect(said(result)).toBe(expected[name as keyof typeof SUPABASE_RESULTS]);
  });

  test('R1 · the error alone, thrown without its status, still tells what a code can tell', () => {
    expect(said(SUPABASE_RESULTS.expired.error)).toBe(expected.expired);
    expect(said(SUPABASE_RESULTS.reset.error)).toBe(expected.reset);
    expect(said(SUPABASE_RESULTS.timedOut.error)).toBe(expected.timedOut);
  });

  test('R2 · a reset is told from a host that was never reached', () => {
    expect(classifyFailure(SUPABASE_RESULTS.reset)).toMatchObject({ wasReset: true, wasSent: 'perhaps' });
    expect(classifyFailure(SUPABASE_RESULTS.noHost)).toMatchObject({ wasReset: false, wasSent: 'no' });
    expect(classifyFailure(SUPABASE_RESULTS.empty500)).toMatchObject({ wasReset: false, wasSent: 'answered' });
  });

  test('R1 · a page or cut-off JSON is no message to show to anybody', () => {
    expect(classifyFailure(SUPABASE_RESULTS.gatewayPage).error.message).toBe('The server answered with status 502.');
    expect(classifyFailure(SUPABASE_RESULTS.cutOff).error.message).toBe('The server answered with status 200.');
  });

  test.each([
    { name: 'AuthApiError', status: 400, code: 'refresh_token_not_found', verdict: 'auth' },
    { name: 'AuthApiError', status: 400, code: 'refresh_token_already_used', verdict: 'auth' },
    { name: 'AuthApiError', status: 403, code: 'bad_jwt', verdict: 'auth' },
    { name: 'AuthApiError', status: 403, code: 'session_expired', verdict: 'auth' },
    { name: 'AuthApiError', status: 429, code: 'over_request_rate_limit', verdict: 'rateLimit' },
    { name: 'AuthSessionMissingError', status: 400, code: undefined, verdict: 'auth' },
    { name: 'AuthRetryableFetchError', status: 0, code: undefined, verdict: 'line' },
  ])('R1 · $name $status $code of Supabase Auth is $verdict', ({ verdict, ...failure }) => {
    expect(classifyFailure(Object.assign(new Error('x'), failure)).verdict).toBe(verdict);
  });
});

describe('what PostgREST says', () => {
  test.each([
    ['PGRST000', 503, 'SERVER_ERROR', 'line'],
    ['PGRST001', 503, 'SERVER_ERROR', 'line'],
    ['PGRST003', 504, 'TIMEOUT_ERROR', 'line'],
    ['PGRST102', 400, 'VALIDATION_ERROR', 'rejected'],
    ['PGRST116', 406, 'NOT_FOUND', 'rejected'],
    ['PGRST201', 300, 'SERVER_ERROR', 'rejected'],
    ['PGRST203', 300, 'SERVER_ERROR', 'rejected'],
    ['PGRST204', 400, 'SERVER_ERROR', 'refused'],
    ['PGRST205', 404, 'SERVER_ERROR', 'refused'],
    ['PGRST302', 401, 'AUTH_ERROR', 'auth'],
    ['PGRST303', 401, 'AUTH_ERROR', 'auth'],
    ['PGRSTX00', 500, 'SERVER_ERROR', 'refused'],
    ['42P17', 500, 'SERVER_ERROR', 'refused'],
    ['54001', 500, 'SERVER_ERROR', 'refused'],
    ['08006', 503, 'SERVER_ERROR', 'line'],
  ] as const)('R1 · %s with %i is %s, %s', (code, status, category, verdict) => {
    expect(lookUpFailure({ status, codes: [code] })).toEqual({ category, code, verdict });
  });
});

describe('statuses', () => {
  const verdictOf = (status: number): Verdict => classifyFailure({ status }).verdict;

  test('R2 · 408, 425, 429 and 5xx go again; every other 4xx does not', () => {
    const again: readonly Verdict[] = ['line', 'rateLimit', 'refused'];
    const statuses = Array.from({ length: 200 }, (_, index) => 400 + index);
    const repeated = statuses.filter((status) => again.includes(verdictOf(status)));
    // 407 is asked for by a proxy, not by the server
    expect(repeated.filter((status) => status < 500)).toEqual([407, 408, 425, 429]);
    expect(repeated.filter((status) => status >= 500)).toHaveLength(100);
  });

  test('R4 · gateways fail the line; a 500 is about what was asked', () => {
    expect([502, 503, 504, 520, 522, 524, 530, 540, 544].map(verdictOf)).toEqual(
      Array.from({ length: 9 }, () => 'line'),
    );
    expect([500, 501, 546].map(verdictOf)).toEqual(['refused', 'refused', 'refused']);
  });

  test.each([
    [401, 'AUTH_ERROR TOKEN_INVALID auth'],
    [403, 'FORBIDDEN HTTP_403 forbidden'],
    [404, 'NOT_FOUND NOT_FOUND rejected'],
    [409, 'CONFLICT HTTP_409 conflict'],
    [412, 'CONFLICT HTTP_412 conflict'],
    [413, 'VALIDATION_ERROR PAYLOAD_TOO_LARGE rejected'],
    [422, 'VALIDATION_ERROR HTTP_422 rejected'],
    [426, 'OUTDATED UPGRADE_REQUIRED outdated'],
    [302, 'SERVER_ERROR NOT_OUR_SERVER line'],
    [511, 'SERVER_ERROR NOT_OUR_SERVER line'],
    [402, 'UNKNOWN_ERROR HTTP_402 rejected'],
  ])('R1 · a Response with %i', (status, expected) => {
    expect(said(new Response('{"secret":1}', { status }))).toBe(expected);
  });

  test('R3 · Retry-After is read from a Response, from plain headers of a client, and from none', () => {
    const headers = { 'retry-after': '5' };
    expect(classifyFailure(new Response('', { status: 429, headers })).retryAfterMs).toBe(5_000);
    expect(classifyFailure({ response: { status: 503, headers: { 'Retry-After': '7' } } }).retryAfterMs).toBe(7_000);
    expect(classifyFailure({ status: 503 }).retryAfterMs).toBeNull();
  });

  test('R7 · the body of a Response is left alone', () => {
    const response = new Response('{"a":1}', { status: 500 });
    classifyFailure(response);
    expect(response.bodyUsed).toBe(false);
  });
});

describe('clients', () => {
  const axios = Object.assign(new Error('Request failed with status code 422'), {
    code: 'ERR_BAD_REQUEST',
    response: { status: 422, data: { message: 'name is empty' }, headers: {} },
  });

  test('R1 · an error of axios, of ky, and of a GraphQL client', () => {
    expect(classifyFailure(axios)).toMatchObject({ error: { category: 'VALIDATION_ERROR' }, verdict: 'rejected' });
    expect(said(Object.assign(new Error('x'), { code: 'ECONNABORTED' }))).toBe('TIMEOUT_ERROR NO_ANSWER line');
    expect(said(Object.assign(new Error('x'), { code: 'ERR_NETWORK' }))).toBe('NETWORK_ERROR UNREACHABLE line');
    expect(said(Object.assign(new Error('x'), { response: new Response('', { status: 503 }) }))).toBe(
      'SERVER_ERROR SERVER_UNAVAILABLE line',
    );
    const graphQl = (code: string | undefined): object => ({
      response: { status: 200, errors: [{ message: 'no', extensions: { code } }] },
    });
    expect(said(graphQl('UNAUTHENTICATED'))).toBe('AUTH_ERROR UNAUTHENTICATED auth');
    expect(said(graphQl('BAD_USER_INPUT'))).toBe('VALIDATION_ERROR BAD_USER_INPUT rejected');
    expect(said(graphQl('OWN_CODE'))).toBe('UNKNOWN_ERROR OWN_CODE refused');
    expect(said(graphQl(undefined))).toBe('UNKNOWN_ERROR UNKNOWN_FAILURE refused');
  });

  test('R1 · an error with a category has said what it means, in its own code', () => {
    expect(said(new HoldfastError({ code: 'CARD_DECLINED', category: 'VALIDATION_ERROR', message: 'x' }))).toBe(
      'VALIDATION_ERROR CARD_DECLINED rejected',
    );
    expect(said(new HoldfastError({ code: 'ID_REUSED', message: 'x' }))).toBe('CONFLICT ID_REUSED rejected');
    expect(said(new HoldfastError({ code: 'SERVER_UNAVAILABLE', message: 'x' }))).toBe(
      'SERVER_ERROR SERVER_UNAVAILABLE line',
    );
    expect(said(new HoldfastError({ code: 'INTERNAL', message: 'x' }))).toBe('SERVER_ERROR INTERNAL refused');
    expect(said({ status: 500, error: { category: 'CONFLICT', code: 'EDITED', message: 'x' } })).toBe(
      'CONFLICT EDITED conflict',
    );
  });

  test('R1 · words in a message decide nothing', () => {
    expect(said(new Error('401 Unauthorized: JWT expired, rate limit, timeout'))).toBe(
      'UNKNOWN_ERROR UNKNOWN_FAILURE refused',
    );
    expect(said(new TypeError('undefined is not a function'))).toBe('UNKNOWN_ERROR UNKNOWN_FAILURE refused');
  });

  test.each([
    'Failed to fetch',
    'NetworkError when attempting to fetch resource.',
    'Load failed',
    'Network request failed',
  ])('R1 · a browser has no code for a failed fetch: TypeError "%s"', (message) => {
    expect(said(new TypeError(message))).toBe('NETWORK_ERROR UNREACHABLE line');
  });

  test.each([null, undefined, 'gone', 5, {}, [], () => {}])(
    'R1 · %s, which is no error at all, may succeed later',
    (failure) => {
      expect(said(failure)).toBe('UNKNOWN_ERROR UNKNOWN_FAILURE refused');
    },
  );

  test('R1 · what is not as it should be is passed over', () => {
    // an HF code whose detail is no word of ours, a status that is none, a header that is none, a failed fetch in words only
    expect(said({ code: 'HF034', details: 'SOMETHING', status: 400, message: 'x' })).toBe(
      'VALIDATION_ERROR HF034 rejected',
    );
    expect(said({ status: 'late', statusCode: '503' })).toBe('SERVER_ERROR SERVER_UNAVAILABLE line');
    expect(classifyFailure({ status: 503, headers: { 'retry-after': 7 } }).retryAfterMs).toBe(7_000);
    expect(classifyFailure({ status: 503, headers: { 'retry-after': {} } }).retryAfterMs).toBeNull();
    expect(said({ status: 0, code: '', message: 'TypeError: undefined is not a function' })).toBe(
      'NETWORK_ERROR UNREACHABLE line',
    );
    expect(said({ status: 200, errors: ['a text'] })).toBe('UNKNOWN_ERROR UNKNOWN_FAILURE refused');
    expect(said({ status: 0, code: '', message: 'gone', details: 'nothing' })).toBe('NETWORK_ERROR UNREACHABLE line');
  });

  test('R1 · causes that go round in a circle end', () => {
    const failure: { cause?: unknown; message: string } = { message: 'x' };
    failure.cause = failure;
    expect(classifyFailure(failure).error.message).toBe('x');
  });
});

describe('real failures of fetch', () => {
  let server: Server;
  let url: string;
  beforeAll(async () => {
    server = createServer((request, response) => {
      if (request.url === '/reset') request.socket.resetAndDestroy();
      if (request.url === '/html') response.end('<html>');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  const failureOf = async (call: Promise<unknown>): Promise<unknown> =>
    call.then(
      () => null,
      (error: unknown) => error,
    );

  test('R2 · a connection that was reset', async () => {
    expect(classifyFailure(await failureOf(fetch(`${url}/reset`)))).toMatchObject({
      error: { code: 'UNREACHABLE' },
      verdict: 'line',
      wasReset: true,
      wasSent: 'perhaps',
    });
  });

  test('R1 · a port where nobody listens: surely not sent', async () => {
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    expect(classifyFailure(await failureOf(fetch(`http://127.0.0.1:${port}/`)))).toMatchObject({
      verdict: 'line',
      wasReset: false,
      wasSent: 'no',
    });
  });

  test('R1 · an aborted call', async () => {
    const abort = new AbortController();
    const failed = failureOf(fetch(`${url}/hangs`, { signal: abort.signal }));
    abort.abort();
    expect(said(await failed)).toBe('TIMEOUT_ERROR NO_ANSWER line');
  });

  test('R1 · HTML where JSON was read, as a captive portal gives it', async () => {
    const failed = failureOf(fetch(`${url}/html`).then((response) => response.json()));
    expect(said(await failed)).toBe('SERVER_ERROR UNREADABLE_ANSWER line');
  });
});
