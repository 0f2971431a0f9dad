import { type ErrorBody, type HealthResponse, PROTOCOL_VERSION } from 'holdfast/protocol';
import { type Context, Hono, type MiddlewareHandler } from 'hono';
import { applyRequest, HANDLER_MS_MAX, type MutationHandlers } from './apply-handled.ts';
import { parseApplyRequest, type ParsedApplyRequest } from './apply-request.ts';
import { parseAuditQuery, readAudit } from './audit-query.ts';
import { type AuthOptions, createTokenVerifier } from './auth.ts';
import { type CallerClaims, type CallerOrigin, withCaller, workspaceOf } from './caller.ts';
import { clientCookie, clientCookieName, clientInCookie } from './client-cookie.ts';
import { type Database, sqlStateOf } from './database.ts';
import { type Export, exportAuditLogs, exportRows, parseExportFormat, parseLogsQuery } from './export.ts';
import type { LiveChannel } from './live-channel.ts';
import { liveEvents } from './live-events.ts';
import { createPostgrestDoor } from './postgrest-door.ts';
import { createRateLimit, type RateLimit } from './rate-limit.ts';
import { Refusal, refusalOf } from './refusal.ts';
import { readJsonBody } from './request-body.ts';

/** A database that does not answer within this is away, in milliseconds. */
const HEALTH_MS_MAX = 5_000;
/** How long whoever wants to export is told to wait for others, in milliseconds. */
const EXPORT_RETRY_MS = 10_000;

export interface DoorOptions {
  /** Migrated by `migrate`. */
  readonly database: Database;
  readonly auth: AuthOptions;
  /** Told of every answer. Without it nothing is logged. */
  readonly logger?: DoorLogger;
  /** Longest one statement may take, in milliseconds. PGlite ignores it. @default 10_000 */
  readonly statementTimeoutMs?: number;
  /** Code that carries out mutations of a type, by type, inside the transaction of the batch. */
  readonly handlers?: MutationHandlers;
  /** Longest one of these handlers may take, in milliseconds; then it is undone, and the device tries again later. @default 10_000 */
  readonly handlerTimeoutMs?: number;
  /** Offers `GET /v1/live`, and is told when a batch came in. */
  readonly live?: LiveChannel;
  /** How often one user may ask; `false` for no limit. @default 600 requests a minute */
  readonly rateLimit?: RateLimit | false;
  /** Most requests in work at a time; the next one is told to come again (503). @default 200 */
  readonly inFlightCountMax?: number;
  /** Most of them of one user in one workspace, so that nobody takes the places of others; the next one is told to wait (429). @default 20 */
  readonly inFlightCountPerUserMax?: number;
  /** Longest an export may take, in milliseconds, and longest that it waits to be read. @default 300_000 */
  readonly exportTimeoutMs?: number;
  /** Most exports at a time, each of which keeps a connection of the database; the next one is told to come again (503). @default 3 */
  readonly exportCountMax?: number;
}

/** Where the door writes its log. It hands over no payload, no token and no text that could quote either. */
export interface DoorLogger {
  info(entry: DoorLogEntry): void;
  /** A developer should go and look. */
  error(entry: DoorLogEntry): void;
}

export interface DoorLogEntry {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly durationMs: number;
  /** Code of the refusal, when it was one. */
  readonly code?: string;
  /** Name of what went wrong inside, when something did. */
  readonly cause?: string;
  /** SQLSTATE of what went wrong inside, when Postgres said so. */
  readonly sqlState?: string;
}

/**
 * The HTTP door to `holdfast.apply`: `POST /v1/apply`, `GET /v1/audit`, `GET /v1/export/…`, `GET /v1/live`, `GET /v1/health`, and
 * `POST /rest/v1/rpc/apply` for `supabase-js`, which answers as PostgREST does. Mount it into an app (`app.route('/', door)`) or serve it alone.
 * Every other refusal is JSON: `{error: {category, code, message, hint}}`.
 */
export function createDoor(options: DoorOptions): Hono {
  const { database, logger } = options;
  const verifyToken = createTokenVerifier(options.auth);
  const limits = options.statementTimeoutMs === undefined ? {} : { statementTimeoutMs: options.statementTimeoutMs };
  const {
    live,
    handlers = {},
    handlerTimeoutMs = HANDLER_MS_MAX,
    inFlightCountMax = 200,
    inFlightCountPerUserMax = 20,
    exportCountMax = 3,
  } = options;
  const countRequest =
    options.rateLimit === false ? () => undefined : createRateLimit(options.rateLimit ?? {}, () => performance.now());
  const exporting = new Set<string>();
  const door = new Hono();
  let inFlightCount = 0;
  /** Of those whose user is known. */
  const inFlightCountOf = new Map<string, number>();
  const userOf = new WeakMap<Request, string>();

  const notFound = (): Response =>
    new Refusal(
      'NOT_FOUND',
      'There is nothing at this address.',
      'Use POST /v1/apply, GET /v1/audit, GET /v1/export/logs, GET /v1/export/rows/…, GET /v1/live or GET /v1/health.',
    ).toResponse();

  const admit: MiddlewareHandler = async (context, next) => {
    if (!isInFlight(context)) return next();
    if (inFlightCount >= inFlightCountMax) {
      throw new Refusal('SERVER_UNAVAILABLE', 'The server has too much to do.', 'Try again in a moment.');
    }
    inFlightCount += 1;
    try {
      return await next();
    } finally {
      inFlightCount -= 1;
      const user = userOf.get(context.req.raw);
      if (user !== undefined) countInFlight(user, -1);
    }
  };

  const countInFlight = (user: string, difference: 1 | -1): void => {
    const count = (inFlightCountOf.get(user) ?? 0) + difference;
    if (count > inFlightCountPerUserMax) {
      throw new Refusal(
        'TOO_MANY_REQUESTS',
        `This user has ${inFlightCountPerUserMax} requests in work.`,
        'Wait as long as Retry-After says; what waits on the device is kept.',
      );
    }
    if (count === 0) inFlightCountOf.delete(user);
    else inFlightCountOf.set(user, count);
  };

  /** What flows as long as it is read must not begin where nobody reads. */
  const readOnly: MiddlewareHandler = async (context, next) => {
    if (context.req.method === 'HEAD') return notFound();
    return next();
  };

  const identify = async (context: Context): Promise<CallerClaims> => {
    const claims = await verifyToken(context.req.header('authorization'));
    const user = `${workspaceOf(claims)}\n${claims.sub}`;
    countRequest(user);
    if (isInFlight(context)) {
      countInFlight(user, 1);
      userOf.set(context.req.raw, user);
    }
    return claims;
  };

  const log: MiddlewareHandler = async (context, next) => {
    const startedAtMs = performance.now();
    await next();
    context.header('cache-control', 'no-store');
    context.header('x-content-type-options', 'nosniff');
    const refusal = context.error === undefined ? null : refusalOf(context.error);
    const entry: DoorLogEntry = {
      method: context.req.method,
      path: context.req.path,
      status: context.res.status,
      durationMs: Math.round(performance.now() - startedAtMs),
      ...(refusal === null ? {} : { code: refusal.code, ...describeCause(refusal.cause) }),
    };
    if (context.res.status >= 500) logger?.error(entry);
    else logger?.info(entry);
  };
  door.use('/v1/*', log);
  door.use('/rest/v1/*', log);
  door.use('/v1/*', admit);
  door.use('/rest/v1/*', admit);
  door.use('/v1/export/*', readOnly);
  door.use('/v1/live', readOnly);

  const apply = async (context: Context, claims: CallerClaims, batch: ParsedApplyRequest): Promise<string> => {
    const answer = await applyRequest(database, claims, batch, {
      ...limits,
      origin: originOf(context),
      handlers,
      handlerTimeoutMs,
    });
    live?.nudge();
    return answer;
  };

  door.post('/v1/apply', async (context) => {
    const claims = await identify(context);
    const request = parseApplyRequest(await readJsonBody(context.req.raw));
    if (workspaceOf(claims) !== request.client.workspaceId) {
      throw new Refusal(
        'FOREIGN_WORKSPACE',
        'This login does not belong to the workspace of the batch.',
        'Sign in to the workspace in which the changes were made.',
      );
    }
    const cookieName = clientCookieName(claims.sub, request.client);
    const known = clientInCookie(context.req.header('cookie'), cookieName);
    const batch = known === null ? request : withAnchor(request, known);
    const answer = await apply(context, claims, batch);
    if (known !== request.client.id) {
      const isSecure = (context.req.header('x-forwarded-proto') ?? new URL(context.req.url).protocol).startsWith(
        'https',
      );
      context.header('set-cookie', clientCookie(cookieName, request.client.id, isSecure));
    }
    return context.body(answer, 200, { 'content-type': 'application/json; charset=utf-8' });
  });

  /** One at a time for each user: an export keeps a connection for as long as it takes to read. */
  const sendExport = async (claims: CallerClaims, open: () => Promise<Export>): Promise<Response> => {
    const user = `${workspaceOf(claims)}\n${claims.sub}`;
    if (exporting.has(user)) {
      throw new Refusal('TOO_MANY_REQUESTS', 'An export of yours is still running.', 'Wait for it, or cancel it.');
    }
    if (exporting.size >= exportCountMax) {
      throw new Refusal(
        'SERVER_UNAVAILABLE',
        'Others are exporting, as many as the server takes at a time.',
        'Try again in a while.',
        undefined,
        EXPORT_RETRY_MS,
      );
    }
    exporting.add(user);
    try {
      const { body, contentType, fileName, ended } = await open();
      void ended.finally(() => exporting.delete(user));
      return new Response(body, {
        headers: {
          'content-type': contentType,
          'content-disposition': `attachment; filename="${fileName}"`,
          'x-accel-buffering': 'no',
        },
      });
    } catch (error) {
      exporting.delete(user);
      throw error;
    }
  };
  const exportOptions = {
    nowMs: () => Date.now(),
    ...(options.exportTimeoutMs === undefined ? {} : { exportTimeoutMs: options.exportTimeoutMs }),
  };

  door.get('/v1/export/logs', async (context) => {
    const claims = await identify(context);
    const query = parseLogsQuery(context.req.query());
    return sendExport(claims, () => exportAuditLogs(database, claims, query, exportOptions));
  });

  door.get('/v1/export/rows/:entityType', async (context) => {
    const claims = await identify(context);
    const request = { entityType: context.req.param('entityType'), format: parseExportFormat(context.req.query()) };
    return sendExport(claims, () => exportRows(database, claims, request, exportOptions));
  });

  if (live !== undefined) {
    door.get('/v1/live', async (context) => {
      const claims = await identify(context);
      return liveEvents(live, claims, context.req.header('last-event-id') ?? context.req.query('cursor') ?? null);
    });
  }

  door.get('/v1/audit', async (context) => {
    const claims = await identify(context);
    const query = parseAuditQuery(context.req.query());
    return context.json(await withCaller(database, claims, (session) => readAudit(session, query), limits));
  });

  door.get('/v1/health', async (context) => {
    const health: Omit<HealthResponse, 'status'> = {
      service: 'holdfast',
      protocol: PROTOCOL_VERSION,
      serverTime: new Date().toISOString(),
    };
    try {
      await database.query('select 1', [], { answerMsMax: HEALTH_MS_MAX });
      return context.json({ ...health, status: 'ok' } satisfies HealthResponse);
    } catch (error) {
      const refusal = refusalOf(error);
      const body: HealthResponse & ErrorBody = { ...health, status: 'unavailable', error: refusal.toWireError() };
      return context.json(body, 503, { 'retry-after': '2' });
    }
  });

  door.route('/', createPostgrestDoor({ identify, apply }));

  door.all('/v1/*', notFound);
  door.notFound(notFound);
  door.onError((error) => refusalOf(error).toResponse());
  return door;
}

/** A line that stays open is counted by the channel, and health is asked by those who decide where requests go. */
function isInFlight({ req }: Context): boolean {
  return !/\/v1\/(live|health)$/.test(req.path);
}

/** A client that has another id than the cookie says, and does not say why, came back empty: a page cannot clear the cookie. */
function withAnchor(request: ParsedApplyRequest, knownId: string): ParsedApplyRequest {
  const { client } = request;
  if (client.id === knownId || client.forkedFrom !== undefined) return request;
  return { ...request, client: { ...client, forkedFrom: { id: knownId, reason: 'wiped' } } };
}

/** The message is left out: a database quotes the values it chokes on. */
function describeCause(cause: unknown): { readonly cause?: string; readonly sqlState?: string } {
  if (!(cause instanceof Error)) return {};
  const sqlState = sqlStateOf(cause);
  return { cause: cause.name, ...(sqlState === null ? {} : { sqlState }) };
}

/** On Node the socket is at hand; elsewhere only what headers say. */
function originOf({ req, env }: Context): CallerOrigin {
  const incoming: unknown = typeof env === 'object' && env !== null ? Reflect.get(env, 'incoming') : undefined;
  const peerAddress =
    typeof incoming === 'object' && incoming !== null
      ? (incoming as { readonly socket?: { readonly remoteAddress?: string } }).socket?.remoteAddress
      : undefined;
  return { peerAddress, forwardedFor: req.header('x-forwarded-for'), userAgent: req.header('user-agent') };
}
