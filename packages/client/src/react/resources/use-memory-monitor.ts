import { useEffect, useState } from 'react';
import { type MemoryUsage, readMemoryUsage } from './memory-usage.ts';
import { useLatest } from './use-latest.ts';

export interface MemoryMonitorOptions {
  /** From here on it warns, in percent of the limit. @default 80 */
  readonly warnAtPercent?: number;
  /** @default 10_000 */
  readonly intervalMs?: number;
  /** Told once when the mark is passed, and again after it was fallen below. @default a warning on the console */
  readonly onWarn?: (usage: MemoryUsage) => void;
  /** @default the platform's word; null where there is none */
  readonly read?: () => MemoryUsage | null;
}

/** How much of its memory this page uses, looked at while the component is there; null where that cannot be measured. */
export function useMemoryMonitor(options: MemoryMonitorOptions = {}): MemoryUsage | null {
  const { warnAtPercent = 80, intervalMs = 10_000, onWarn = warn, read = readMemoryUsage } = options;
  const [usage, setUsage] = useState<MemoryUsage | null>(null);
  const latest = useLatest({ onWarn, read });
  useEffect(() => {
    let wasHigh = false;
    const look = (): void => {
      const next = latest.current.read();
      setUsage(next);
      const isHigh = next !== null && next.usagePercent >= warnAtPercent;
      if (isHigh && !wasHigh) latest.current.onWarn(next);
      wasHigh = isHigh;
    };
    look();
    const timer = setInterval(look, intervalMs);
    return () => clearInterval(timer);
  }, [intervalMs, latest, warnAtPercent]);
  return usage;
}

function warn({ usedJSHeapSize, usagePercent }: MemoryUsage): void {
  console.warn(
    `Memory: ${Math.round(usedJSHeapSize / 1e6)} MB are used, ${Math.round(usagePercent)} % of what the page may have.`,
  );
}
