import { useMemo } from 'react';
import type { MutationStatus, Status } from '../queue/mutation-status.ts';
import { type AnyQueue, useQueue } from './queue-context.ts';
import { NOT_YET, useQueueVersion } from './use-queue-version.ts';

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
  const found = useQueue(queue);
  const version = useQueueVersion(found);
  return useMemo(() => {
    if (version === NOT_YET) return [];
    const only = { ...(status === undefined ? {} : { status }), ...(type === undefined ? {} : { type }) };
    const unconfirmed = found.listUnconfirmed(limit, only);
    return [...unconfirmed, ...found.listRecentlyConfirmed(limit - unconfirmed.length, only)];
    // oxlint-disable-next-line react/exhaustive-deps -- the version stands for the queue's state
  }, [found, version, limit, status, type]);
}
