import { readMemoryUsage } from './memory-usage.ts';

export interface LeakSearchOptions {
  /** Measured runs. @default 20 */
  readonly runCount?: number;
  /** Runs before the first measurement, for what is made once. @default 5 */
  readonly warmUpCount?: number;
  /** What counts as a leak, in bytes that stay after each run. @default 1_024 */
  readonly bytesPerRunMax?: number;
  /**
   * Bytes in use after collecting garbage. @default `gc()` where it is exposed and `performance.memory`; without `gc()` what is
   * about to be collected counts too, so that only long runs tell
   */
  readonly measureBytes?: () => Promise<number> | number;
}

export interface LeakReport {
  readonly isLeaking: boolean;
  /** The median of the growth between any two measurements, so that a few odd ones decide nothing (Theil and Sen). */
  readonly bytesPerRun: number;
  readonly samplesBytes: readonly number[];
}

/** Does the work again and again, and says whether memory stays behind. Null where memory cannot be measured. */
export async function detectMemoryLeaks(
  work: () => unknown,
  { runCount = 20, warmUpCount = 5, bytesPerRunMax = 1_024, measureBytes }: LeakSearchOptions = {},
): Promise<LeakReport | null> {
  const measure = measureBytes ?? platformMeasure();
  if (measure === null) return null;
  for (let run = 0; run < warmUpCount; run += 1) await work();
  const samplesBytes = [await measure()];
  for (let run = 0; run < runCount; run += 1) {
    await work();
    samplesBytes.push(await measure());
  }
  const bytesPerRun = medianSlope(samplesBytes);
  return { isLeaking: bytesPerRun > bytesPerRunMax, bytesPerRun, samplesBytes };
}

function platformMeasure(): (() => number) | null {
  if (readMemoryUsage() === null) return null;
  const { gc } = globalThis as { readonly gc?: () => void };
  return () => {
    gc?.();
    return readMemoryUsage()?.usedJSHeapSize ?? 0;
  };
}

function medianSlope(samples: readonly number[]): number {
  const slopes: number[] = [];
  for (const [left, from] of samples.entries()) {
    for (let right = left + 1; right < samples.length; right += 1) {
      slopes.push(((samples[right] ?? 0) - from) / (right - left));
    }
  }
  slopes.sort((one, other) => one - other);
  return slopes[Math.floor(slopes.length / 2)] ?? 0;
}
