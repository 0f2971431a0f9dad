// npm run bench:storage [-- --json] [--sizes 1000,10000,100000] [--worlds sqlite,memory,indexeddb,opfs]
//
// What a queue costs beside the raw store that it stands on, in one run on one machine. Each size of each store is measured in
// a process of its own. A line for each measurement: a table, or JSON.
import { fork } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatMeasurement, type Measurement } from '../measurement.ts';

const WORLDS = ['sqlite', 'memory', 'indexeddb', 'opfs'];
const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    sizes: { type: 'string', default: '1000,10000,100000' },
    worlds: { type: 'string', default: WORLDS.join() },
  },
});
const worlds = values.worlds.split(',');
const sizes = values.sizes.split(',').map(Number);
if (worlds.some((world) => !WORLDS.includes(world)) || sizes.some((size) => !(size >= 100))) {
  console.error(`--worlds takes some of ${WORLDS.join()}, --sizes whole numbers of at least 100.`);
  process.exit(2);
}

const jobs = [['compression', 0] as const, ...worlds.flatMap((world) => sizes.map((size) => [world, size] as const))];
for (const [world, size] of jobs) {
  const code = await new Promise<number | null>((resolve) => {
    const child = fork(join(import.meta.dirname, 'run-one.ts'), [world, String(size)], {
      execArgv: ['--expose-gc', '--conditions=@holdfast/source', '--disable-warning=ExperimentalWarning'],
    });
    child.on('message', (measurement) =>
      console.log(values.json ? JSON.stringify(measurement) : formatMeasurement(measurement as Measurement)),
    );
    child.on('exit', resolve);
  });
  if (code !== 0) {
    console.error(`${world} with ${size} could not be measured.`);
    process.exitCode = 1;
  }
}
