import type { AnswerHeaders } from './retry-after.ts';

/** What `supabase-js` takes as `global.fetch`. */
export type PlainFetch = (input: RequestInfo | URL, init?: RequestInit) => Promise<Response>;

/** A `fetch` that knows the headers of the answers it got. */
export interface SupabaseFetch extends PlainFetch {
  /** Of the answer to the call that carried this signal; null when none came. */
  headersOf(signal: AbortSignal): AnswerHeaders | null;
}

/**
 * `supabase-js` does not hand out the headers of an answer. Given this as its `fetch`, and to `supabaseTransport` too, the queue
 * obeys `Retry-After` and rate limits that the API announces.
 *
 * ```ts
 * const fetch = supabaseFetch();
 * const client = createClient(url, key, { global: { fetch } });
 * const transport = supabaseTransport({ client, fetch });
 * ```
 *
 * @param fetch What makes the calls. Default: the platform's.
 */
export function supabaseFetch(fetch: PlainFetch = platformFetch): SupabaseFetch {
  const seen = new WeakMap<AbortSignal, AnswerHeaders>();
  const observing = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const response = await fetch(input, init);
    if (init?.signal != null) seen.set(init.signal, response.headers);
    return response;
  };
  return Object.assign(observing, { headersOf: (signal: AbortSignal) => seen.get(signal) ?? null });
}

/** The platform's, looked up when it is called: others may replace it. */
const platformFetch: PlainFetch = (input, init) => fetch(input, init);
