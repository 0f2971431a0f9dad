import type { Measurement } from '../measurement.ts';
import { quantile } from '../measurement.ts';
import { BATCH_COUNT, type BenchWorld, createBenchDevice, createRowSource, sendPlainBatch } from './bench-world.ts';

/** In turns of so many batches, so that what else the machine does disturbs all alike. */
const TURN_COUNT = 5;
const WARM_UP_COUNT = 10;

/**
 * Batches of 100 new rows: written plainly, through apply with the audit log on, and with it off, in turns. `senderCount`
 * of each work at a time.
 */
export async function measureApply(
  { database }: BenchWorld,
  { batchCount, senderCount }: { readonly batchCount: number; readonly senderCount: number },
  report: (measurement: Measurement) => void,
): Promise<void> {
  const nextRows = createRowSource();
  const devices = (table: 'audited_rows' | 'unaudited_rows') =>
    Array.from({ length: senderCount }, () => createBenchDevice(database, table));
  const audited = devices('audited_rows');
  const unaudited = devices('unaudited_rows');
  const subjects = {
    plain: (_sender: number) => sendPlainBatch(database, nextRows(BATCH_COUNT)),
    audited: (sender: number) => audited[sender]?.send(nextRows(BATCH_COUNT)),
    unaudited: (sender: number) => unaudited[sender]?.send(nextRows(BATCH_COUNT)),
  };
  /** Milliseconds a batch, all senders together, of each turn. */
  const times = { plain: [] as number[], audited: [] as number[], unaudited: [] as number[] };
  const names = ['plain', 'audited', 'unaudited'] as const;

  const turn = async (name: (typeof names)[number], count: number): Promise<number> => {
    const startedAtMs = performance.now();
    await Promise.all(
      Array.from({ length: senderCount }, async (_, sender) => {
        for (let sent = 0; sent < count; sent += 1) await subjects[name](sender);
      }),
    );
    return (performance.now() - startedAtMs) / (count * senderCount);
  };
  for (const name of names) await turn(name, Math.min(WARM_UP_COUNT, batchCount));
  for (let done = 0; done < batchCount; done += TURN_COUNT) {
    for (const name of names) times[name].push(await turn(name, Math.min(TURN_COUNT, batchCount)));
  }

  const median = (name: (typeof names)[number]): number => quantile(times[name], 0.5);
  const perSecond = (name: (typeof names)[number]): number => (BATCH_COUNT * 1_000) / median(name);
  const senders = senderCount === 1 ? '1 sender' : `${senderCount} senders`;
  const speed = { measure: 'apply-vs-plain', n: batchCount, unit: 'rows/s' } as const;
  report({ ...speed, subject: `raw/plain batch, ${senders}`, value: perSecond('plain'), ratioToRaw: 1 });
  for (const name of ['audited', 'unaudited'] as const) {
    const value = perSecond(name);
    report({ ...speed, subject: `holdfast/${name}, ${senders}`, value, ratioToRaw: value / perSecond('plain') });
  }
  const cost = { measure: 'audit-cost', n: batchCount, unit: 'ms' } as const;
  report({ ...cost, subject: `holdfast/audit off, ${senders}`, value: median('unaudited'), ratioToRaw: 1 });
  report({
    ...cost,
    subject: `holdfast/audit on, ${senders}`,
    value: median('audited'),
    ratioToRaw: median('audited') / median('unaudited'),
  });
}
