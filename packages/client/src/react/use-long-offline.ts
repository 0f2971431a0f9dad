import { useEffect, useState } from 'react';
import type { Clock } from '../ports/clock.ts';
import { systemClock } from '../ports/system-clock.ts';
import { watchOfflineSpell } from '../telemetry/notifications/offline-spell.ts';
import { type AnyQueue, useQueue } from './queue-context.ts';

export interface LongOfflineOptions {
  /** @default the provider's */
  readonly queue?: AnyQueue;
  /** How long the server must have been out of reach, in milliseconds. @default 300_000 */
  readonly afterMs?: number;
  /** @default the platform's */
  readonly clock?: Clock;
}

/** Whether the server has been out of reach for a long time without a break. */
export function useLongOffline({ queue, afterMs = 300_000, clock = systemClock }: LongOfflineOptions = {}): boolean {
  const { network } = useQueue(queue);
  const [isLong, setIsLong] = useState(false);
  useEffect(() => {
    const stop = watchOfflineSpell(network, { clock, afterMs, onChange: setIsLong });
    return () => {
      stop();
      setIsLong(false);
    };
  }, [afterMs, clock, network]);
  return isLong;
}
