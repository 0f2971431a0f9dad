import type { Wakeups } from '../ports/wakeups.ts';

/**
 * A page that comes before its user: made visible, restored from the back-forward cache, or thawed. Tells nothing where there
 * is no page. The events are those of the Page Lifecycle and HTML standards.
 */
export function pageWakeups(): Wakeups {
  return (report) => {
    if (typeof document === 'undefined') return () => {};
    const stop = new AbortController();
    const { signal } = stop;
    const look = (): void => {
      if (document.visibilityState === 'visible') report('foreground');
    };
    document.addEventListener('visibilitychange', look, { signal });
    document.addEventListener('resume', look, { signal });
    window.addEventListener('pageshow', look, { signal });
    return () => stop.abort();
  };
}
