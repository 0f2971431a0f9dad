import { isErrorCategory } from '../mutation/holdfast-error.ts';
import { ERROR_CODES, type ErrorCode } from '../protocol/error-codes.ts';
import type { ErrorCategory, WireError } from '../protocol/wire.ts';
import { isCode, lookUpFailure, type TableAnswer, type Verdict, verdictOfCategory } from './failure-table.ts';
import { parseAskedDelayMs } from './pace.ts';
import type { AnswerHeaders } from './retry-after.ts';

/** A failure of whatever kind, understood. */
export interface ClassifiedFailure {
  readonly error: WireError;
  readonly verdict: Verdict;
  /** What it asked us to wait, in milliseconds; null when it did not. Not clamped. */
  readonly retryAfterMs: number | null;
  /** Whether the request was on its way: `no` only where that is certain. */
  readonly wasSent: 'no' | 'perhaps' | 'answered';
  /** The connection was there and was cut: worth one more try at once. Browsers do not tell. */
  readonly wasReset: boolean;
}

/**
 * Understands whatever a handler, `fetch` or a client library threw or handed back as its error: a `HoldfastError`, a
 * `Response` (its body is left alone), a Supabase result or error object, an error with `status` or `code`, a failed
 * `fetch`, an aborted one, an error of axios, ky or a GraphQL client. What nobody knows may succeed later (`refused`).
 */
export function classifyFailure(failure: unknown): ClassifiedFailure {
  const parts = partsOf(failure);
  const codes = codesOf(parts);
  const status = statusOf(parts);
  const { category, code, verdict } =
    judgeTyped(parts.find(isTyped) ?? wordOfDatabase(parts)) ??
    lookUpFailure({ status: isGraphQlAnswer(parts) ? null : status, codes }) ??
    unknownFailure(codes);
  const nodeCode = codes.find((each) => NOT_SENT.has(each) || RESET.has(each));
  const isAnswered = status !== null && status > 0;
  return {
    error: {
      category,
      code,
      message: messageOf(parts, status, code),
      hint: textOf(parts, 'hint') ?? HINTS[verdict],
    },
    verdict,
    retryAfterMs: retryAfterOf(parts),
    wasSent: isAnswered ? 'answered' : nodeCode !== undefined && NOT_SENT.has(nodeCode) ? 'no' : 'perhaps',
    wasReset: !isAnswered && nodeCode !== undefined && RESET.has(nodeCode),
  };
}

/** What a status means by itself, for an answer whose body says nothing that can be trusted. */
export function classifyStatus(status: number): { readonly error: WireError; readonly verdict: Verdict } {
  const { error, verdict } = classifyFailure({ status });
  return { error, verdict };
}

/** No connection came about, so nothing was sent. */
const NOT_SENT: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENETUNREACH',
  'ENETDOWN',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'EADDRNOTAVAIL',
  'UND_ERR_CONNECT_TIMEOUT',
]);
const RESET: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET']);

/** What browsers and React Native call a fetch that failed; beside `TypeError` there is no code to go by. */
const FETCH_FAILED: ReadonlySet<string> = new Set([
  'Failed to fetch', // Chromium
  'network error', // Chromium, within the body
  'NetworkError when attempting to fetch resource.', // Firefox
  'Error in input stream', // Firefox, within the body
  'Load failed', // Safari
  'The network connection was lost.', // Safari
  'The Internet connection appears to be offline.', // Safari
  'Network request failed', // React Native
  'fetch failed', // Node
  'terminated', // Node, within the body
]);

const HINTS: Readonly<Record<Verdict, string>> = {
  line: 'Nothing to do: it is sent again.',
  rateLimit: 'Nothing to do: it is sent again when the server allows it.',
  auth: 'Sign in again. What is stored on this device is kept.',
  forbidden: 'Ask for access, or sign in as someone who has it; then retry.',
  outdated: 'Reload or update the app.',
  refused: 'Nothing to do: it is tried again.',
  rejected: 'Correct what it says, then retry or discard the change.',
  conflict: 'Compare the change with what the server has now, then retry or discard it.',
};

/** Longest message that is kept, in characters: some servers answer with pages. */
const MESSAGE_LENGTH_MAX = 500;
/** How deep causes are followed. */
const CAUSE_COUNT_MAX = 4;

type Part = Readonly<Record<string, unknown>>;
type Typed = Part & { readonly category: ErrorCategory; readonly code: string };

/** The failure and what it wraps, from the outside in: answers of clients, error bodies, causes. */
function partsOf(failure: unknown): readonly Part[] {
  const parts: Part[] = [];
  const add = (value: unknown, depth: number): void => {
    if (!isPart(value) || depth > CAUSE_COUNT_MAX || parts.includes(value)) return;
    parts.push(value);
    for (const inner of ['error', 'response', 'data', 'context', 'cause']) add(value[inner], depth + 1);
    const { errors } = value;
    // Several of GraphQL, or several addresses that Node has tried.
    for (const each of Array.isArray(errors) ? (errors as readonly unknown[]).slice(0, CAUSE_COUNT_MAX) : []) {
      add(each, depth + 1);
      if (isPart(each)) add(each['extensions'], depth + 1);
    }
  };
  add(failure, 0);
  return parts;
}

function codesOf(parts: readonly Part[]): readonly string[] {
  const codes: string[] = [];
  const add = (code: unknown): void => {
    if (typeof code === 'string' && code !== '' && !codes.includes(code)) codes.push(code);
  };
  for (const part of parts) for (const key of ['code', 'error_code']) add(part[key]);
  // postgrest-js tells of a failed fetch in words: the error's name before the message, Node's code in the details.
  for (const { code, message, details } of parts) {
    if (code !== '' || typeof message !== 'string') continue;
    if (typeof details === 'string') add(/^Caused by: .*\((\w+)\)$/m.exec(details)?.[1]);
    const [, name, text] = /^(\w*Error): (.*)/.exec(message) ?? [null, '', ''];
    add(name === 'TypeError' && FETCH_FAILED.has(String(text)) ? 'NetworkError' : name);
  }
  for (const { name, message } of parts) {
    if (typeof name !== 'string' || !name.endsWith('Error')) continue;
    add(name === 'TypeError' && FETCH_FAILED.has(String(message)) ? 'NetworkError' : name);
  }
  return codes;
}

function statusOf(parts: readonly Part[]): number | null {
  for (const { status, statusCode } of parts) {
    for (const value of [status, statusCode]) {
      const number = typeof value === 'string' && /^\d{3}$/.test(value) ? Number(value) : value;
      if (typeof number === 'number' && Number.isInteger(number) && number >= 0 && number <= 999) return number;
    }
  }
  return null;
}

/** GraphQL answers 200 and tells of its errors inside: the status says nothing then. */
function isGraphQlAnswer(parts: readonly Part[]): boolean {
  return statusOf(parts) === 200 && parts.some(({ errors }) => Array.isArray(errors) && errors.length > 0);
}

/** Functions of `holdfast` raise SQLSTATEs of their own and put the word for it into the detail. */
function wordOfDatabase(
  parts: readonly Part[],
): { readonly category: ErrorCategory; readonly code: string } | undefined {
  for (const { code, details, detail } of parts) {
    const word = details ?? detail;
    if (typeof code !== 'string' || !/^HF\d{3}$/.test(code) || typeof word !== 'string') continue;
    if (Object.hasOwn(ERROR_CODES, word)) return { category: ERROR_CODES[word as ErrorCode], code: word };
  }
  return undefined;
}

/** Who gives one of our categories has said what it means, unless a row knows the code better. */
function judgeTyped(
  typed: { readonly category: ErrorCategory; readonly code: string } | undefined,
): TableAnswer | null {
  if (typed === undefined) return null;
  const { category, code } = typed;
  const known = lookUpFailure({ status: null, codes: [code] });
  return { category, code, verdict: known?.category === category ? known.verdict : verdictOfCategory(category) };
}

function unknownFailure(codes: readonly string[]): TableAnswer {
  return { category: 'UNKNOWN_ERROR', code: codes.find(isCode) ?? 'UNKNOWN_FAILURE', verdict: 'refused' };
}

function messageOf(parts: readonly Part[], status: number | null, code: string): string {
  const message = textOf(parts, 'message')?.trim() ?? '';
  // A page of HTML or the beginning of JSON is nothing to read.
  if (message !== '' && !/^[<{[]/.test(message)) return message.slice(0, MESSAGE_LENGTH_MAX);
  if (status !== null && status > 0) return `The server answered with status ${status}.`;
  return `It failed (${code}).`;
}

function textOf(parts: readonly Part[], key: 'message' | 'hint'): string | undefined {
  for (const part of parts) {
    const text = part[key];
    if (typeof text === 'string' && text !== '') return text;
  }
  return undefined;
}

function retryAfterOf(parts: readonly Part[]): number | null {
  for (const { headers } of parts) {
    const read = headersOf(headers);
    if (read === null) continue;
    const delayMs = parseAskedDelayMs(read);
    if (delayMs !== null) return delayMs;
  }
  return null;
}

function headersOf(headers: unknown): AnswerHeaders | null {
  if (!isPart(headers)) return null;
  const { get } = headers;
  if (typeof get === 'function') {
    return { get: (name) => asText((get as (name: string) => unknown).call(headers, name)) };
  }
  // A plain object, as some clients hand it out.
  return { get: (name) => asText(Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1]) };
}

function asText(value: unknown): string | null {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : null;
}

function isTyped(part: Part): part is Typed {
  return isErrorCategory(part['category']) && typeof part['code'] === 'string';
}

function isPart(value: unknown): value is Part {
  return typeof value === 'object' && value !== null;
}
