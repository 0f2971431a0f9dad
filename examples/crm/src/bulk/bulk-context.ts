import type { BulkProgress, BulkReport, MutationInput } from 'holdfast';
import { createContext, useContext } from 'react';
import type { MUTATIONS } from '../workspace/mutations.ts';

export type ChangeInput = MutationInput<(typeof MUTATIONS)[number]>;

/** Many changes as one piece of work, shown on every screen until someone has seen how it ended. */
export interface Bulk {
  /** What is being done, such as "Owner of 1,200 accounts"; null when nothing is or was. */
  readonly title: string | null;
  readonly progress: BulkProgress | null;
  readonly isRunning: boolean;
  /** How it ended; null while it runs. */
  readonly report: BulkReport<ChangeInput> | null;
  readonly start: (title: string, inputs: readonly ChangeInput[]) => void;
  readonly stop: () => void;
  readonly retryFailed: () => Promise<void>;
  readonly dismiss: () => void;
}

export const BulkContext = createContext<Bulk | null>(null);

export function useBulk(): Bulk {
  const bulk = useContext(BulkContext);
  if (bulk === null) throw new Error('useBulk: put the component inside <BulkProvider>.');
  return bulk;
}
