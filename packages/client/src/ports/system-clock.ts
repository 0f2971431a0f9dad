import type { Clock, Random } from '../ports/clock.ts';

/** Longest delay that `setTimeout` keeps; a longer one fires at once, so it is waited for in parts. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/** The platform's clock. */
export const systemClock: Clock = {
  wallMs: () => Date.now(),
  nowMs: () => performance.now(),
  schedule(delayMs, callback) {
    let timer: ReturnType<typeof setTimeout>;
    const wait = (leftMs: number): void => {
      const partMs = Math.min(leftMs, TIMEOUT_MS_MAX);
      timer = setTimeout(() => (leftMs > partMs ? wait(leftMs - partMs) : callback()), partMs);
    };
    wait(Math.max(0, delayMs));
    return () => clearTimeout(timer);
  },
};

/** The platform's chance, for jitter; nothing secret comes from it. */
export const systemRandom: Random = () => Math.random();
