import { useCallback, useEffect, useMemo, useRef } from 'react';

/** Work that ends with the component. */
export interface CancellablePromise {
  /**
   * Does the work; the promise is the work's own. When it is cancelled, or the component goes, the signal is aborted and
   * the promise rejects at once with an `AbortError`, whatever the work does.
   */
  readonly run: <Value>(work: (signal: AbortSignal) => Promise<Value> | Value) => Promise<Value>;
  /** Cancels all that is under way. */
  readonly cancel: () => void;
}

export function useCancellablePromise(): CancellablePromise {
  const running = useRef(new Set<AbortController>());

  const cancel = useCallback(() => {
    const aborts = [...running.current];
    running.current.clear();
    for (const abort of aborts) abort.abort();
  }, []);
  const run = useCallback(async <Value>(work: (signal: AbortSignal) => Promise<Value> | Value): Promise<Value> => {
    const abort = new AbortController();
    const { signal } = abort;
    running.current.add(abort);
    let stop = (): void => {};
    const isCancelled = new Promise<never>((_resolve, reject) => {
      stop = () => reject(signal.reason as Error);
      signal.addEventListener('abort', stop, { once: true });
    });
    try {
      return await Promise.race([work(signal), isCancelled]);
    } finally {
      signal.removeEventListener('abort', stop);
      running.current.delete(abort);
    }
  }, []);
  useEffect(() => cancel, [cancel]);
  return useMemo(() => ({ run, cancel }), [run, cancel]);
}
