import { useContext, useMemo, useSyncExternalStore } from 'react';
import { HoldfastError } from '../mutation/holdfast-error.ts';
import type { AuditFilter, AuditSource } from '../ports/audit-source.ts';
import { systemClock } from '../ports/system-clock.ts';
import { AuditContext } from './audit-context.ts';
import { AuditPages, type AuditPagesSnapshot, NOTHING_READ } from './audit-pages.ts';
import { type AnyQueue, useQueue } from './queue-context.ts';

export interface UseAuditLogsOptions {
  /** Entries of a page. @default 50 */
  readonly limit?: number;
  /** @default the provider's `audit` */
  readonly source?: AuditSource;
  /** @default the provider's */
  readonly queue?: AnyQueue;
}

export interface UseAuditLogs extends AuditPagesSnapshot {
  /** Reads the next, older page. Does nothing while one is on its way, or when there is none. */
  readonly loadMore: () => void;
  /** Reads the newest page once more. */
  readonly refresh: () => void;
}

/**
 * What was changed in a workspace, by whom: page by page, newest first, and live. New entries come by themselves where the source
 * tells of news, and whenever something of this device is confirmed. Another filter begins anew.
 */
export function useAuditLogs(
  workspaceId: string,
  filter: AuditFilter = {},
  { limit = 50, source: own, queue }: UseAuditLogsOptions = {},
): UseAuditLogs {
  const found = useQueue(queue);
  const source = useAuditSource(own);
  const { entityType, entityId, action, actor, startDate, endDate } = filter;
  const [start, end] = [timeOf(startDate), timeOf(endDate)];
  const pages = useMemo(() => {
    const texts = { entityType, entityId, action, actor, startDate: start, endDate: end };
    // What is left out is not asked for.
    const given = Object.fromEntries(Object.entries(texts).filter(([, value]) => value !== undefined)) as AuditFilter;
    return new AuditPages({ source, queue: found, clock: systemClock, workspaceId, filter: given, limit });
  }, [source, found, workspaceId, entityType, entityId, action, actor, start, end, limit]);
  const snapshot = useSyncExternalStore(pages.subscribe, pages.getSnapshot, () => NOTHING_READ);
  return useMemo(() => ({ ...snapshot, loadMore: pages.loadMore, refresh: pages.refresh }), [snapshot, pages]);
}

/** The source that was handed in, or else the provider's. */
export function useAuditSource(own?: AuditSource): AuditSource {
  const provided = useContext(AuditContext);
  const source = own ?? provided;
  if (source === null) throw noSource();
  return source;
}

/** The same time is the same filter, though each rendering makes its own `Date`. */
function timeOf(date: Date | string | undefined): string | undefined {
  return date instanceof Date ? date.toISOString() : date;
}

function noSource(): HoldfastError {
  return new HoldfastError({
    code: 'INVALID_OPTION',
    message: '`useAuditLogs` has nowhere to read from.',
    hint: 'Give the provider `audit={httpAuditLog({ getToken })}`, or hand a `source` to the hook.',
  });
}
