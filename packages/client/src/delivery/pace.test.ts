import { expect, test } from 'vitest';
import { parsePace } from './pace.ts';

const DATE = 'Wed, 21 Oct 2026 07:28:00 GMT';
const AT_SECONDS = Date.parse(DATE) / 1_000;

test.each([
  { of: "the IETF's draft", headers: { ratelimit: '"default";r=50;t=30' }, pace: { remaining: 50, resetMs: 30_000 } },
  {
    of: 'two policies, none of them used up',
    headers: { ratelimit: '"a";r=9;t=1, "b";r=8;t=60' },
    pace: { remaining: 8, resetMs: 60_000 },
  },
  {
    of: 'two policies, one of them used up',
    headers: { ratelimit: '"burst";r=9;t=1, "daily";r=0;t=3600' },
    pace: { remaining: 0, resetMs: 3_600_000 },
  },
  {
    of: 'an earlier draft',
    headers: { ratelimit: 'limit=100, remaining=0, reset=30' },
    pace: { remaining: 0, resetMs: 30_000 },
  },
  {
    of: 'the first drafts',
    headers: { 'ratelimit-limit': '10', 'ratelimit-remaining': '2', 'ratelimit-reset': '8' },
    pace: { remaining: 2, resetMs: 8_000 },
  },
  {
    of: 'seconds from now',
    headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '12' },
    pace: { remaining: 0, resetMs: 12_000 },
  },
  {
    of: 'a fraction of seconds',
    headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1.25' },
    pace: { remaining: 0, resetMs: 1_250 },
  },
  {
    of: 'a point in time in seconds',
    headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': `${AT_SECONDS + 60}`, date: DATE },
    pace: { remaining: 0, resetMs: 60_000 },
  },
  {
    of: 'a point in time in milliseconds',
    headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': `${AT_SECONDS * 1_000 + 1_500}`, date: DATE },
    pace: { remaining: 0, resetMs: 1_500 },
  },
  {
    of: 'a point in time that is past',
    headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': `${AT_SECONDS - 5}`, date: DATE },
    pace: { remaining: 0, resetMs: 0 },
  },
  {
    of: 'a date',
    headers: { 'x-ratelimit-remaining': '3', 'x-ratelimit-reset': 'Wed, 21 Oct 2026 07:28:30 GMT', date: DATE },
    pace: { remaining: 3, resetMs: 30_000 },
  },
  {
    of: 'both families, of which the tighter counts',
    headers: { ratelimit: '"a";r=5;t=5', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '2' },
    pace: { remaining: 0, resetMs: 2_000 },
  },
])('R3 · the limit is read from $of', ({ headers, pace }) => {
  expect(parsePace(new Headers(headers as unknown as Record<string, string>))).toEqual(pace);
});

test.each([
  { of: 'no headers', headers: {} },
  { of: 'a limit without what remains', headers: { ratelimit: '"default";q=100' } },
  { of: 'what remains without an end', headers: { 'x-ratelimit-remaining': '0' } },
  { of: 'words', headers: { 'x-ratelimit-remaining': 'none', 'x-ratelimit-reset': 'soon' } },
  { of: 'a negative number', headers: { 'x-ratelimit-remaining': '-1', 'x-ratelimit-reset': '5' } },
  {
    of: 'a point in time in an answer without a date',
    headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1790000000' },
  },
  {
    of: 'a stray word for a date',
    headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': 'day 5', date: DATE },
  },
])('R3 · nothing is read from $of', ({ headers }) => {
  expect(parsePace(new Headers(headers as unknown as Record<string, string>))).toBeNull();
});
