import { useEffect } from 'react';
import { useLatest } from './use-latest.ts';

/** Calls the last cleanup that was rendered when the component goes. In StrictMode React tries that out once more at the start. */
export function useCleanup(cleanup: () => void): void {
  const latest = useLatest(cleanup);
  useEffect(
    () => () => {
      latest.current();
    },
    [latest],
  );
}
