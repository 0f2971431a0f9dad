import type { Change } from 'holdfast/protocol';
import type { Session } from './database.ts';

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
