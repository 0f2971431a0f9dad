import { type Context, Hono } from 'hono';
import { type ParsedApplyRequest, parseApplyRequest } from './apply-request.ts';
import type { CallerClaims } from './caller.ts';
import { DatabaseUnavailableError, fieldOf, sqlStateOf } from './database.ts';
import { Refusal, refusalOf } from './refusal.ts';
import { readJsonBody } from './request-body.ts';

export interface PostgrestDoorOptions {
  /** As the other door finds out who calls. */
  readonly identify: (context: Context) => Promise<CallerClaims>;
  /** As the other door does it, with the same limits and handlers. Resolves to the ApplyResponse as text. */
  readonly apply: (context: Context, claims: CallerClaims, batch: ParsedApplyRequest) => Promise<string>;
}

/** What PostgREST answers when something is wrong. */
interface PostgrestError {
  readonly code: string;
  readonly details: string | null;
  readonly hint: string | null;
  readonly message: string;
}

/**
 * The door that `supabase-js` knows: `POST /rest/v1/rpc/apply` with the arguments as a JSON object and the schema in
 * `Content-Profile`, answered as PostgREST documents it (https://docs.postgrest.org/en/v13/references/errors.html). It
 * offers one function, `holdfast.apply`; hosted Supabase offers the same through its own PostgREST. What happens to a batch is what
 * happens at `/v1/apply`.
 */
export function createPostgrestDoor(options: PostgrestDoorOptions): Hono {
  const { identify, apply } = options;
  const door = new Hono();

  door.post('/rest/v1/rpc/apply', async (context) => {
    if (context.req.header('content-profile') !== 'holdfast') return refuse(404, noFunction('apply'));
    const claims = await identify(context);
    const body = await readJsonBody(context.req.raw);
    const batch: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, 'batch') : undefined;
    if (batch === undefined) return refuse(404, noFunction('apply'));
    const answer = await apply(context, claims, parseApplyRequest(batch));
    return context.body(answer, 200, { 'content-type': 'application/json; charset=utf-8' });
  });

  door.post('/rest/v1/rpc/:name', ({ req }) => refuse(404, noFunction(req.param('name'))));
  door.onError((error) => {
    const { status, body, retryAfterSeconds } = describe(error);
    return refuse(status, body, retryAfterSeconds);
  });
  return door;
}

interface Description {
  readonly status: number;
  readonly body: PostgrestError;
  readonly retryAfterSeconds: number | null;
}

/** What `holdfast.apply` itself would raise about a batch that is none; the word of our own stands in the details. */
const STATE_OF_BATCH: Readonly<Record<string, string>> = {
  INVALID_REQUEST: 'HF020',
  UPGRADE_REQUIRED: 'HF021',
  BATCH_TOO_LARGE: 'HF022',
  BODY_TOO_LARGE: 'HF022',
};

/** Of the statuses that are no fault of the batch: PostgREST's own codes, and of a limit, which a gateway before it keeps, our word. */
const CODE_OF_STATUS: Readonly<Record<number, string>> = { 401: 'PGRST301', 429: 'TOO_MANY_REQUESTS', 503: 'PGRST001' };

function describe(error: unknown): Description {
  // as at the other door
  const { retryAfterSeconds } = refusalOf(error);
  if (error instanceof Refusal) {
    const ofStatus = CODE_OF_STATUS[error.status];
    return {
      // nothing else of ours is among its answers
      status: ofStatus === undefined ? 400 : error.status,
      retryAfterSeconds,
      body: {
        code: STATE_OF_BATCH[error.code] ?? ofStatus ?? 'PGRST102',
        details: error.code,
        hint: error.hint,
        message: error.message,
      },
    };
  }
  if (error instanceof DatabaseUnavailableError)
    return {
      status: 503,
      retryAfterSeconds,
      body: { code: 'PGRST001', details: null, hint: null, message: 'Database client error.' },
    };
  const state = sqlStateOf(error);
  if (state === null)
    return {
      status: 500,
      retryAfterSeconds,
      body: { code: 'XX000', details: null, hint: null, message: 'Internal error.' },
    };
  return {
    status: statusOf(state),
    retryAfterSeconds,
    body: {
      code: state,
      details: fieldOf(error, 'detail'),
      hint: fieldOf(error, 'hint'),
      message: fieldOf(error, 'message') ?? state,
    },
  };
}

/** PostgREST's table from SQLSTATEs to statuses, for a caller who is signed in. The longest entry that fits decides. */
const STATUSES: readonly (readonly [start: string, status: number])[] = [
  ['23503', 409],
  ['23505', 409],
  ['25006', 405],
  ['42501', 403],
  ['42883', 404],
  ['42P01', 404],
  ['42P17', 500],
  ['53400', 500],
  ['P0001', 400],
  ['08', 503],
  ['09', 500],
  ['0L', 403],
  ['0P', 403],
  ['25', 500],
  ['28', 403],
  ['2D', 500],
  ['38', 500],
  ['39', 500],
  ['3B', 500],
  ['40', 500],
  ['53', 503],
  ['54', 500],
  ['55', 500],
  ['57', 500],
  ['58', 500],
  ['F0', 500],
  ['HV', 500],
  ['P0', 500],
  ['XX', 500],
];

function statusOf(state: string): number {
  return STATUSES.find(([start]) => state.startsWith(start))?.[1] ?? 400;
}

function noFunction(name: string): PostgrestError {
  return {
    code: 'PGRST202',
    details: `Searched for the function ${name} in the schema of the request, with the parameters that were given.`,
    hint: null,
    message: `Could not find the function ${name} in the schema cache`,
  };
}

function refuse(status: number, body: PostgrestError, retryAfterSeconds: number | null = null): Response {
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
    ...(retryAfterSeconds === null ? {} : { 'retry-after': String(retryAfterSeconds) }),
  };
  return new Response(JSON.stringify(body), { status, headers });
}
