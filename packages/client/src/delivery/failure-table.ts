import type { ErrorCode } from '../protocol/error-codes.ts';
import type { ErrorCategory } from '../protocol/wire.ts';

/** What a failure means for the queue. What it was said about, one mutation or a whole call, is the transport's to know. */
export type Verdict =
  /** The line failed, or a gateway, or a server that is away: says nothing about any mutation and uses no attempt. */
  | 'line'
  /** Everything that goes this way waits. */
  | 'rateLimit'
  /** A fresh token, or a new sign-in, may help. */
  | 'auth'
  /** This login may not do it. */
  | 'forbidden'
  /** This app is too old for the server. */
  | 'outdated'
  /** May succeed later: uses an attempt. */
  | 'refused'
  /** Never will: a dead letter. */
  | 'rejected'
  /** Somebody else has changed the same: for whoever resolves conflicts, and until then a dead letter. */
  | 'conflict';

export interface Meaning {
  readonly category: ErrorCategory;
  readonly verdict: Verdict;
}

/** What is known of a failure for certain. */
export interface FailureFacts {
  /** HTTP status; 0 where a library says that no answer came, null where nothing is said of one. */
  readonly status: number | null;
  /** SQLSTATEs, codes of PostgREST, of Supabase Auth, of Node, of GraphQL, names of errors; the most telling first. */
  readonly codes: readonly string[];
}

/** What the table says of a failure. */
export interface TableAnswer extends Meaning {
  /** The code it was known by, or our own word for it. */
  readonly code: string;
}

/** A row holds for a failure that has one of its codes and one of its statuses; an empty column holds for all. */
interface Row extends Meaning {
  /** Separated by spaces; `22*` stands for a class of SQLSTATEs. */
  readonly codes?: string;
  /** Separated by spaces; `520-530` stands for a range. */
  readonly statuses?: string;
  /** Our own word, for what has no code or one that only the runtime knows. */
  readonly as?: ErrorCode;
}

/**
 * The one table of failures; the first row that holds decides. A known code says more than a status, except that anyone on
 * the way may ask for patience, and nobody who is signed out is forbidden anything. Codes that no row knows (an app's own)
 * leave the decision to the status.
 */
const FAILURE_TABLE: readonly Row[] = [
  { statuses: '429', category: 'RATE_LIMITED', verdict: 'rateLimit', as: 'TOO_MANY_REQUESTS' },

  // Runtimes: fetch, Node's sockets, libraries around them. Names stand here too: a DOMException has no other code.
  {
    codes:
      'AbortError TimeoutError ABORT_ERR ERR_CANCELED ECONNABORTED ETIMEDOUT UND_ERR_HEADERS_TIMEOUT UND_ERR_BODY_TIMEOUT UND_ERR_CONNECT_TIMEOUT',
    category: 'TIMEOUT_ERROR',
    verdict: 'line',
    as: 'NO_ANSWER',
  },
  {
    codes:
      'ECONNRESET EPIPE UND_ERR_SOCKET ECONNREFUSED ENOTFOUND EAI_AGAIN ENETUNREACH ENETDOWN EHOSTUNREACH EHOSTDOWN EADDRNOTAVAIL ERR_NETWORK NetworkError ERR_SSL_* ERR_TLS_* CERT_* DEPTH_ZERO_SELF_SIGNED_CERT SELF_SIGNED_CERT_IN_CHAIN UNABLE_TO_VERIFY_LEAF_SIGNATURE AuthRetryableFetchError FunctionsFetchError',
    category: 'NETWORK_ERROR',
    verdict: 'line',
    as: 'UNREACHABLE',
  },
  // The body of an answer was not what its reader expected: cut off, or the page of a captive portal.
  { codes: 'SyntaxError', category: 'SERVER_ERROR', verdict: 'line', as: 'UNREADABLE_ANSWER' },

  // Supabase Auth
  {
    codes: 'over_request_rate_limit over_email_send_rate_limit over_sms_send_rate_limit',
    category: 'RATE_LIMITED',
    verdict: 'rateLimit',
  },
  {
    codes:
      'AuthSessionMissingError refresh_token_not_found refresh_token_already_used bad_jwt no_authorization session_not_found session_expired',
    category: 'AUTH_ERROR',
    verdict: 'auth',
  },
  { codes: 'user_banned', category: 'FORBIDDEN', verdict: 'forbidden' },

  // PostgREST
  { codes: 'PGRST000 PGRST001 PGRST002', category: 'SERVER_ERROR', verdict: 'line' },
  { codes: 'PGRST003', category: 'TIMEOUT_ERROR', verdict: 'line' },
  { codes: 'PGRST301 PGRST302 PGRST303', category: 'AUTH_ERROR', verdict: 'auth' },
  // The server does not know what the app asks for: it is older than the app, or has not looked since a deploy.
  { codes: 'PGRST202 PGRST204 PGRST205 42883 42P01 42703', category: 'SERVER_ERROR', verdict: 'refused' },
  { codes: 'PGRST201 PGRST203', category: 'SERVER_ERROR', verdict: 'rejected' },
  { codes: 'PGRST116 PGRST126', category: 'NOT_FOUND', verdict: 'rejected' },
  { codes: 'PGRST111 PGRST112 PGRST121 PGRST300 PGRSTX00', category: 'SERVER_ERROR', verdict: 'refused' },
  { codes: 'PGRST1* PGRST2*', category: 'VALIDATION_ERROR', verdict: 'rejected' },

  // Postgres
  { codes: '42501', statuses: '401', category: 'AUTH_ERROR', verdict: 'auth' },
  { codes: '42501 28* 0L* 0P*', category: 'FORBIDDEN', verdict: 'forbidden' },
  { codes: '23505 23P01', category: 'CONFLICT', verdict: 'rejected' },
  // What it refers to may be on its way in another lane.
  { codes: '23503', category: 'CONFLICT', verdict: 'refused' },
  { codes: '21* 22* 23* P0001', category: 'VALIDATION_ERROR', verdict: 'rejected' },
  { codes: '57014', category: 'TIMEOUT_ERROR', verdict: 'refused' },
  { codes: '08* 53* 57P01 57P02 57P03 57P05 25006', category: 'SERVER_ERROR', verdict: 'line' },
  { codes: '40* 55* 25* 42* 54* 57* 58* XX* P0* 38* 39* F0* HV*', category: 'SERVER_ERROR', verdict: 'refused' },

  // GraphQL servers, by common custom
  { codes: 'UNAUTHENTICATED', category: 'AUTH_ERROR', verdict: 'auth' },
  { codes: 'FORBIDDEN', category: 'FORBIDDEN', verdict: 'forbidden' },
  {
    codes: 'BAD_USER_INPUT GRAPHQL_VALIDATION_FAILED GRAPHQL_PARSE_FAILED BAD_REQUEST',
    category: 'VALIDATION_ERROR',
    verdict: 'rejected',
  },
  { codes: 'INTERNAL_SERVER_ERROR', category: 'SERVER_ERROR', verdict: 'refused' },

  // Our own codes, where their category alone would mean something else (below)
  { codes: 'SERVER_UNAVAILABLE NOT_OUR_SERVER UNREADABLE_ANSWER', category: 'SERVER_ERROR', verdict: 'line' },
  { codes: 'ROW_EXISTS ID_REUSED SEQ_REUSED', category: 'CONFLICT', verdict: 'rejected' },

  // Statuses
  { statuses: '0', category: 'NETWORK_ERROR', verdict: 'line', as: 'UNREACHABLE' },
  { statuses: '200-299', category: 'SERVER_ERROR', verdict: 'line', as: 'UNREADABLE_ANSWER' },
  { statuses: '300-399 407 511', category: 'SERVER_ERROR', verdict: 'line', as: 'NOT_OUR_SERVER' },
  { statuses: '401', category: 'AUTH_ERROR', verdict: 'auth', as: 'TOKEN_INVALID' },
  { statuses: '403 451', category: 'FORBIDDEN', verdict: 'forbidden' },
  { statuses: '404 410', category: 'NOT_FOUND', verdict: 'rejected', as: 'NOT_FOUND' },
  { statuses: '408 425', category: 'TIMEOUT_ERROR', verdict: 'line', as: 'NO_ANSWER' },
  { statuses: '409 412', category: 'CONFLICT', verdict: 'conflict' },
  { statuses: '413', category: 'VALIDATION_ERROR', verdict: 'rejected', as: 'PAYLOAD_TOO_LARGE' },
  { statuses: '426', category: 'OUTDATED', verdict: 'outdated', as: 'UPGRADE_REQUIRED' },
  { statuses: '400 406 414-417 422 428 431', category: 'VALIDATION_ERROR', verdict: 'rejected' },
  { statuses: '400-499', category: 'UNKNOWN_ERROR', verdict: 'rejected' },
  { statuses: '504 524 544', category: 'TIMEOUT_ERROR', verdict: 'line', as: 'SERVER_UNAVAILABLE' },
  // Gateways, and hosts that have paused a project (540)
  { statuses: '502 503 520-530 540', category: 'SERVER_ERROR', verdict: 'line', as: 'SERVER_UNAVAILABLE' },
  { statuses: '500-599', category: 'SERVER_ERROR', verdict: 'refused' },
];

/** What a failure that carries one of our categories means, where no row above knows its code. */
const VERDICT_BY_CATEGORY: Readonly<Record<ErrorCategory, Verdict>> = {
  NETWORK_ERROR: 'line',
  TIMEOUT_ERROR: 'line',
  RATE_LIMITED: 'rateLimit',
  AUTH_ERROR: 'auth',
  FORBIDDEN: 'forbidden',
  VALIDATION_ERROR: 'rejected',
  CONFLICT: 'conflict',
  NOT_FOUND: 'rejected',
  SERVER_ERROR: 'refused',
  STORAGE_ERROR: 'refused',
  CORRUPTED: 'rejected',
  OUTDATED: 'outdated',
  UNKNOWN_ERROR: 'refused',
};

/** What the table says; null when no row holds. */
export function lookUpFailure(facts: FailureFacts): TableAnswer | null {
  // PostgREST answers a SQLSTATE such as PT409 with that status: the app's own SQL has chosen it.
  const chosen = facts.codes.map((code) => /^PT([2-5]\d\d)$/.exec(code)?.[1]).find((status) => status !== undefined);
  const status = chosen === undefined ? facts.status : Number(chosen);
  for (const row of FAILURE_TABLE) {
    if (row.statuses !== undefined && !hasStatus(row.statuses, status)) continue;
    const code = row.codes === undefined ? undefined : facts.codes.find((each) => hasCode(row.codes as string, each));
    if (row.codes !== undefined && code === undefined) continue;
    const shown = code === undefined ? (facts.codes.find(isCode) ?? row.as ?? `HTTP_${status}`) : (row.as ?? code);
    return { category: row.category, verdict: row.verdict, code: shown };
  }
  return null;
}

export function verdictOfCategory(category: ErrorCategory): Verdict {
  return VERDICT_BY_CATEGORY[category];
}

function hasCode(list: string, code: string): boolean {
  return list.split(' ').some((item) => {
    if (!item.endsWith('*')) return item === code;
    const start = item.slice(0, -1);
    // Two letters are a class of SQLSTATEs, which have five.
    return code.startsWith(start) && (start.length > 2 || code.length === 5);
  });
}

function hasStatus(list: string, status: number | null): boolean {
  if (status === null) return false;
  return list.split(' ').some((item) => {
    const [from = '', to = from] = item.split('-');
    return status >= Number(from) && status <= Number(to);
  });
}

/** Names of error classes help to find a row, but are no codes to show. */
export function isCode(code: string): boolean {
  return !code.endsWith('Error');
}
