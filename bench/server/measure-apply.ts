import type { Measurement } from '../measurement.ts';
import { quantile } from '../measurement.ts';
import {
  BATCH_COUNT,
  type BenchWorld,
  createBenchDevice,
  createRowSource,
  createUncheckedDevice,
  PLAIN_BATCHES,
  preparePlainBatch,
  type ReadyBatch,
} from './bench-world.ts';

/** In turns of so many batches, so that what else the machine does disturbs all alike. */
const TURN_COUNT = 5;
const WARM_UP_COUNT = 10;

/** Makes one batch of what is timed beside others; `sender` says whose it is of those that work at a time. */
export type Subject = (sender: number) => ReadyBatch | undefined;

/**
 * Milliseconds a batch in each round, by subject. In a round each has a turn, and the order turns with the rounds: what comes
 * first has it no easier than what comes last.
 */
export async function takeTurns(
  subjects: Readonly<Record<string, Subject>>,
  { batchCount, senderCount }: { readonly batchCount: number; readonly senderCount: number },
): Promise<Readonly<Record<string, readonly number[]>>> {
  const names = Object.keys(subjects);
  const times: Record<string, number[]> = Object.fromEntries(names.map((name) => [name, []]));
  const turn = async (name: string, count: number): Promise<number> => {
    const ready = Array.from({ length: senderCount }, (_, sender) =>
      Array.from({ length: count }, () => subjects[name]?.(sender)),
    );
    const startedAtMs = performance.now();
    await Promise.all(
      ready.map(async (batches) => {
        for (const send of batches) await send?.();
      }),
    );
    return (performance.now() - startedAtMs) / (count * senderCount);
  };
  for (const name of names) await turn(name, Math.min(WARM_UP_COUNT, batchCount));
  for (let done = 0, round = 0; done < batchCount; done += TURN_COUNT, round += 1) {
    for (let index = 0; index < names.length; index += 1) {
      const name = names[(index + round) % names.length] ?? '';
      times[name]?.push(await turn(name, Math.min(TURN_COUNT, batchCount)));
    }
  }
  return times;
}

/** The median over the rounds of how many times as long the one took as the other. */
function medianRatio(ours: readonly number[] = [], raw: readonly number[] = []): number {
  return quantile(
    ours.map((time, round) => time / (raw[round] ?? Number.NaN)),
    0.5,
  );
}

/** Which way to write a batch plainly is the fastest here: with one sender, in turns. */
export async function findBestPlainBatch(
  { database }: BenchWorld,
  batchCount: number,
  report: (measurement: Measurement) => void,
): Promise<string> {
  const nextRows = createRowSource();
  const kinds = Object.keys(PLAIN_BATCHES);
  const times = await takeTurns(
    Object.fromEntries(kinds.map((kind) => [kind, () => preparePlainBatch(database, kind, nextRows(BATCH_COUNT))])),
    { batchCount, senderCount: 1 },
  );
  const median = (kind: string): number => quantile(times[kind] ?? [], 0.5);
  // by its share of each round, so that a round in which the machine was busy counts like any other
  const shareOf = (kind: string): number =>
    medianRatio(
      times[kind],
      times[kind]?.map((_, round) => kinds.reduce((sum, other) => sum + (times[other]?.[round] ?? Number.NaN), 0)),
    );
  const best = kinds.reduce((left, right) => (shareOf(right) < shareOf(left) ? right : left));
  for (const kind of kinds) {
    report({
      measure: 'plain-batch',
      n: batchCount,
      subject: `raw/insert ${kind}`,
      value: median(kind),
      unit: 'ms',
      ratioToRaw: medianRatio(times[kind], times[best]),
    });
  }
  return best;
}

/**
 * Batches of 100 new rows: written plainly, through apply with the audit log on, with it off, and by a statement that checks nothing, in
 * turns. `senderCount` of each work at a time. Ratios are taken in each round, and the one in the middle counts.
 */
export async function measureApply(
  { database }: BenchWorld,
  {
    batchCount,
    senderCount,
    plainBatch,
  }: { readonly batchCount: number; readonly senderCount: number; readonly plainBatch: string },
  report: (measurement: Measurement) => void,
): Promise<void> {
  const nextRows = createRowSource();
  const devices = (table: 'audited_rows' | 'unaudited_rows') =>
    Array.from({ length: senderCount }, () => createBenchDevice(database, table));
  const audited = devices('audited_rows');
  const unaudited = devices('unaudited_rows');
  const unchecked = Array.from({ length: senderCount }, () => createUncheckedDevice(database));
  const times = await takeTurns(
    {
      plain: () => preparePlainBatch(database, plainBatch, nextRows(BATCH_COUNT)),
      audited: (sender) => audited[sender]?.prepare(nextRows(BATCH_COUNT)),
      unaudited: (sender) => unaudited[sender]?.prepare(nextRows(BATCH_COUNT)),
      unchecked: (sender) => unchecked[sender]?.prepare(nextRows(BATCH_COUNT)),
    },
    { batchCount, senderCount },
  );

  const median = (name: string): number => quantile(times[name] ?? [], 0.5);
  const perSecond = (name: string): number => (BATCH_COUNT * 1_000) / median(name);
  const senders = senderCount === 1 ? '1 sender' : `${senderCount} senders`;
  const speed = { measure: 'apply-vs-plain', n: batchCount, unit: 'rows/s' } as const;
  report({ ...speed, subject: `raw/insert ${plainBatch}, ${senders}`, value: perSecond('plain'), ratioToRaw: 1 });
  for (const [name, subject] of [
    ['unchecked', 'raw/unchecked'],
    ['audited', 'holdfast/audited'],
    ['unaudited', 'holdfast/unaudited'],
  ] as const) {
    const ratioToRaw = 1 / medianRatio(times[name], times['plain']);
    report({ ...speed, subject: `${subject}, ${senders}`, value: perSecond(name), ratioToRaw });
  }
  const cost = { measure: 'audit-cost', n: batchCount, unit: 'ms' } as const;
  report({ ...cost, subject: `holdfast/audit off, ${senders}`, value: median('unaudited'), ratioToRaw: 1 });
  report({
    ...cost,
    subject: `holdfast/audit on, ${senders}`,
    value: median('audited'),
    ratioToRaw: medianRatio(times['audited'], times['unaudited']),
  });
}
