import type { Json } from 'holdfast/protocol';
import type { Session } from './database.ts';

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
  readonly action: 'create' | 'update' | 'delete' | 'restore';
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

export interface ChangePage {
  readonly changes: readonly Change[];
  /** Where to go on. Hand it back as it is. */
  readonly cursor: string;
  /** More is there already. Changes of one transaction are complete once it is false. */
  readonly hasMore: boolean;
  /** What came after the cursor may be gone: read everything anew, and go on from the cursor of this answer. */
  readonly resync: boolean;
}

export interface ReadChangesOptions {
  /** From the answer before, or null to begin with what happens from now on. */
  readonly cursor: string | null;
  /** Most changes in the answer, up to 1,000. @default 500 */
  readonly limit?: number | undefined;
}

/**
 * Reads the change feed as whoever the session acts as. Raises `INVALID_REQUEST` for a cursor that is none.
 */
export async function readChanges(session: Session, options: ReadChangesOptions): Promise<ChangePage> {
  const rows = await session.query<{ page: ChangePage }>('select holdfast.read_changes($1, $2) as page', [
    options.cursor,
    options.limit ?? 500,
  ]);
  const [row] = rows;
  if (row === undefined) throw new Error('read_changes gave no answer');
  return row.page;
}
