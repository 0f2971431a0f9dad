import type { AuditAction, AuditResponse } from '../protocol/audit.ts';

/** Which entries of the audit log; all that are left out mean any. */
export interface AuditFilter {
  /** The table. */
  readonly entityType?: string;
  /** The row; needs `entityType`. */
  readonly entityId?: string;
  readonly action?: AuditAction;
  /** Entries of this time or later: a date, or ISO text. */
  readonly startDate?: Date | string;
  /** Entries of before this time: a date, or ISO text. */
  readonly endDate?: Date | string;
}

export interface AuditPageQuery extends AuditFilter {
  readonly workspaceId: string;
  /** Most entries of the page. */
  readonly limit: number;
  /** Only entries older than the one with this id; null for the newest. */
  readonly before: string | null;
}

/** Where the audit log is read. */
export interface AuditSource {
  /** One page, newest first. Rejects with a `HoldfastError`. */
  readonly readPage: (query: AuditPageQuery, signal: AbortSignal) => Promise<AuditResponse>;
  /** Calls back when there may be something new, where the server tells (its change feed); returns an unsubscribe. */
  readonly onNews?: (listener: () => void) => () => void;
}
