import type { Pace } from '../engine/transport-answer.ts';
import { type AnswerHeaders, parseRetryAfterMs } from './retry-after.ts';

/**
 * How many more calls a server takes before its window ends, from the headers in use: `RateLimit` as in the IETF's draft
 * (`"default";r=0;t=30`, and `limit=100, remaining=0, reset=30` of its earlier versions), `RateLimit-Remaining` with
 * `RateLimit-Reset`, and the same with `X-` before them. Of several policies the one that is used up for longest counts.
 * Null when nothing is said, or nothing that can be used.
 */
export function parsePace(headers: AnswerHeaders): Pace | null {
  const structured = headers.get('ratelimit');
  const paces = structured === null ? [] : structured.split(',').flatMap((item) => ofItem(item) ?? []);
  const early = structured === null ? null : ofEarlyDraft(structured);
  if (early !== null) paces.push(early);
  for (const prefix of ['ratelimit', 'x-ratelimit']) {
    const remaining = countOf(headers.get(`${prefix}-remaining`));
    const resetMs = resetOf(headers.get(`${prefix}-reset`), headers.get('date'));
    if (remaining !== null && resetMs !== null) paces.push({ remaining, resetMs });
  }
  return tightest(paces);
}

/** How long an answer asks us to wait, in milliseconds: `Retry-After`, else the end of a window that is used up. Not clamped. */
export function parseAskedDelayMs(headers: AnswerHeaders): number | null {
  const asked = parseRetryAfterMs(headers.get('retry-after'), headers.get('date'));
  if (asked !== null) return asked;
  const pace = parsePace(headers);
  return pace?.remaining === 0 ? pace.resetMs : null;
}

/** The one that holds back most: nothing left before anything left, then the later reset. */
export function tightest(paces: readonly Pace[]): Pace | null {
  const [first] = [...paces].sort(
    (a, b) => Math.min(1, a.remaining) - Math.min(1, b.remaining) || b.resetMs - a.resetMs,
  );
  return first ?? null;
}

/** `"name";r=50;t=30`: remaining, and seconds until there is more. */
function ofItem(item: string): Pace | null {
  const remaining = countOf(/;\s*r=(\d+)/.exec(item)?.[1] ?? null);
  const resetSeconds = countOf(/;\s*t=(\d+)/.exec(item)?.[1] ?? null);
  return remaining === null || resetSeconds === null ? null : { remaining, resetMs: resetSeconds * 1_000 };
}

function ofEarlyDraft(text: string): Pace | null {
  const remaining = countOf(/\bremaining=(\d+)/.exec(text)?.[1] ?? null);
  const resetSeconds = countOf(/\breset=(\d+)/.exec(text)?.[1] ?? null);
  return remaining === null || resetSeconds === null ? null : { remaining, resetMs: resetSeconds * 1_000 };
}

function countOf(text: string | null): number | null {
  return text !== null && /^\s*\d{1,15}\s*$/.test(text) ? Number(text) : null;
}

/** From this number on a reset is a point in time, in seconds since 1970, and from the next one on in milliseconds. */
const POINT_SECONDS = 1e9;
const POINT_MS = 1e12;

/** Servers mean seconds from now, a point in time or a date. A point is measured against the answer's own `Date`. */
function resetOf(reset: string | null, date: string | null): number | null {
  if (reset === null) return null;
  const number = /^\s*\d{1,15}(\.\d+)?\s*$/.test(reset) ? Number(reset) : null;
  if (number !== null && number < POINT_SECONDS) return Math.ceil(number * 1_000);
  if (number === null && !/GMT\s*$/.test(reset)) return null;
  const atMs = number === null ? Date.parse(reset) : number < POINT_MS ? number * 1_000 : number;
  const delayMs = atMs - Date.parse(date ?? '');
  return Number.isNaN(delayMs) ? null : Math.max(0, Math.ceil(delayMs));
}
