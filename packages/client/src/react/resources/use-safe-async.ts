import { type DependencyList, useCallback, useEffect, useState } from 'react';
import { useLatest } from './use-latest.ts';

/** What an asynchronous call came to. While it is called again, `data` is what was there before. */
export interface SafeAsync<Data> {
  readonly data: Data | undefined;
  /** What it threw, or its promise rejected with; null when it did not. */
  readonly error: unknown;
  readonly loading: boolean;
  /** Calls it once more. */
  readonly reload: () => void;
}

interface Outcome<Data> {
  readonly data: Data | undefined;
  readonly error: unknown;
  readonly loading: boolean;
}

/**
 * Calls when the component is there, and again when one of `deps` changes; only the answer to the last call counts. The signal
 * of a call that no longer counts is aborted, also when the component goes.
 */
export function useSafeAsync<Data>(
  load: (signal: AbortSignal) => Promise<Data> | Data,
  deps: DependencyList,
): SafeAsync<Data> {
  const [outcome, setOutcome] = useState<Outcome<Data>>({ data: undefined, error: null, loading: true });
  const [callNumber, setCallNumber] = useState(0);
  const latest = useLatest(load);

  useEffect(() => {
    const abort = new AbortController();
    const { signal } = abort;
    setOutcome((before) => (before.loading ? before : { ...before, loading: true }));
    const call = async (): Promise<Data> => latest.current(signal);
    call().then(
      (data) => {
        if (!signal.aborted) setOutcome({ data, error: null, loading: false });
      },
      (error: unknown) => {
        if (!signal.aborted) setOutcome((before) => ({ data: before.data, error, loading: false }));
      },
    );
    return () => abort.abort();
    // oxlint-disable-next-line react/exhaustive-deps -- the caller says what it depends on
  }, [callNumber, latest, ...deps]);

  const reload = useCallback(() => setCallNumber((number) => number + 1), []);
  return { ...outcome, reload };
}
