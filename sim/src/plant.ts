import type { Shape } from './plan.ts';

/** A bug on purpose: one change to production code, and what users would suffer from it. */
export interface Plant {
  readonly name: string;
  /** From the root of the repository. */
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  readonly suffering: string;
  /** Where the search begins for one that shows rarely, so that it takes seconds. @default 1 */
  readonly firstSeed?: number;
  /** The worlds it is looked for in, where it shows in fewer than one of 1,500 of all. @default of every shape */
  readonly shape?: Shape;
}

export const CLIENT = 'packages/client/src';
