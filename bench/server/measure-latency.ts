import type { Measurement } from '../measurement.ts';
import { quantile } from '../measurement.ts';
import { BATCH_COUNT, type BenchWorld, createBenchDevice, createRowSource } from './bench-world.ts';

/** Devices take turns, as those of a fleet do: no batch waits for another of the same device. */
const DEVICE_COUNT = 20;

/**
 * What one batch takes when `mutationsPerSecond` arrive, whether or not the ones before were answered. Counted from when
 * the batch was due, so that a server which falls behind cannot hide it.
 */
export async function measureLatency(
  { database }: BenchWorld,
  { seconds, mutationsPerSecond }: { readonly seconds: number; readonly mutationsPerSecond: number },
  report: (measurement: Measurement) => void,
): Promise<void> {
  const nextRows = createRowSource();
  const devices = Array.from({ length: DEVICE_COUNT }, () => createBenchDevice(database, 'audited_rows'));
  for (const device of devices) await device.send(nextRows(BATCH_COUNT));

  const intervalMs = (BATCH_COUNT * 1_000) / mutationsPerSecond;
  const batchCount = Math.max(1, Math.round((seconds * 1_000) / intervalMs));
  const startedAtMs = performance.now();
  const tookMs = await Promise.all(
    Array.from({ length: batchCount }, async (_, index) => {
      const dueAtMs = startedAtMs + index * intervalMs;
      const rows = nextRows(BATCH_COUNT);
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueAtMs - performance.now())));
      await devices[index % DEVICE_COUNT]?.send(rows);
      return performance.now() - dueAtMs;
    }),
  );
  const doneInMs = performance.now() - startedAtMs;

  const rest = { n: mutationsPerSecond, unit: 'ms', ratioToRaw: null } as const;
  report({ ...rest, measure: 'batch-p50', subject: 'holdfast/audited', value: quantile(tookMs, 0.5) });
  report({ ...rest, measure: 'batch-p99', subject: 'holdfast/audited', value: quantile(tookMs, 0.99) });
  // below what was offered, the machine's own limit was reached
  report({
    ...rest,
    measure: 'batch-rate',
    subject: 'holdfast/audited',
    value: (batchCount * BATCH_COUNT * 1_000) / doneInMs,
    unit: 'rows/s',
  });
}
