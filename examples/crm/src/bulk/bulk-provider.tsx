import type { BulkReport } from 'holdfast';
import { type ReactNode, useMemo, useState } from 'react';
import { useBulkMutation } from '../workspace/mutations.ts';
import { useWorkspace } from '../workspace/workspace-context.ts';
import { type Bulk, BulkContext, type ChangeInput } from './bulk-context.ts';

export function BulkProvider({ children }: { readonly children: ReactNode }): ReactNode {
  const { queue } = useWorkspace();
  const { run, cancel, retryFailed, progress, isRunning } = useBulkMutation(queue);
  const [work, setWork] = useState<{ title: string; report: BulkReport<ChangeInput> | null } | null>(null);
  const bulk = useMemo<Bulk>(
    () => ({
      title: work?.title ?? null,
      progress: work === null ? null : progress,
      isRunning,
      report: work?.report ?? null,
      start: (title, inputs) => {
        setWork({ title, report: null });
        // its panel counts, so no toast does
        void run(inputs.map((input) => ({ ...input, toast: false as const }))).then((report) =>
          // another one may have begun meanwhile
          setWork((known) => (known?.title === title && known.report === null ? { title, report } : known)),
        );
      },
      stop: cancel,
      retryFailed: async () => {
        if (work === null || work.report === null) return;
        await retryFailed(work.report);
        // they go on as changes of their own: the pill and the list of changes tell of them
        setWork(null);
      },
      dismiss: () => setWork(null),
    }),
    [work, progress, isRunning, run, cancel, retryFailed],
  );
  return <BulkContext value={bulk}>{children}</BulkContext>;
}
