import { parentPort, workerData } from 'node:worker_threads';
import { plantBug } from '../plant-bug.ts';

// One of the threads that share the scenarios.
const { names, pairCountMax, plant } = workerData as {
  readonly names: readonly string[];
  readonly pairCountMax: number;
  readonly plant: string | null;
};
if (plant !== null) plantBug(plant);
// Loaded only now, so that a planted bug is in what they import.
const { addCrashTallies, crashEverywhere } = await import('./crash-suite.ts');
const { SCENARIOS } = await import('./scenarios.ts');
const tallies = [];
for (const scenario of SCENARIOS.filter(({ name }) => names.includes(name))) {
  tallies.push(await crashEverywhere(scenario, pairCountMax));
}
parentPort?.postMessage(addCrashTallies(tallies));
