import type { RetryRules } from '../mutation/definition.ts';
import type { Random } from '../ports/clock.ts';

/**
 * How long to wait after the given retry has been earned, in milliseconds. Retry 1 follows attempt 1. Full and
 * decorrelated jitter are those of the AWS architecture blog, "Exponential Backoff And Jitter".
 */
export function retryDelayMs(rules: RetryRules, retryNumber: number, random: Random): number {
  const { backoffMsBase, backoffMsMax } = rules;
  const plain = Math.min(backoffMsMax, backoffMsBase * growth(rules, retryNumber));
  switch (rules.jitter) {
    case 'none':
      return plain;
    case 'full':
      return random() * plain;
    case 'decorrelated':
      return Math.min(backoffMsMax, backoffMsBase + random() * (3 * plain - backoffMsBase));
  }
}

/** How long the line is left alone after its given failure in a row (from 1): 1 s doubling to 5 min, plus 0 to 20 %. */
export function lineDelayMs(failureNumber: number, random: Random): number {
  return (
    Math.min(LINE_DELAY_MS_MAX, LINE_DELAY_MS_BASE * 2 ** Math.min(30, failureNumber - 1)) *
    (1 + LINE_JITTER * random())
  );
}

/** A connection that was reset is tried once more at once, and only the first time: it often was an idle one. In milliseconds. */
export function resetDelayMs(random: Random): number {
  return RESET_DELAY_MS_MAX * random();
}

export const RESET_DELAY_MS_MAX = 100;
export const LINE_DELAY_MS_BASE = 1_000;
export const LINE_DELAY_MS_MAX = 300_000;
export const LINE_JITTER = 0.2;

function growth({ strategy, backoffMultiplier }: RetryRules, retryNumber: number): number {
  switch (strategy) {
    case 'exponential':
      return backoffMultiplier ** Math.min(30, retryNumber - 1);
    case 'linear':
      return retryNumber;
    case 'fixed':
      return 1;
  }
}
