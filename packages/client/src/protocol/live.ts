import type { AuditAction } from './audit.ts';
import type { Json, WireError } from './wire.ts';

/** One change of one row, as a reader of the feed is told of it. */
export interface Change {
  /** Of the audit log. Grows with time for one row; of two rows it says nothing. */
  readonly id: string;
  /** When its transaction began, ISO 8601. */
  readonly at: string;
  /** Changes with the same one were committed together. */
  readonly transactionId: string;
  /** The user who made it; null when no signed-in user did. */
  readonly actor: string | null;
  readonly action: AuditAction;
  readonly entityType: string;
  readonly entityId: string;
  /** Update: the changed fields before. Null otherwise, and when hidden. */
  readonly oldValues: { readonly [field: string]: Json } | null;
  /** Create and restore: the row. Update: the changed fields after. Null otherwise, and when hidden. */
  readonly newValues: { readonly [field: string]: Json } | null;
  readonly changedFields: readonly string[] | null;
  /** The reader may not see the row now, or it is gone by now: drop what you hold of it. */
  readonly isHidden: boolean;
  /** Null when the change was not made by a mutation. */
  readonly mutationId: string | null;
  readonly clientId: string | null;
}

/** What a subscriber is told, over WebSocket as JSON, over SSE as the data of an event of the same name. */
export type LiveMessage =
  /** First of all: from here on nothing is left out. */
  | { readonly kind: 'ready'; readonly cursor: string }
  /** In the order of their commits. `hasMore`: the rest follows at once. */
  | {
      readonly kind: 'changes';
      readonly changes: readonly Change[];
      readonly cursor: string;
      readonly hasMore: boolean;
    }
  /** What came after the cursor may be gone: read everything anew, and go on from this one. */
  | { readonly kind: 'resync'; readonly cursor: string }
  /** The last one: why the channel closes, and whether to come again. */
  | { readonly kind: 'refused'; readonly error: WireError; readonly retryAfterMs: number | null };
