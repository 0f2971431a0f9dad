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
  /** Shows in fewer than one of 1,500 worlds, and in none that is kept: only `--plants` with many seeds looks for it. */
  readonly isRare?: true;
}

export const CLIENT = 'packages/client/src';
