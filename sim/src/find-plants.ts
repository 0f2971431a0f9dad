import { Worker } from 'node:worker_threads';
import { type ChoiceTape, tokenOf } from './choice-tape.ts';
import type { Plant } from './plant.ts';
import type { Tally } from './run-seeds.ts';
import type { ShrunkCase } from './shrink-command.ts';
import { readKeptTapes } from './tape-files.ts';

/** How a planted bug was found, or that it was not. */
export interface Finding {
  readonly name: string;
  /** Found in the world that is kept for it; then no seeds were run. */
  readonly isKept: boolean;
  /** Null when none of the seeds showed it, or none was run. */
  readonly seedsNeeded: number | null;
  readonly seed: number | null;
  /** What was broken first, such as `inv-I5`. */
  readonly invariant: string | null;
  readonly message: string | null;
  /** How many choices of its world are left when it is shrunk, and the tape; null when it was not. */
  readonly choiceCount: number | null;
  readonly token: string | null;
}

/** Runs the seeds with the bug planted, up to the first that shows it. In a thread of its own: the bug is in what that loads. */
export function findPlant(
  { name, shape = {} }: Plant,
  firstSeed: number,
  seedCountMax: number,
  isShrunk = false,
): Promise<Finding> {
  const seeds = Array.from({ length: seedCountMax }, (_, index) => firstSeed + index);
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('system-worker.ts', import.meta.url), {
      workerData: { seeds, shape, plant: name, isShrunk },
      // Whoever runs this, the packages are loaded from their sources, where the bug is.
      execArgv: ['--disable-warning=ExperimentalWarning', '--conditions=@holdfast/source'],
    });
    worker.once('message', ({ failures: [failure], shrunk }: Tally & { readonly shrunk: ShrunkCase | null }) => {
      const seed = failure?.seed ?? null;
      const message = failure?.violations[0] ?? null;
      const invariant = message?.split(' · ')[0] ?? null;
      resolve({
        name,
        isKept: false,
        seedsNeeded: seed === null ? null : seed - firstSeed + 1,
        seed,
        invariant,
        message,
        choiceCount: shrunk?.choiceCount ?? null,
        token: shrunk === null ? null : tokenOf(shrunk.tape),
      });
    });
    worker.once('error', reject);
  });
}

/** Replays the world that is kept for a bug, with the bug planted; null when that shows nothing. */
function findInKept({ name }: Plant, tape: ChoiceTape): Promise<Finding | null> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('kept-worker.ts', import.meta.url), {
      workerData: { tape, plant: name },
      execArgv: ['--disable-warning=ExperimentalWarning', '--conditions=@holdfast/source'],
    });
    worker.once('message', (message: string | null) => {
      const nothing = { seedsNeeded: null, seed: null, choiceCount: null, token: null };
      const invariant = message?.split(' · ')[0] ?? null;
      resolve(message === null ? null : { name, isKept: true, invariant, message, ...nothing });
    });
    worker.once('error', reject);
  });
}

/** All of them, `threadCount` at a time: in the world that is kept for it, else by seeds. `onFound` hears of each as it ends. */
export async function findPlants(
  plants: readonly Plant[],
  firstSeed: number,
  seedCountMax: number,
  threadCount: number,
  isShrunk: boolean,
  onFound: (finding: Finding) => void,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const kept = new Map(readKeptTapes().map(({ name, tape }) => [name, tape]));
  let next = 0;
  const work = async (): Promise<void> => {
    for (let plant = plants[next]; plant !== undefined; plant = plants[next]) {
      next += 1;
      const tape = isShrunk ? undefined : kept.get(plant.name);
      const inKept = tape === undefined ? null : await findInKept(plant, tape);
      const finding = inKept ?? (await findPlant(plant, firstSeed, seedCountMax, isShrunk));
      findings.push(finding);
      onFound(finding);
    }
  };
  await Promise.all(Array.from({ length: threadCount }, work));
  return findings;
}
