import { describe, expect, test } from 'vitest';
import { RETRY_DEFAULTS, type RetryRules } from '../mutation/definition.ts';
import { lineDelayMs, retryDelayMs } from './backoff.ts';

const plain: RetryRules = { ...RETRY_DEFAULTS, jitter: 'none' };
const never = (): number => {
  throw new Error('No chance is needed here.');
};
/** The largest number that a source of chance gives. */
const ALMOST_ONE = 1 - 2 ** -53;

describe('retry of one mutation', () => {
  test.each([
    { strategy: 'exponential', delaysMs: [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] },
    { strategy: 'linear', delaysMs: [1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000] },
    { strategy: 'fixed', delaysMs: [1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000] },
  ] as const)('R2 · $strategy delays grow as the table says', ({ strategy, delaysMs }) => {
    expect(delaysMs.map((_, index) => retryDelayMs({ ...plain, strategy }, index + 1, never))).toEqual(delaysMs);
  });

  test('R2 · without jitter no delay passes its longest, however many retries there were', () => {
    for (const strategy of ['exponential', 'linear'] as const) {
      for (const retryNumber of [31, 1_000, 1e9])
        expect(retryDelayMs({ ...plain, strategy }, retryNumber, never)).toBe(30_000);
    }
  });

  test.each([
    { jitter: 'full', chance: 0, delayMs: 0 },
    { jitter: 'full', chance: 0.5, delayMs: 2_000 },
    { jitter: 'decorrelated', chance: 0, delayMs: 1_000 },
    { jitter: 'decorrelated', chance: 0.5, delayMs: 6_500 },
  ] as const)(
    'R2 · $jitter jitter makes $delayMs ms of the third delay at chance $chance',
    ({ jitter, chance, delayMs }) => {
      expect(retryDelayMs({ ...plain, jitter }, 3, () => chance)).toBe(delayMs);
    },
  );

  test('R2 · jitter never passes the longest delay', () => {
    for (const jitter of ['full', 'decorrelated'] as const) {
      for (let retryNumber = 1; retryNumber <= 40; retryNumber += 1) {
        expect(retryDelayMs({ ...plain, jitter }, retryNumber, () => ALMOST_ONE)).toBeLessThanOrEqual(30_000);
      }
    }
  });
});

describe('breaker', () => {
  test('R4 · the line is asked after 1 s, doubling to 5 min', () => {
    const delaysMs = Array.from({ length: 11 }, (_, index) => lineDelayMs(index + 1, () => 0));
    expect(delaysMs).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300].map((seconds) => seconds * 1_000));
  });

  test('R4 · 0 to 20 % is added, so that a fleet spreads', () => {
    expect(lineDelayMs(1, () => 0.5)).toBe(1_100);
    expect(lineDelayMs(100_000, () => ALMOST_ONE)).toBeLessThanOrEqual(360_000);
  });
});
