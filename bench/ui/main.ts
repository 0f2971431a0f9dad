// npm run bench:ui [-- --json] [--rows 10000] [--changes 500] [--seconds 10]
//
// What people see in a real Chromium: how long a change takes to the frame that shows it, beside React state alone; and how the list of the
// example scrolls while many changes settle, beside the same with nothing settling. A line for each measurement: a table, or JSON.
import { parseArgs } from 'node:util';
import { formatMeasurement, type Measurement } from '../measurement.ts';
import { withChromium } from '../open-chromium.ts';
import { measurePaint } from './measure-paint.ts';
import { measureScroll } from './measure-scroll.ts';

const TIMES = 200;

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rows: { type: 'string', default: '10000' },
    changes: { type: 'string', default: '500' },
    seconds: { type: 'string', default: '10' },
  },
});
const [rowCount, changeCount, seconds] = [values.rows, values.changes, values.seconds].map(Number) as [
  number,
  number,
  number,
];
if (!(rowCount >= 100 && rowCount <= 18_000 && changeCount >= 1 && changeCount < rowCount && seconds >= 1)) {
  console.error('--rows takes 100 to 18000, --changes fewer than those, --seconds at least 1.');
  process.exit(2);
}

const report = (measurements: readonly Measurement[]): void => {
  for (const each of measurements) console.log(values.json ? JSON.stringify(each) : formatMeasurement(each));
};
await withChromium(async (browser) => {
  report(await measurePaint(browser, { rowCount, times: TIMES }));
  report(await measureScroll(browser, { rowCount, changeCount, scrollMs: seconds * 1_000 }));
});
