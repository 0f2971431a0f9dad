import { categoryOfCode, HoldfastError } from '../mutation/holdfast-error.ts';
import type { ErrorBody, ErrorCategory, Json, WireError } from '../protocol/wire.ts';
import type { Performed } from './ledger.ts';

/** What goes wrong at the server. */
export type ErrorMode =
  /** It takes the request and never answers; nothing has happened. The queue gives up after its `attemptTimeoutMs`, 30 s. */
  | 'timeout'
  /** It applies the mutations and never answers. */
  | 'halfOpen'
  /** It applies the mutations and answers 500. */
  | 'failsAfterCommit'
  /** 500. */
  | 'serverError'
  /** 503, with `Retry-After`. */
  | 'unavailable'
  /** 502 from a gateway, with a page of HTML. */
  | 'badGateway'
  /** 401. A fresh token does not help. */
  | 'unauthorized'
  /** 403. */
  | 'forbidden'
  /** 426: the app is too old. */
  | 'upgradeRequired'
  /** Each mutation is rejected for good, as by a constraint. */
  | 'validation'
  /** Each mutation is refused for now, and uses an attempt. */
  | 'busy'
  /** An answer of your own to the whole request. */
  | { readonly status: number; readonly body?: Json; readonly headers?: Readonly<Record<string, string>> }
  /** A verdict of your own on each mutation: rejected for good, or only for now. */
  | { readonly code: string; readonly message: string; readonly category?: ErrorCategory; readonly mayRetry?: boolean };

const NAMED_MODES: Readonly<Record<Extract<ErrorMode, string>, 'request' | 'mutation'>> = {
  timeout: 'request',
  halfOpen: 'request',
  failsAfterCommit: 'request',
  serverError: 'request',
  unavailable: 'request',
  badGateway: 'request',
  unauthorized: 'request',
  forbidden: 'request',
  upgradeRequired: 'request',
  validation: 'mutation',
  busy: 'mutation',
};

/** A mode with a typing error would make nothing go wrong, and the test pass. Throws `INVALID_OPTION`. */
export function checkMode(mode: unknown, takes: 'all' | 'request' = 'all'): void {
  const names = Object.entries(NAMED_MODES).flatMap(([name, kind]) =>
    takes === 'all' || kind === takes ? [name] : [],
  );
  if (mode === null || names.includes(mode as string)) return;
  if (typeof mode === 'object' && ('status' in mode || (takes === 'all' && 'code' in mode))) return;
  throw new HoldfastError({
    code: 'INVALID_OPTION',
    message: `setErrorMode: there is no mode ${JSON.stringify(mode)}.`,
    hint: `Use null, ${names.join(', ')}, ${takes === 'all' ? '{ status } or { code, message }' : 'or { status }'}.`,
  });
}

/** What `fetch` will answer. */
export interface SimulatedAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The verdict on each mutation, where the mode is about mutations; null where it is about the whole request. */
export function verdictOfMode(mode: ErrorMode): Performed | null {
  if (mode === 'validation') return failed(wireError('23514', 'The new row violates a check constraint.'), true);
  if (mode === 'busy') return failed(wireError('40001', 'Someone else was changing the same data.'), false);
  if (typeof mode === 'string' || 'status' in mode) return null;
  const { code, message, category = categoryOfCode(code), mayRetry = false } = mode;
  return failed({ category, code, message }, !mayRetry);
}

/** The answer to the whole request, where the mode is about requests that are answered. */
export function answerOfMode(mode: ErrorMode): SimulatedAnswer | null {
  if (typeof mode === 'object') return 'status' in mode ? json(mode.status, mode.body ?? null, mode.headers) : null;
  switch (mode) {
    case 'failsAfterCommit':
    case 'serverError':
      return refusal(500, 'INTERNAL');
    case 'unavailable':
      return refusal(503, 'SERVER_UNAVAILABLE', { 'retry-after': '5' });
    case 'badGateway':
      return html(502);
    case 'unauthorized':
      return refusal(401, 'TOKEN_EXPIRED');
    case 'forbidden':
      return refusal(403, 'FOREIGN_WORKSPACE');
    case 'upgradeRequired':
      return refusal(426, 'UPGRADE_REQUIRED');
    case 'timeout':
    case 'halfOpen':
    case 'validation':
    case 'busy':
      return null;
  }
}

/** The same verdict as an endpoint that knows one change at a time would give it: 422 for good, 500 for now. */
export function answerOfVerdict(mode: ErrorMode): SimulatedAnswer | null {
  const verdict = verdictOfMode(mode);
  return verdict?.kind === 'failed' ? json(verdict.isPermanent ? 422 : 500, verdict.error) : null;
}

/** An answer of the server's own. */
export function json(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): SimulatedAnswer {
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) };
}

/** Somebody else's: a gateway, or the page of a captive portal. */
export function html(status: number): SimulatedAnswer {
  const body = '<!doctype html><title>Not the server that was asked</title>';
  return { status, headers: { 'content-type': 'text/html' }, body };
}

/** What the door says when it does not look at a batch at all. */
export function refusal(status: number, code: string, headers: Readonly<Record<string, string>> = {}): SimulatedAnswer {
  const body: ErrorBody = { error: wireError(code, `The simulated server answers ${code}.`) };
  return json(status, body, headers);
}

function wireError(code: string, message: string): WireError {
  const category = code === '23514' ? 'VALIDATION_ERROR' : code === '40001' ? 'SERVER_ERROR' : categoryOfCode(code);
  return { category, code, message };
}

function failed(error: WireError, isPermanent: boolean): Performed {
  return { kind: 'failed', error, isPermanent };
}
