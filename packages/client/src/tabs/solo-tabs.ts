import type { OpenTabs } from '../ports/tabs.ts';

/** For apps that run once at a time (a phone, a process): this one always delivers. */
export const soloTabs: OpenTabs = () => ({
  hasLock: true,
  lead({ onGranted }) {
    let isWanted = true;
    // Granted after the call, as every other lock is.
    void Promise.resolve().then(() => {
      if (isWanted) onGranted();
    });
    return () => {
      isWanted = false;
    };
  },
  post() {},
  onMessage: () => () => {},
  close() {},
});
