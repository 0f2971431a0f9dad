import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Shape } from './plan.ts';
import { addTallies, type Tally } from './run-seeds.ts';

/** The seeds shared out between two threads, where there are two. */
export async function runInThreads(seeds: readonly number[], shape: Shape): Promise<Tally> {
  const threadCount = Math.min(2, availableParallelism());
  const shares = Array.from({ length: threadCount }, (_, share) =>
    seeds.filter((_seed, index) => index % threadCount === share),
  );
  return addTallies(await Promise.all(shares.map((share) => runInThread(share, shape))));
}

function runInThread(share: readonly number[], shape: Shape): Promise<Tally> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('system-worker.ts', import.meta.url), {
      workerData: { seeds: share, shape },
      // Whoever runs this, the packages are loaded from their sources.
      execArgv: ['--disable-warning=ExperimentalWarning', '--conditions=@holdfast/source'],
      // Worlds make much that dies at once: with room for it the collector runs seldom, and finds little alive.
      resourceLimits: { maxYoungGenerationSizeMb: 192 },
    });
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}
