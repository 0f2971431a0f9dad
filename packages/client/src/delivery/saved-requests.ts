import type { StandardSchemaV1 } from '@standard-schema/spec';
import * as v from 'valibot';
import type { MutationDefinition } from '../mutation/definition.ts';
import { HoldfastError } from '../mutation/holdfast-error.ts';
import type { Transport } from '../ports/transport.ts';
import type { Json } from '../protocol/wire.ts';
import { handlerTransport, type MutationHandler } from './handler-transport.ts';
import { type Fetch, platformFetch } from './http-fetch.ts';

/** A request as it is kept: enough to make it again. */
export interface SavedRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  /** As text; null for none. */
  readonly body: string | null;
}

export interface SavedRequestsOptions {
  /**
   * Origins, such as `https://api.example.com`, that are sent the login's token beside addresses of the app's own server
   * (`/…`). Nobody else is.
   * @default none
   */
  readonly tokenOrigins?: readonly string[];
  /** @default the platform's `fetch` */
  readonly fetch?: Fetch;
}

/** What is needed of a queue; `MutationQueue` is one whose `mutations` hold the definition. */
export interface RequestQueue<Handle> {
  add(input: { readonly type: 'holdfast.request'; readonly payload: SavedRequest }): Promise<Handle>;
  retry(id: string): Promise<unknown>;
  process(): Promise<unknown>;
  listUnconfirmed(limit: number): readonly { readonly id: string; readonly type: string; readonly status: string }[];
  getMutationStatus(id: string): Promise<{ readonly status: string } | undefined>;
}

/** What `retryFailedRequests` came to. What is still on this device afterwards is in neither count. */
export interface RetriedRequests {
  readonly succeeded: number;
  readonly failed: number;
  readonly total: number;
}

/** The functions of one queue. */
export interface BoundSavedRequests<Handle> {
  /**
   * Keeps a request in the queue, which makes it as soon as it can: those to one address in order, each with its id as
   * `Idempotency-Key`. A body that is no text travels as JSON. Rejects as `add` does, and with `INVALID_OPTION` for headers
   * that would put a login into storage.
   */
  readonly saveFailedRequest: (
    url: string | URL,
    method: string,
    body?: Json,
    options?: { readonly headers?: Readonly<Record<string, string>> },
  ) => Promise<Handle>;
  /** Makes all saved requests now, those that were given up too, and says what became of them. */
  readonly retryFailedRequests: () => Promise<RetriedRequests>;
}

export interface SavedRequests {
  /** For the `mutations` of the queue. */
  readonly definition: MutationDefinition<'holdfast.request', StandardSchemaV1<SavedRequest>>;
  /** Makes the request; for a `handlerTransport` of one's own. */
  readonly handler: MutationHandler<SavedRequest>;
  /** The same as a transport, for a queue whose other mutations go another way (`routeTransport`). */
  readonly transport: Transport;
  readonly bindTo: <Handle>(queue: RequestQueue<Handle>) => BoundSavedRequests<Handle>;
}

const SAVED_REQUEST = 'holdfast.request';

/** Logins are added at the time of sending; kept with the request, they would outlive their user on the device. */
const HEADERS_NOT_KEPT: ReadonlySet<string> = new Set([
  'authorization',
  'cookie',
  'proxy-authorization',
  'x-api-key',
  'apikey',
]);

const schema: v.GenericSchema<SavedRequest> = v.object({
  url: v.pipe(v.string(), v.minLength(1)),
  method: v.string(),
  headers: v.record(v.string(), v.string()),
  body: v.nullable(v.string()),
});

/** Keeps requests that failed in the same queue as everything else: durable, in order, under the login that made them. */
export function savedRequests({
  tokenOrigins = [],
  fetch: send = platformFetch,
}: SavedRequestsOptions = {}): SavedRequests {
  const origins = new Set(tokenOrigins);
  const handler: MutationHandler<SavedRequest> = async (request, { idempotencyKey, signal, token }) => {
    const { url, method, headers, body } = request;
    const login = token !== null && isTrusted(url, origins) ? { authorization: `Bearer ${token}` } : {};
    const response = await send(url, {
      method,
      headers: { ...headers, 'idempotency-key': idempotencyKey, ...login },
      ...(body === null ? {} : { body }),
      signal,
    });
    return response.ok ? { status: response.status } : response;
  };
  return {
    definition: {
      type: SAVED_REQUEST,
      payload: schema,
      operation: 'custom',
      lane: ({ url }) => `${SAVED_REQUEST} ${url}`,
    },
    handler,
    transport: handlerTransport({ [SAVED_REQUEST]: handler }),
    bindTo: (queue) => ({
      saveFailedRequest: async (url, method, body = null, { headers = {} } = {}) => {
        const payload = toSaved(String(url), method, body, headers);
        return queue.add({ type: SAVED_REQUEST, payload });
      },
      retryFailedRequests: () => retryAll(queue),
    }),
  };
}

function toSaved(url: string, method: string, body: Json, headers: Readonly<Record<string, string>>): SavedRequest {
  const lowerCase = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  const secret = Object.keys(lowerCase).find((name) => HEADERS_NOT_KEPT.has(name));
  if (secret !== undefined) throw notKept(secret);
  const isJson = body !== null && typeof body !== 'string';
  return {
    url,
    method: method.toUpperCase(),
    headers: isJson ? { 'content-type': 'application/json', ...lowerCase } : lowerCase,
    body: isJson ? JSON.stringify(body) : body,
  };
}

async function retryAll(queue: RequestQueue<unknown>): Promise<RetriedRequests> {
  const saved = queue.listUnconfirmed(Number.MAX_SAFE_INTEGER).filter(({ type }) => type === SAVED_REQUEST);
  for (const { id, status } of saved) if (status === 'failed') await queue.retry(id);
  await queue.process();
  const statuses = await Promise.all(saved.map(({ id }) => queue.getMutationStatus(id)));
  const count = (wanted: string): number => statuses.filter((found) => found?.status === wanted).length;
  return { succeeded: count('completed'), failed: count('failed'), total: saved.length };
}

/** The app's own server (a path, and not `//other.example`), or one that the app has named. */
function isTrusted(url: string, origins: ReadonlySet<string>): boolean {
  // Parsers of addresses drop white space, and what is left may name another host.
  if (/\s/.test(url)) return false;
  if (/^\/(?![/\\])/.test(url)) return true;
  const origin = /^https?:\/\/[^/?#\\@]+(?=[/?#]|$)/i.exec(url)?.[0];
  return origin !== undefined && origins.has(origin);
}

function notKept(header: string): HoldfastError {
  return new HoldfastError({
    code: 'INVALID_OPTION',
    message: `Not stored: the header \`${header}\` would keep a login on the device.`,
    hint: 'Leave it out; the token is added when the request is made (`tokenOrigins`).',
  });
}
