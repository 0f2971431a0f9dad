import { Refusal } from './refusal.ts';

export interface RateLimit {
  /** Requests of one user in one workspace, in any minute, over all routes. @default 600 */
  readonly requestsPerMinute?: number;
}

/** Most users kept in mind; beyond it those who have been quiet for a minute are forgotten. */
const USERS_MAX = 10_000;

/**
 * A bucket for each user: it holds a sixth of what a minute allows, and fills evenly. Kept in this process, so of several
 * servers each allows as much.
 *
 * @returns what throws the Refusal `TOO_MANY_REQUESTS` with how long to wait.
 */
export function createRateLimit({ requestsPerMinute = 600 }: RateLimit, nowMs: () => number): (user: string) => void {
  if (!(requestsPerMinute >= 1)) throw new Error('rateLimit.requestsPerMinute must be a number of at least 1.');
  const refillMs = 60_000 / requestsPerMinute;
  const burstMs = Math.max(refillMs, 10_000);
  /** When the bucket of a user is full again. */
  const fullAtMs = new Map<string, number>();
  return (user) => {
    const now = nowMs();
    // never a sum with the clock in it: the last digit of a fraction would refuse the very first request
    const toFillMs = Math.max(0, (fullAtMs.get(user) ?? 0) - now) + refillMs;
    if (toFillMs > burstMs) {
      throw new Refusal(
        'TOO_MANY_REQUESTS',
        `More than ${requestsPerMinute} requests a minute.`,
        'Wait as long as Retry-After says; what waits on the device is kept.',
        undefined,
        toFillMs - burstMs,
      );
    }
    if (fullAtMs.size >= USERS_MAX) {
      for (const [other, at] of fullAtMs) if (at <= now) fullAtMs.delete(other);
    }
    fullAtMs.set(user, now + toFillMs);
  };
}
