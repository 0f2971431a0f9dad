import { parentPort, workerData } from 'node:worker_threads';
import { plantBug } from './plant-bug.ts';

// One of the threads that share the seeds of a run, or the one that looks for a planted bug.
const { seeds, plant } = workerData as { readonly seeds: readonly number[]; readonly plant?: string };
if (plant !== undefined) plantBug(plant);
// Loaded only now, so that a planted bug is in what it imports.
const { runSeeds } = await import('./run-seeds.ts');
const tally = await runSeeds(seeds, plant !== undefined);
parentPort?.postMessage(tally);
