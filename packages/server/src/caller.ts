import type { Json } from 'holdfast/protocol';
import type { AnswerOptions, Database, Session, Statement } from './database.ts';
import { isStorableText } from './storable.ts';

/** The claims of a verified token. The database sees all of them, as `request.jwt.claims`. */
export interface CallerClaims {
  /** The user. */
  readonly sub: string;
  /** The database role to act as. */
  readonly role: CallerRole;
  readonly [claim: string]: Json;
}

/** The roles a token may name: whatever else a token says, nobody becomes an owner or a service through the door. */
export const CALLER_ROLES = ['authenticated'] as const;

export type CallerRole = (typeof CALLER_ROLES)[number];

const STATEMENT_MS_MAX = 10_000;
/** Beyond what a statement may take, in milliseconds. */
const ANSWER_MS = 5_000;

export interface WithCallerOptions {
  /** Longest one statement may take, in milliseconds. PGlite ignores it. @default 10_000 */
  readonly statementTimeoutMs?: number;
  /** Where the request came from; the audit log keeps it. */
  readonly origin?: CallerOrigin;
}

export interface CallerOrigin {
  /** The other end of the connection. */
  readonly peerAddress?: string | undefined;
  /** Header `X-Forwarded-For`; believed as far as `holdfast.set_trusted_hops` says. */
  readonly forwardedFor?: string | undefined;
  /** Header `User-Agent`. */
  readonly userAgent?: string | undefined;
}

/** The workspace of a caller as `holdfast.workspace()` reads it, or null when the token names none. */
export function workspaceOf(claims: CallerClaims): string | null {
  const direct = claims['workspace_id'];
  if (direct !== undefined && direct !== null) return nameOf(direct);
  const metadata = claims['app_metadata'];
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) return null;
  return nameOf(Reflect.get(metadata, 'workspace_id'));
}

/** Some number their workspaces. */
function nameOf(value: unknown): string | null {
  return (typeof value === 'string' && value !== '') || typeof value === 'number' ? String(value) : null;
}

/**
 * Runs `work` in a transaction as the caller: with the role and claims of the token, as Supabase does it, so that
 * row-level security shows and allows what belongs to the caller. An app's own routes read their tables through this.
 * Commits when `work` resolves; role and claims end with the transaction.
 */
export function withCaller<Result>(
  database: Pick<Database, 'transaction'>,
  claims: CallerClaims,
  work: (session: Session) => Promise<Result>,
  options: WithCallerOptions = {},
): Promise<Result> {
  const become = becomeCaller(claims, options);
  return database.transaction(async (session) => {
    await session.query(become.sql, become.parameters);
    return work(session);
  }, answerOptions(options));
}

/**
 * Runs one statement as `withCaller` does, and answers its rows. All that belongs to it goes to the database in one message, so it
 * costs one round trip instead of four.
 */
export function queryAsCaller<Row>(
  database: Pick<Database, 'transact'>,
  claims: CallerClaims,
  statement: Statement,
  options: WithCallerOptions = {},
): Promise<readonly Row[]> {
  return database.transact<Row>([becomeCaller(claims, options), statement], answerOptions(options));
}

/** A statement that runs out of time may do what stood before once more, and a commit waits for the disk. */
function answerOptions({ statementTimeoutMs = STATEMENT_MS_MAX }: WithCallerOptions): AnswerOptions {
  return { answerMsMax: 2 * statementTimeoutMs + ANSWER_MS };
}

function becomeCaller(claims: CallerClaims, options: WithCallerOptions): Statement {
  if (!CALLER_ROLES.includes(claims.role)) throw new Error(`No caller may act as the role "${String(claims.role)}".`);
  return {
    sql: `select set_config('statement_timeout', $3, true), set_config('request.jwt.claims', $2, true),
                 set_config('request.headers', $4, true), set_config('holdfast.peer_address', $5, true),
                 set_config('role', $1, true)`,
    parameters: [
      claims.role,
      JSON.stringify(claims),
      `${options.statementTimeoutMs ?? STATEMENT_MS_MAX}ms`,
      headersText(options.origin),
      options.origin?.peerAddress ?? '',
    ],
  };
}

/** As PostgREST hands over headers: by their names in lower case. Empty when there are none to hand over. */
function headersText({ forwardedFor, userAgent }: CallerOrigin = {}): string {
  if (forwardedFor === undefined && userAgent === undefined) return '';
  return JSON.stringify({ 'x-forwarded-for': storable(forwardedFor), 'user-agent': storable(userAgent) });
}

/** Headers are bytes that anybody chose; what a database cannot hold must not stop a batch. */
function storable(header: string | undefined): string | undefined {
  return header === undefined || isStorableText(header) ? header : undefined;
}
