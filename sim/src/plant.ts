/** A bug on purpose: one change to production code, and what users would suffer from it. */
export interface Plant {
  readonly name: string;
  /** From the root of the repository. */
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  readonly suffering: string;
}

export const CLIENT = 'packages/client/src';
