/** The headers of an answer; a `Headers` object is one. */
export interface AnswerHeaders {
  /** Null when there is none of this name (lower case). */
  get(name: string): string | null;
}

/**
 * The delay that a `Retry-After` header asks for, in milliseconds (RFC 9110, 10.2.3): seconds, or a date. A date is
 * measured against the answer's own `Date`, since the device's clock may be wrong; without one it cannot be used.
 */
export function parseRetryAfterMs(retryAfter: string | null, date: string | null): number | null {
  if (retryAfter === null) return null;
  if (/^\s*\d{1,9}\s*$/.test(retryAfter)) return Number(retryAfter) * 1_000;
  // Dates of HTTP are in GMT and say so; `Date.parse` alone would take a stray number for some year.
  if (date === null || !/GMT\s*$/.test(retryAfter)) return null;
  const delayMs = Date.parse(retryAfter) - Date.parse(date);
  return Number.isNaN(delayMs) ? null : Math.max(0, delayMs);
}
