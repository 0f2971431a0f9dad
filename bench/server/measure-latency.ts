import type { Measurement } from '../measurement.ts';
import { quantile } from '../measurement.ts';
import { BATCH_COUNT, type BenchDevice, type BenchWorld, createBenchDevice, createRowSource } from './bench-world.ts';

/** Devices take turns, as those of a fleet do: no batch waits for another of the same device. */
const DEVICE_COUNT = 20;
/** As many as the pool has connections for, nearly: more would only wait. */
const SATURATING_COUNT = 8;
/** What is asked for: p99 of a batch, unless the machine cannot do the rate at all. */
const P99_MS_MAX = 50;
/** Of what the machine can do at most: above it, waiting grows without end by chance alone. */
const BEARABLE_SHARE = 0.6;

/**
 * What one batch takes when `mutationsPerSecond` arrive, whether or not the ones before were answered; and how many a second this
 * machine does at most, everything beside it running as it is. Where that is too little for the rate, the same at what it can bear.
 */
export async function measureLatency(
  world: BenchWorld,
  { seconds, mutationsPerSecond }: { readonly seconds: number; readonly mutationsPerSecond: number },
  report: (measurement: Measurement) => void,
): Promise<void> {
  const nextRows = createRowSource();
  const devices = Array.from({ length: DEVICE_COUNT }, () => createBenchDevice(world.database, 'audited_rows'));
  for (const device of devices) await device.prepare(nextRows(BATCH_COUNT))();

  const p99Ms = await measureAtRate(devices, { seconds, mutationsPerSecond }, report);
  const limit = await findLimit(devices, seconds);
  report({
    ...{
      measure: 'batch-limit',
      n: SATURATING_COUNT,
      subject: 'holdfast/audited, flat out',
      unit: 'rows/s',
      ratioToRaw: null,
    },
    value: limit,
  });
  if (p99Ms > P99_MS_MAX) {
    const bearable = Math.min(mutationsPerSecond, Math.max(BATCH_COUNT, Math.round(limit * BEARABLE_SHARE)));
    if (bearable < mutationsPerSecond) await measureAtRate(devices, { seconds, mutationsPerSecond: bearable }, report);
  }
}

/** Counted from when the batch was due, so that a server which falls behind cannot hide it. */
async function measureAtRate(
  devices: readonly BenchDevice[],
  { seconds, mutationsPerSecond }: { readonly seconds: number; readonly mutationsPerSecond: number },
  report: (measurement: Measurement) => void,
): Promise<number> {
  const nextRows = createRowSource();
  const intervalMs = (BATCH_COUNT * 1_000) / mutationsPerSecond;
  const batchCount = Math.max(1, Math.round((seconds * 1_000) / intervalMs));
  const startedAtMs = performance.now();
  const tookMs = await Promise.all(
    Array.from({ length: batchCount }, async (_, index) => {
      const dueAtMs = startedAtMs + index * intervalMs;
      const send = devices[index % devices.length]?.prepare(nextRows(BATCH_COUNT));
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueAtMs - performance.now())));
      await send?.();
      return performance.now() - dueAtMs;
    }),
  );
  const doneInMs = performance.now() - startedAtMs;

  const rest = { n: mutationsPerSecond, unit: 'ms', ratioToRaw: null, subject: 'holdfast/audited' } as const;
  const p99Ms = quantile(tookMs, 0.99);
  report({ ...rest, measure: 'batch-p50', value: quantile(tookMs, 0.5) });
  report({ ...rest, measure: 'batch-p99', value: p99Ms });
  // below what was offered, the machine's own limit was reached
  const value = (batchCount * BATCH_COUNT * 1_000) / doneInMs;
  report({ ...rest, measure: 'batch-rate', value, unit: 'rows/s' });
  return p99Ms;
}

/** Rows a second when as many devices as there are connections send one batch after the other. */
async function findLimit(devices: readonly BenchDevice[], seconds: number): Promise<number> {
  const nextRows = createRowSource();
  const startedAtMs = performance.now();
  let rowCount = 0;
  await Promise.all(
    devices.slice(0, SATURATING_COUNT).map(async (device) => {
      do {
        await device.prepare(nextRows(BATCH_COUNT))();
        rowCount += BATCH_COUNT;
      } while (performance.now() - startedAtMs < seconds * 1_000);
    }),
  );
  return (rowCount * 1_000) / (performance.now() - startedAtMs);
}
