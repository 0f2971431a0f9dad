import { useCallback } from 'react';
import type { MutationStatus, Status } from '../queue/mutation-status.ts';
import { type AnyQueue, useQueue } from './queue-context.ts';
import { areSameStatuses } from './same-status.ts';
import { useReading } from './use-reading.ts';

export interface MutationHistoryOptions {
  /** Most of them. @default 100 */
  readonly limit?: number;
  /** @default every status */
  readonly status?: Status;
  /** @default every type */
  readonly type?: string;
  /** @default the provider's */
  readonly queue?: AnyQueue;
}

/**
 * What was changed on this device, live: what is not confirmed yet, dead letters before the rest, in the order it was added; then what
 * was confirmed lately, the newest first.
 */
export function useMutationHistory({
  limit = 100,
  status,
  type,
  queue,
}: MutationHistoryOptions = {}): readonly MutationStatus[] {
  const read = useCallback(
    (found: AnyQueue) => {
      const only = { ...(status === undefined ? {} : { status }), ...(type === undefined ? {} : { type }) };
      const unconfirmed = found.listUnconfirmed(limit, only);
      return [...unconfirmed, ...found.listRecentlyConfirmed(limit - unconfirmed.length, only)];
    },
    [limit, status, type],
  );
  return useReading(useQueue(queue), read, areSameStatuses, NONE);
}

const NONE: readonly MutationStatus[] = [];
