import type { Clock } from '../ports/clock.ts';

/** Resolves after the given time; rejects with the signal's reason when that comes first. */
export function wait(clock: Clock, delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason as unknown);
      return;
    }
    const stop = (): void => {
      cancel();
      reject(signal?.reason as unknown);
    };
    const cancel = clock.schedule(delayMs, () => {
      signal?.removeEventListener('abort', stop);
      resolve();
    });
    signal?.addEventListener('abort', stop, { once: true });
  });
}
