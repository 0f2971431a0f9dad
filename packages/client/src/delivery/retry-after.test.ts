import { expect, test } from 'vitest';
import { parseRetryAfterMs } from './retry-after.ts';

const DATE = 'Wed, 21 Oct 2026 07:28:00 GMT';

test.each([
  { retryAfter: null, date: DATE, delayMs: null },
  { retryAfter: '0', date: null, delayMs: 0 },
  { retryAfter: '5', date: null, delayMs: 5_000 },
  { retryAfter: ' 120 ', date: null, delayMs: 120_000 },
  { retryAfter: '999999999', date: null, delayMs: 999_999_999_000 },
  { retryAfter: 'Wed, 21 Oct 2026 07:28:30 GMT', date: DATE, delayMs: 30_000 },
  { retryAfter: 'Wed, 21 Oct 2026 07:27:00 GMT', date: DATE, delayMs: 0 },
  { retryAfter: 'Wed, 21 Oct 2026 07:28:30 GMT', date: null, delayMs: null },
  { retryAfter: 'Wed, 21 Oct 2026 07:28:30 GMT', date: 'yesterday', delayMs: null },
  { retryAfter: 'soon', date: DATE, delayMs: null },
  { retryAfter: 'soon GMT', date: DATE, delayMs: null },
  { retryAfter: '', date: DATE, delayMs: null },
  { retryAfter: '-5', date: DATE, delayMs: null },
  { retryAfter: '1.5', date: DATE, delayMs: null },
  { retryAfter: '1e3', date: DATE, delayMs: null },
  { retryAfter: '9999999999', date: DATE, delayMs: null },
])('R3 · `Retry-After: $retryAfter` in an answer of $date asks for $delayMs ms', ({ retryAfter, date, delayMs }) => {
  expect(parseRetryAfterMs(retryAfter, date)).toBe(delayMs);
});
