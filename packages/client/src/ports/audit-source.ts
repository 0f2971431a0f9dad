import type { AuditAction, AuditResponse } from '../protocol/audit.ts';

/** Which entries of the audit log; all that are left out mean any. */
export interface AuditFilter {
  /** The table. */
  readonly entityType?: string;
  /** The row; needs `entityType`. */
  readonly entityId?: string;
  readonly action?: AuditAction;
  /** The user who made it, by id. */
  readonly actor?: string;
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

/** All logs of some days as one file. */
export interface AuditExportQuery {
  /** The first that counts: a date, or ISO text. */
  readonly startDate: Date | string;
  /** The first that does not count any more. */
  readonly endDate: Date | string;
  readonly format: 'csv' | 'json';
}

export interface AuditExport {
  /** Says what it holds, of which days, in which format. */
  readonly fileName: string;
  readonly content: Blob;
}

/** Where the audit log is read. */
export interface AuditSource {
  /** One page, newest first. Rejects with a `HoldfastError`. */
  readonly readPage: (query: AuditPageQuery, signal: AbortSignal) => Promise<AuditResponse>;
  /**
   * The audit log, the attempts to deliver and the acts of operators between two days, as far as the caller may read them.
   * `onBytes` is told how much has come. Rejects with a `HoldfastError`; left out where there is no such thing.
   */
  readonly exportAuditLogs?: (
    query: AuditExportQuery,
    options: { readonly signal: AbortSignal; readonly onBytes?: (byteCount: number) => void },
  ) => Promise<AuditExport>;
  /** Calls back when there may be something new, where the server tells (its change feed); returns an unsubscribe. */
  readonly onNews?: (listener: () => void) => () => void;
}
