import { useCallback, useEffect, useMemo, useRef } from 'react';
import { useLatest } from './use-latest.ts';

export interface ClearableTimer {
  /** Calls it off, until `delayMs` changes or the component is there anew. */
  readonly clear: () => void;
}

/** Calls back once, `delayMs` milliseconds after the component is there or `delayMs` has changed. Null: not at all. */
export function useTimeout(callback: () => void, delayMs: number | null): ClearableTimer {
  return useTimer(callback, delayMs, startTimeout);
}

/** Calls back every `delayMs` milliseconds while the component is there. Null: not at all. */
export function useInterval(callback: () => void, delayMs: number | null): ClearableTimer {
  return useTimer(callback, delayMs, startInterval);
}

function useTimer(
  callback: () => void,
  delayMs: number | null,
  start: (ring: () => void, delayMs: number) => () => void,
): ClearableTimer {
  const latest = useLatest(callback);
  const stop = useRef<(() => void) | null>(null);
  const clear = useCallback(() => {
    stop.current?.();
    stop.current = null;
  }, []);
  useEffect(() => {
    if (delayMs === null) return undefined;
    // The last callback that was rendered is called, so that a new one does not begin the wait anew.
    stop.current = start(() => latest.current(), delayMs);
    return clear;
  }, [clear, delayMs, latest, start]);
  return useMemo(() => ({ clear }), [clear]);
}

function startTimeout(ring: () => void, delayMs: number): () => void {
  const timer = setTimeout(ring, delayMs);
  return () => clearTimeout(timer);
}

function startInterval(ring: () => void, delayMs: number): () => void {
  const timer = setInterval(ring, delayMs);
  return () => clearInterval(timer);
}
