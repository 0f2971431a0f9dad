import type { Clock } from '../../ports/clock.ts';

/** As much of a network monitor as is looked at. */
export interface SpelledNetwork {
  isOnline(): boolean;
  onChange(listener: () => void): () => void;
}

/**
 * Calls back once the server has been out of reach for `afterMs` milliseconds without a break, and once it is back after
 * that. Returns what ends it.
 */
export function watchOfflineSpell(
  network: SpelledNetwork,
  {
    clock,
    afterMs,
    onChange,
  }: { readonly clock: Clock; readonly afterMs: number; readonly onChange: (isLong: boolean) => void },
): () => void {
  let cancel: (() => void) | null = null;
  let isLong = false;
  const look = (): void => {
    if (network.isOnline()) {
      cancel?.();
      cancel = null;
      if (isLong) onChange((isLong = false));
    } else
      cancel ??= clock.schedule(afterMs, () => {
        isLong = true;
        onChange(true);
      });
  };
  const stop = network.onChange(look);
  look();
  return () => {
    stop();
    cancel?.();
  };
}
