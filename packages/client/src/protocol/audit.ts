import type { Json } from './wire.ts';

/** What was done to a row. */
export type AuditAction = 'create' | 'update' | 'delete' | 'restore';

/** One change of one row. */
export interface AuditEntry {
  /** Grows with time; hand the last one of a page back as `before` to get the next page. */
  readonly id: string;
  /** ISO 8601. */
  readonly occurredAt: string;
  /** The user who made it; null when no signed-in user did. */
  readonly actor: string | null;
  readonly action: AuditAction;
  readonly entityType: string;
  readonly entityId: string;
  /** Update: the changed fields before. Delete: the whole row. Create and restore: null. */
  readonly oldValues: { readonly [field: string]: Json } | null;
  /** Create and restore: the whole row. Update: the changed fields after. Delete: null. */
  readonly newValues: { readonly [field: string]: Json } | null;
  /** Sorted; null unless the action is an update. */
  readonly changedFields: readonly string[] | null;
  /** Null when the change was not made by a mutation. */
  readonly mutationId: string | null;
  readonly clientId: string | null;
  /** Address of whoever made it, as the outermost trusted proxy saw it; null when nobody trustworthy told. */
  readonly ip: string | null;
  readonly userAgent: string | null;
}

/** Answer of `GET /v1/audit`. */
export interface AuditResponse {
  /** Newest first. */
  readonly entries: readonly AuditEntry[];
  /** What to send as `before` for the next page; null when there is none. */
  readonly nextBefore: string | null;
}
