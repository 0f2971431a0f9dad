import { parentPort, workerData } from 'node:worker_threads';
import { runSeeds } from './run-seeds.ts';

// One of the threads that share the seeds of a run.
const { seeds } = workerData as { readonly seeds: readonly number[] };
const tally = await runSeeds(seeds, false);
parentPort?.postMessage(tally);
