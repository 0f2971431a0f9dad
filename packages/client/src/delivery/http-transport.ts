import * as v from 'valibot';
import type { TransportAnswer } from '../engine/transport-answer.ts';
import { HoldfastError } from '../mutation/holdfast-error.ts';
import type { Transport } from '../ports/transport.ts';
import type { ErrorBody, WireError } from '../protocol/wire.ts';
import { epochOf, NOT_OURS, noticeOf, parseApplyResponse, serverTimeOf, wireErrorSchema } from './apply-response.ts';
import { classifyFailure, classifyStatus } from './classify-failure.ts';
import { type Fetch, platformFetch } from './http-fetch.ts';
import { parseAskedDelayMs, parsePace } from './pace.ts';

export interface HttpTransportOptions {
  /** Address of the server's apply endpoint, such as `/v1/apply`. */
  readonly url: string;
  /** More headers for each request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** @default the platform's `fetch` */
  readonly fetch?: Fetch;
}

/** Carries batches to a Holdfast server over HTTP. Redirects are not followed: the token must not travel to another host. Throws `INVALID_OPTION`. */
export function httpTransport(options: HttpTransportOptions): Transport {
  if (!options?.url)
    throw new HoldfastError({
      code: 'INVALID_OPTION',
      message: 'httpTransport: `url` must be the address of the apply endpoint; it is missing or empty.',
      hint: "Give it, such as httpTransport({ url: '/v1/apply' }).",
    });
  const send = options.fetch ?? platformFetch;
  return {
    async send(request, { token, signal }) {
      let response: Response;
      let text: string;
      try {
        response = await send(options.url, {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            ...(token === null ? {} : { authorization: `Bearer ${token}` }),
            ...options.headers,
          },
          body: JSON.stringify(request),
          redirect: 'manual',
          // The server's own cookie is an anchor that outlives a page's storage.
          credentials: 'same-origin',
          cache: 'no-store',
          signal,
        });
        text = await response.text();
      } catch (cause) {
        // A failed fetch does not say whether the request had left.
        if (signal.aborted) return { kind: 'unknown', error: NO_ANSWER };
        return {
          kind: 'unknown',
          error: unreachable(cause),
          ...(classifyFailure(cause).wasReset ? { wasReset: true } : {}),
        };
      }
      return parseAnswer(response, text);
    },
  };
}

/** What an HTTP answer means for the batch. By status first, then by our own error body: anyone may stand between. */
function parseAnswer(response: Response, text: string): TransportAnswer {
  const { status, headers } = response;
  const body = parseJson(text);
  if (status === 200) {
    const answer = parseApplyResponse(body);
    if (answer === null) return { kind: 'unavailable', error: NOT_OURS, retryAfterMs: null };
    const pace = parsePace(headers);
    return {
      kind: 'answered',
      outcomes: answer.outcomes,
      ...serverTimeOf(answer),
      ...epochOf(answer),
      ...noticeOf(answer),
      ...(pace === null ? {} : { pace }),
    };
  }
  const ours = v.safeParse(errorBody, body);
  const ownError = ours.success ? ours.output.error : null;
  const { verdict, error } = classifyStatus(status);
  const retryAfterMs = parseAskedDelayMs(headers);
  if (verdict === 'rateLimit') return { kind: 'rateLimited', error: ownError ?? error, retryAfterMs };
  if (verdict === 'auth') return { kind: 'unauthorized', error: ownError ?? error };
  // What a proxy or a captive portal forbids or does not understand says nothing about the batch: the line is at fault.
  if (ownError === null) return { kind: 'unavailable', error: status >= 500 ? error : notOurs(status), retryAfterMs };
  if (verdict === 'forbidden') return { kind: 'forbidden', error: ownError };
  if (verdict === 'outdated') return { kind: 'upgradeRequired', error: ownError };
  if (verdict === 'rejected' && error.category === 'VALIDATION_ERROR') return { kind: 'batchRefused', error: ownError };
  return { kind: 'unavailable', error: ownError, retryAfterMs };
}

function notOurs(status: number): WireError {
  return { ...NOT_OURS, message: `${NOT_OURS.message} Its status was ${status}.` };
}

const NO_ANSWER: WireError = {
  category: 'TIMEOUT_ERROR',
  code: 'NO_ANSWER',
  message: 'The server did not answer in time.',
  hint: 'Nothing to do: it is sent again under the same id, and takes effect once.',
};

function unreachable(cause: unknown): WireError {
  return {
    category: 'NETWORK_ERROR',
    code: 'UNREACHABLE',
    message: `The server could not be reached${cause instanceof Error && cause.message !== '' ? ` (${cause.message})` : ''}.`,
    hint: 'Nothing to do: it is sent again as soon as the server answers.',
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const errorBody: v.GenericSchema<ErrorBody> = v.object({ error: wireErrorSchema });
