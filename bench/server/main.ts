// npm run bench:server [-- --json] [--measures apply,latency,ledger,export] [--batches 100] [--seconds 10] [--ledger-rows 200000] [--export-rows 200000]
//
// What exactly-once with an audit log costs beside the same rows written plainly, in one run on one real Postgres that
// waits for its disk. A line for each measurement: a table, or JSON.
import { readOptions } from '../../scripts/command-line.ts';
import { formatMeasurement, type Measurement } from '../measurement.ts';
import { openBenchWorld } from './bench-world.ts';
import { measureApply } from './measure-apply.ts';
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
  'ledger-rows': { type: 'string', default: '200000' },
  'export-rows': { type: 'string', default: '200000' },
});
const measures = values.measures.split(',');
const batchCount = Number(values.batches);
const seconds = Number(values.seconds);
const ledgerRows = Number(values['ledger-rows']);
const exportRowCount = Number(values['export-rows']);
if (
  measures.some((measure) => !MEASURES.includes(measure)) ||
  !(batchCount >= 1 && seconds > 0 && ledgerRows >= 1 && exportRowCount >= 1)
) {
  console.error(
    `--measures takes some of ${MEASURES.join(', ')}; --batches, --seconds, --ledger-rows and --export-rows take numbers above 0.`,
  );
  process.exit(2);
}

const report = (measurement: Measurement): void =>
  console.log(values.json ? JSON.stringify(measurement) : formatMeasurement(measurement));
const world = await openBenchWorld();
try {
  if (measures.includes('apply')) {
    for (const senderCount of SENDER_COUNTS) await measureApply(world, { batchCount, senderCount }, report);
  }
  if (measures.includes('latency')) await measureLatency(world, { seconds, mutationsPerSecond: RATE }, report);
  if (measures.includes('export')) await measureExport(world, { rows: exportRowCount }, report);
  if (measures.includes('ledger')) await measureLedger(world, { ledgerRows, batchCount }, report);
} finally {
  await world.end();
}
