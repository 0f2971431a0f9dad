// npm run bench:server [-- --json] [--measures apply,latency,ledger,export] [--batches 100] [--seconds 10] [--ledger 1000000] [--export-rows 200000]
//
// What exactly-once with an audit log costs beside the same rows written plainly, in one run on one real Postgres that
// waits for its disk. A line for each measurement: a table, or JSON. The plain batch is the fastest of three ways to write it, by
// the lines `plain-batch` of the same run.
import { readOptions } from '../../scripts/command-line.ts';
import { formatMeasurement, type Measurement } from '../measurement.ts';
import { openBenchWorld } from './bench-world.ts';
import { findBestPlainBatch, measureApply } from './measure-apply.ts';
import { measureExport } from './measure-export.ts';
import { measureLatency } from './measure-latency.ts';
import { measureLedger } from './measure-ledger.ts';

const MEASURES = ['apply', 'latency', 'ledger', 'export'];
const RATE = 2_000;
const SENDER_COUNTS = [1, 4];

const values = readOptions(import.meta.filename, {
  json: { type: 'boolean', default: false },
  measures: { type: 'string', default: MEASURES.join() },
  batches: { type: 'string', default: '100' },
  seconds: { type: 'string', default: '10' },
  ledger: { type: 'string', default: '1000000' },
  'export-rows': { type: 'string', default: '200000' },
});
const measures = values.measures.split(',');
const batchCount = Number(values.batches);
const seconds = Number(values.seconds);
const ledgerRows = Number(values.ledger);
const exportRowCount = Number(values['export-rows']);
if (
  measures.some((measure) => !MEASURES.includes(measure)) ||
  !(batchCount >= 1 && seconds > 0 && ledgerRows >= 1 && exportRowCount >= 1)
) {
  console.error(
    `--measures takes some of ${MEASURES.join(', ')}; --batches, --seconds, --ledger and --export-rows take numbers above 0.`,
  );
  process.exit(2);
}

const report = (measurement: Measurement): void =>
  console.log(values.json ? JSON.stringify(measurement) : formatMeasurement(measurement));
const world = await openBenchWorld();
try {
  const plainBatch = ['apply', 'ledger'].some((measure) => measures.includes(measure))
    ? await findBestPlainBatch(world, batchCount, report)
    : '';
  if (measures.includes('apply')) {
    for (const senderCount of SENDER_COUNTS) await measureApply(world, { batchCount, senderCount, plainBatch }, report);
  }
  if (measures.includes('latency')) await measureLatency(world, { seconds, mutationsPerSecond: RATE }, report);
  if (measures.includes('export')) await measureExport(world, { rows: exportRowCount }, report);
  if (measures.includes('ledger')) await measureLedger(world, { ledgerRows, batchCount, plainBatch }, report);
} finally {
  await world.end();
}
