/** The JavaScript heap of this page, in bytes. The names are those of Chromium's `performance.memory`. */
export interface MemoryUsage {
  readonly usedJSHeapSize: number;
  readonly jsHeapSizeLimit: number;
  /** Of the limit, 0 to 100. */
  readonly usagePercent: number;
}

/** Null where the platform does not tell (Firefox, Safari, phones). Chromium rounds unless it isolates the page. */
export function readMemoryUsage(): MemoryUsage | null {
  const { memory } = performance as {
    readonly memory?: { readonly usedJSHeapSize: number; readonly jsHeapSizeLimit: number };
  };
  if (memory === undefined) return null;
  const { usedJSHeapSize, jsHeapSizeLimit } = memory;
  const usagePercent = (100 * usedJSHeapSize) / jsHeapSizeLimit;
  return Number.isFinite(usagePercent) ? { usedJSHeapSize, jsHeapSizeLimit, usagePercent } : null;
}
