// npm run bench:storage [-- --json] [--sizes 1000,10000,100000] [--worlds sqlite,memory,indexeddb,opfs,peers] [--measures heap,open-first]
//
// What a queue costs beside the raw store that it stands on, and what libraries that people might pick instead take for the same work,
// in one run on one machine. Each size of each store is measured in a process of its own. A line for each measurement: a table, or
// JSON. The libraries are installed into bench/peers when they are asked for and missing.
import { fork, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readOptions } from '../../scripts/command-line.ts';
import { formatMeasurement, type Measurement } from '../measurement.ts';
import { STORE_MEASURES } from './measure-store.ts';

const WORLDS = ['sqlite', 'memory', 'indexeddb', 'opfs', 'peers'];
/** As bench/peers/page.ts calls them. */
const PEERS = [
  'dexie',
  'pouchdb',
  'rxdb, dexie storage',
  'workbox',
  '@tanstack/offline-transactions',
  '@tanstack/query, persisted',
  'array in idb-keyval',
];
/** With more queued most of them take minutes, or do not end. */
const PEER_SIZE_MAX = 10_000;
const values = readOptions(import.meta.filename, {
  json: { type: 'boolean', default: false },
  sizes: { type: 'string', default: '1000,10000,100000' },
  worlds: { type: 'string' },
  measures: { type: 'string', default: STORE_MEASURES.join() },
});
const worlds = values.worlds?.split(',') ?? WORLDS;
const sizes = values.sizes.split(',').map(Number);
const measures = values.measures.split(',');
if (worlds.some((world) => !WORLDS.includes(world)) || sizes.some((size) => !(size >= 100))) {
  console.error(`--worlds takes some of ${WORLDS.join()}, --sizes whole numbers of at least 100.`);
  process.exit(2);
}

if (measures.some((measure) => !STORE_MEASURES.includes(measure))) {
  console.error(`--measures takes some of ${STORE_MEASURES.join()}; other libraries are always measured whole.`);
  process.exit(2);
}

if (worlds.includes('peers')) installPeers();
const subjects = worlds.flatMap((world) => (world === 'peers' ? PEERS : [world]));
const isLeftOut = (subject: string, size: number): boolean =>
  values.worlds === undefined && PEERS.includes(subject) && size > PEER_SIZE_MAX;
const all = subjects.flatMap((subject) => sizes.map((size) => [subject, size] as const));
const compression = values.measures === STORE_MEASURES.join() ? [['compression', 0] as const] : [];
const jobs = [...compression, ...all.filter(([subject, size]) => !isLeftOut(subject, size))];
if (jobs.length < compression.length + all.length)
  console.error(
    `Other libraries are measured with at most ${PEER_SIZE_MAX}: more takes minutes each; --worlds peers asks for it.`,
  );
for (const [world, size] of jobs) {
  const code = await new Promise<number | null>((resolve) => {
    const child = fork(join(import.meta.dirname, 'run-one.ts'), [world, String(size), measures.join()], {
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
function installPeers(): void {
  const folder = join(import.meta.dirname, '..', 'peers');
  if (existsSync(join(folder, 'node_modules', '.package-lock.json'))) return;
  console.error('Installing the libraries to compare with into bench/peers …');
  const { status } = spawnSync('npm', ['ci', '--ignore-scripts'], { cwd: folder, stdio: ['ignore', 2, 2] });
  if (status === 0) return;
  console.error('They could not be installed: go without them by --worlds sqlite,memory,indexeddb,opfs.');
  process.exit(2);
}
