import { describe, expect, test } from 'vitest';
import type { TransportAnswer } from '../engine/transport-answer.ts';
import type { ApplyRequest } from '../protocol/wire.ts';
import { type PlainFetch, supabaseFetch } from './http-supabase-fetch.ts';
import { type SupabaseCall, type SupabaseResult, supabaseTransport } from './supabase-transport.ts';

const request: ApplyRequest = {
  protocol: 1,
  client: { id: 'c', workspaceId: 'w' },
  acknowledgedFloor: 0,
  mutations: [],
};
const OUTCOMES = [{ seq: 4, id: 'm', kind: 'applied', result: null }] as const;
const ANSWER = { protocol: 1, serverTime: '2026-01-01T00:00:00.000Z', outcomes: OUTCOMES };

/** What is called, and with which header, when the client answers so; the real one is tried in `sim`. */
async function send(
  result: SupabaseResult | Error,
  { token = 't', schema }: { readonly token?: string | null; readonly schema?: string } = {},
): Promise<{ readonly answer: TransportAnswer; readonly calls: readonly string[] }> {
  const calls: string[] = [];
  const promise = result instanceof Error ? Promise.reject(result) : Promise.resolve(result);
  const call: SupabaseCall = Object.assign(promise, {
    setHeader: (name: string, value: string) => {
      calls.push(`${name}: ${value}`);
      return call;
    },
    abortSignal: () => call,
  });
  const client = {
    schema: (name: string) => ({
      rpc: (functionName: string) => {
        calls.push(`${name}.${functionName}`);
        return call;
      },
    }),
  };
  const transport = supabaseTransport(schema === undefined ? { client } : { client, schema });
  return { answer: await transport.send(request, { token, signal: new AbortController().signal }), calls };
}

/** As PostgREST says it; `details` is where our own code stands. */
const failure = (status: number, code: string | undefined, details: string | null = null): SupabaseResult => ({
  data: null,
  error: { code, message: 'x', details, hint: null },
  status,
});

describe('a call through Supabase', () => {
  test('R9 · it calls `apply` of the schema, under the token of the queue where there is one', async () => {
    const answered = { data: ANSWER, error: null, status: 200 };
    expect(await send(answered)).toEqual({
      answer: { kind: 'answered', outcomes: OUTCOMES, serverTimeMs: Date.UTC(2026, 0, 1) },
      calls: ['holdfast.apply', 'Authorization: Bearer t'],
    });
    expect((await send(answered, { token: null, schema: 'public' })).calls).toEqual(['public.apply']);
  });

  test.each<[string, SupabaseResult | Error, TransportAnswer['kind'], string]>([
    ['200 with what is not ours', { data: { ok: true }, error: null, status: 200 }, 'unavailable', 'NOT_OUR_SERVER'],
    ['a rate limit', failure(429, undefined), 'rateLimited', 'TOO_MANY_REQUESTS'],
    ['a token that has expired', failure(401, 'PGRST301'), 'unauthorized', 'PGRST301'],
    ['a project without the function', failure(404, 'PGRST202'), 'unavailable', 'SERVER_UNAVAILABLE'],
    ['a schema that is not exposed', failure(406, 'PGRST106'), 'unavailable', 'SERVER_UNAVAILABLE'],
    ['another workspace', failure(400, 'HF010', 'FOREIGN_WORKSPACE'), 'forbidden', 'FOREIGN_WORKSPACE'],
    ['another user', failure(400, 'HF003', 'WRONG_LOGIN'), 'unauthorized', 'WRONG_LOGIN'],
    ['an app that is too old', failure(400, 'HF021', 'UPGRADE_REQUIRED'), 'upgradeRequired', 'UPGRADE_REQUIRED'],
    ['a batch that is too large', failure(400, 'HF022', 'BATCH_TOO_LARGE'), 'batchRefused', 'BATCH_TOO_LARGE'],
    ['a database in trouble', failure(500, 'XX000'), 'unavailable', 'XX000'],
    ['a gateway before it', failure(403, undefined), 'unavailable', 'HTTP_403'],
    ['an error of no known form', { data: null, error: 'forbidden', status: 403 }, 'unavailable', 'HTTP_403'],
    ['an error without a code', { data: null, error: { message: 'x' }, status: 403 }, 'unavailable', 'HTTP_403'],
    ['an error whose code is none of theirs', failure(403, 'no'), 'unavailable', 'no'],
  ])('R9 · %s', async (_, result, kind, code) => {
    expect((await send(result)).answer).toMatchObject({ kind, error: { code } });
  });

  test('R9 · a line that fails says whether the batch may have been sent, and whether it was cut', async () => {
    const thrown = (code: string): Error =>
      Object.assign(new TypeError('fetch failed'), { cause: Object.assign(new Error('x'), { code }) });
    expect((await send(thrown('ECONNREFUSED'))).answer).toMatchObject({ kind: 'unreachable' });
    expect((await send(thrown('ECONNRESET'))).answer).toMatchObject({ kind: 'unknown', wasReset: true });
    expect((await send(new TypeError('fetch failed'))).answer).not.toHaveProperty('wasReset');
    expect((await send(new TypeError('fetch failed'))).answer).toMatchObject({ kind: 'unknown' });
  });
});

describe('the headers of an answer', () => {
  const call = (fetch: PlainFetch, url = 'https://project.supabase.test'): SupabaseCall => {
    let given: AbortSignal | undefined;
    const answered = async (): Promise<SupabaseResult> => {
      const response = await fetch(url, given === undefined ? {} : { signal: given });
      const error = response.ok ? null : { message: 'x' };
      return { data: response.ok ? ANSWER : null, error, status: response.status };
    };
    const made: SupabaseCall = {
      setHeader: () => made,
      abortSignal: (signal) => {
        given = signal;
        return made;
      },
      // oxlint-disable-next-line unicorn/no-thenable
      then: (...told) => answered().then(...told),
    };
    return made;
  };

  test.each([
    [429, { 'retry-after': '7' }, { kind: 'rateLimited', retryAfterMs: 7_000 }],
    [200, { 'ratelimit-remaining': '0', 'ratelimit-reset': '30' }, { pace: { remaining: 0, resetMs: 30_000 } }],
    [200, {}, { kind: 'answered' }],
  ])('R3 · with a fetch that sees them, an answer of %i with %j is obeyed', async (status, headers, expected) => {
    const fetch = supabaseFetch(async () => new Response('{}', { status, headers }));
    const client = { schema: () => ({ rpc: () => call(fetch) }) };

    const signal = new AbortController().signal;
    expect(await supabaseTransport({ client, fetch }).send(request, { token: 't', signal })).toMatchObject(expected);
  });

  test('R3 · it is the fetch of the platform, where none is given, and knows nothing of calls that failed', async () => {
    const fetch = supabaseFetch();
    const { signal } = new AbortController();
    await expect(fetch('data:,x')).resolves.toBeInstanceOf(Response);
    await expect(fetch('nowhere:', { signal })).rejects.toThrow();
    expect(fetch.headersOf(signal)).toBeNull();
  });
});
