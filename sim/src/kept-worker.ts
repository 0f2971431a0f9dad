import { parentPort, workerData } from 'node:worker_threads';
import type { ChoiceTape } from './choice-tape.ts';
import { plantBug } from './plant-bug.ts';

// The world that is kept for a planted bug, with the bug: what it breaks first, or null.
const { tape, plant } = workerData as { readonly tape: ChoiceTape; readonly plant: string };
plantBug(plant);
// Loaded only now, so that the bug is in what it imports.
const { replay } = await import('./simulate.ts');
const { result } = await replay(tape);
const [first] = result.violations;
parentPort?.postMessage(first === undefined ? null : `${first.invariant} · ${first.message}`);
