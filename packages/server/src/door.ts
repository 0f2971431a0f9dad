import { type ErrorBody, type HealthResponse, PROTOCOL_VERSION } from 'holdfast/protocol';
import { Hono, type MiddlewareHandler } from 'hono';
import { parseApplyRequest, toBatchText } from './apply-request.ts';
import { parseAuditQuery, readAudit } from './audit-query.ts';
import { type AuthOptions, createTokenVerifier } from './auth.ts';
import { withCaller, workspaceOf } from './caller.ts';
import { type Database, sqlStateOf } from './database.ts';
import { createPostgrestDoor } from './postgrest-door.ts';
import { Refusal, refusalOf } from './refusal.ts';
import { readJsonBody } from './request-body.ts';

export interface DoorOptions {
  /** Migrated by `migrate`. */
  readonly database: Database;
  readonly auth: AuthOptions;
  /** Told of every answer. Without it nothing is logged. */
  readonly logger?: DoorLogger;
  /** Longest one statement may take, in milliseconds. PGlite ignores it. @default 10_000 */
  readonly statementTimeoutMs?: number;
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
 * The HTTP door to `holdfast.apply`: `POST /v1/apply`, `GET /v1/audit`, `GET /v1/health`, and `POST /rest/v1/rpc/apply`
 * for `supabase-js`, which answers as PostgREST does. Mount it into an app (`app.route('/', door)`) or serve it alone.
 * Every other refusal is JSON: `{error: {category, code, message, hint}}`.
 */
export function createDoor(options: DoorOptions): Hono {
  const { database, logger } = options;
  const verifyToken = createTokenVerifier(options.auth);
  const limits = options.statementTimeoutMs === undefined ? {} : { statementTimeoutMs: options.statementTimeoutMs };
  const door = new Hono();

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

  door.post('/v1/apply', async (context) => {
    const claims = await verifyToken(context.req.header('authorization'));
    const request = parseApplyRequest(await readJsonBody(context.req.raw));
    if (workspaceOf(claims) !== request.client.workspaceId) {
      throw new Refusal(
        'FOREIGN_WORKSPACE',
        'This login does not belong to the workspace of the batch.',
        'Sign in to the workspace in which the changes were made.',
      );
    }
    const answer = await withCaller(
      database,
      claims,
      // as text: results then reach the device digit for digit
      (session) =>
        session.query<{ answer: string }>('select holdfast.apply($1::jsonb)::text as answer', [toBatchText(request)]),
      limits,
    );
    return context.body(answer[0]?.answer ?? '', 200, { 'content-type': 'application/json; charset=utf-8' });
  });

  door.get('/v1/audit', async (context) => {
    const claims = await verifyToken(context.req.header('authorization'));
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
      await database.query('select 1');
      return context.json({ ...health, status: 'ok' } satisfies HealthResponse);
    } catch (error) {
      const refusal = refusalOf(error);
      const body: HealthResponse & ErrorBody = { ...health, status: 'unavailable', error: refusal.toWireError() };
      return context.json(body, 503, { 'retry-after': '2' });
    }
  });

  door.route('/', createPostgrestDoor({ database, verifyToken, limits }));

  const notFound = (): Response =>
    new Refusal(
      'NOT_FOUND',
      'There is nothing at this address.',
      'Use POST /v1/apply, GET /v1/audit or GET /v1/health.',
    ).toResponse();
  door.all('/v1/*', notFound);
  door.notFound(notFound);
  door.onError((error) => refusalOf(error).toResponse());
  return door;
}

/** The message is left out: a database quotes the values it chokes on. */
function describeCause(cause: unknown): { readonly cause?: string; readonly sqlState?: string } {
  if (!(cause instanceof Error)) return {};
  const sqlState = sqlStateOf(cause);
  return { cause: cause.name, ...(sqlState === null ? {} : { sqlState }) };
}
