import { HoldfastError } from '../mutation/holdfast-error.ts';
import { type ExecuteOptions, retryCall } from './execute-with-retry.ts';
import { type Fetch, platformFetch } from './http-fetch.ts';

export interface FetchRetryOptions extends Omit<ExecuteOptions, 'signal'> {
  /** @default the platform's `fetch` */
  readonly fetch?: Fetch;
}

/**
 * `fetch` that tries again, by the rules that the queue retries by: after a failed connection, 408, 425, 429 and 5xx, and not
 * before the time that `Retry-After` or a used-up rate limit asks for. As with `fetch`, whatever the server answered last is
 * returned, its body unread; `init.signal` ends it, also during a wait.
 *
 * Rejects with a `HoldfastError` whose `cause` is the last failure when no answer came: of category `NETWORK_ERROR` or
 * `TIMEOUT_ERROR`, and `BODY_NOT_REPEATABLE` when the body is a stream, which can be read once only. A `POST` that got no
 * answer may have taken effect: give it an `Idempotency-Key` that the server knows, or put it into the queue.
 */
export function fetchWithRetry(
  url: string | URL,
  init: RequestInit = {},
  options: FetchRetryOptions = {},
): Promise<Response> {
  const { fetch: send = platformFetch, ...rules } = options;
  const canRepeat = isRepeatable(init.body);
  return retryCall<Response>(
    {
      call: async () => {
        const response = await send(String(url), init);
        // A redirect that was not followed is what was asked for; and the answer to a stream is final.
        return { kind: response.status >= 400 && canRepeat ? 'failedAnswer' : 'value', value: response };
      },
      // Frees the connection. A body that cannot be cancelled any more needs no freeing.
      discard: (response) => void response.body?.cancel().catch(() => {}),
      whyOnce: (cause) => (canRepeat ? null : notRepeatable(cause)),
    },
    init.signal ? { ...rules, signal: init.signal } : rules,
  );
}

/** Texts, blobs, forms and buffers can be sent as often as wished; streams and iterators of Node are used up by the first time. */
function isRepeatable(body: unknown): boolean {
  if (typeof body !== 'object' || body === null) return true;
  // FormData and URLSearchParams iterate too, but not asynchronously.
  return (
    !('getReader' in body) &&
    !(Symbol.asyncIterator in body) &&
    typeof (body as { readonly next?: unknown }).next !== 'function'
  );
}

function notRepeatable(cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'BODY_NOT_REPEATABLE',
    message: 'The call failed and was not tried again: its body is a stream, which can be read only once.',
    hint: 'Read the stream into a Blob first, or make the call again with a new stream.',
    cause,
  });
}
