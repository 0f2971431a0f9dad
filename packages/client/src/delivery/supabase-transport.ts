import type { TransportAnswer } from '../engine/transport-answer.ts';
import type { Transport } from '../ports/transport.ts';
import type { WireError } from '../protocol/wire.ts';
import { epochOf, NOT_OURS, noticeOf, parseApplyResponse, serverTimeOf } from './apply-response.ts';
import { type ClassifiedFailure, classifyFailure } from './classify-failure.ts';
import type { SupabaseFetch } from './http-supabase-fetch.ts';
import { parseAskedDelayMs, parsePace } from './pace.ts';
import type { AnswerHeaders } from './retry-after.ts';

/** As much of a `supabase-js` client as sending needs. */
export interface SupabaseRpcClient {
  schema(name: string): { rpc(functionName: string, args: { readonly batch: unknown }): SupabaseCall };
}

/** A call that `supabase-js` has prepared; awaited, it is made. */
export interface SupabaseCall extends PromiseLike<SupabaseResult> {
  setHeader(name: string, value: string): SupabaseCall;
  abortSignal(signal: AbortSignal): SupabaseCall;
}

export interface SupabaseResult {
  readonly data: unknown;
  readonly error: unknown;
  readonly status: number;
}

export interface SupabaseTransportOptions {
  /** Made by `createClient` of `@supabase/supabase-js` 2.49 or later. */
  readonly client: SupabaseRpcClient;
  /** The `fetch` that the client was made with, so that the wishes of the server are seen; see `supabaseFetch`. */
  readonly fetch?: SupabaseFetch;
  /** Where `apply` lives; the project's API settings must expose it. @default 'holdfast' */
  readonly schema?: string;
}

/**
 * Carries batches to `holdfast.apply` through Supabase's REST API (PostgREST), as the function call it is. Each call names
 * the token of this queue's own login: whoever else is signed in to the client meanwhile does not send for it.
 */
export function supabaseTransport({ client, fetch, schema = 'holdfast' }: SupabaseTransportOptions): Transport {
  return {
    async send(request, { token, signal }) {
      try {
        const call = client.schema(schema).rpc('apply', { batch: request });
        const own = token === null ? call : call.setHeader('Authorization', `Bearer ${token}`);
        return answerOf(await own.abortSignal(signal), fetch?.headersOf(signal) ?? null);
      } catch (cause) {
        // Some clients throw what others answer.
        return answerOf({ data: null, error: cause, status: 0 }, null);
      }
    },
  };
}

function answerOf({ data, error, status }: SupabaseResult, headers: AnswerHeaders | null): TransportAnswer {
  if (error === null) {
    const answer = parseApplyResponse(data);
    if (answer === null) return { kind: 'unavailable', error: NOT_OURS, retryAfterMs: null };
    const pace = headers === null ? null : parsePace(headers);
    return {
      kind: 'answered',
      outcomes: answer.outcomes,
      ...serverTimeOf(answer),
      ...epochOf(answer),
      ...noticeOf(answer),
      ...(pace === null ? {} : { pace }),
    };
  }
  const failure = classifyFailure({ error, status });
  if (failure.wasSent === 'no') return { kind: 'unreachable', error: failure.error };
  if (failure.wasSent === 'perhaps')
    return { kind: 'unknown', error: failure.error, ...(failure.wasReset ? { wasReset: true } : {}) };
  const asked = headers === null ? null : parseAskedDelayMs(headers);
  return answerOfFailure({ ...failure, retryAfterMs: asked ?? failure.retryAfterMs }, codeOf(error));
}

/** What the database or its API says of the whole call; what somebody between says blames the line. */
function answerOfFailure({ verdict, error, retryAfterMs }: ClassifiedFailure, code: string | null): TransportAnswer {
  if (verdict === 'rateLimit') return { kind: 'rateLimited', error, retryAfterMs };
  if (verdict === 'auth') return { kind: 'unauthorized', error };
  if (code === 'PGRST202' || code === 'PGRST106') return { kind: 'unavailable', error: NOT_MIGRATED, retryAfterMs };
  if (code === null) return { kind: 'unavailable', error, retryAfterMs };
  if (verdict === 'forbidden') return { kind: 'forbidden', error };
  if (verdict === 'outdated') return { kind: 'upgradeRequired', error };
  if (verdict === 'rejected' && error.category === 'VALIDATION_ERROR') return { kind: 'batchRefused', error };
  return { kind: 'unavailable', error, retryAfterMs };
}

/** The code that PostgREST or Postgres gave; null when the answer is no error body of theirs. */
function codeOf(error: unknown): string | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  return typeof error.code === 'string' && /^(PGRST\w{3}|[0-9A-Z]{5})$/.test(error.code) ? error.code : null;
}

const NOT_MIGRATED: WireError = {
  category: 'SERVER_ERROR',
  code: 'SERVER_UNAVAILABLE',
  message: 'The database does not offer `holdfast.apply`.',
  hint: 'Run the migrations of @holdfast/server, expose the schema `holdfast` in the API settings, and reload its schema cache.',
};
