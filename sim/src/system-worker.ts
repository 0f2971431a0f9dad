import process from 'node:process';
import { parentPort, workerData } from 'node:worker_threads';
import type { Shape } from './plan.ts';
import { plantBug } from './plant-bug.ts';
import type { ShrunkCase } from './shrink-command.ts';

// One of the threads that share the seeds of a run, or the one that looks for a planted bug.
const { seeds, shape, plant, isShrunk } = workerData as {
  readonly seeds: readonly number[];
  readonly shape: Shape;
  readonly plant?: string;
  readonly isShrunk?: boolean;
};
// Worlds make errors by the thousand, as values; what is thrown past them all still says where.
Error.stackTraceLimit = 2;
if (plant !== undefined) plantBug(plant);
// Loaded only now, so that a planted bug is in what it imports.
const { runSeeds } = await import('./run-seeds.ts');
const tally = await runSeeds(seeds, {
  shape,
  isFirstFailureEnough: plant !== undefined,
  failed: ({ seed, violations: [first = ''] }) => {
    if (plant === undefined) process.stderr.write(`seed ${seed} failed: ${first}\n`);
  },
});
const [failure] = tally.failures;
let shrunk: ShrunkCase | null = null;
if (isShrunk === true && failure !== undefined) {
  const { shrinkSeed } = await import('./shrink-command.ts');
  shrunk = await shrinkSeed(failure.seed, shape);
}
parentPort?.postMessage({ ...tally, shrunk });
