import { checksumText } from '../../mutation/checksum.ts';
import type { Act } from '../../mutation/record.ts';
import type { Identity } from '../options.ts';

/** Version of the file. */
const EXPORT_FORMAT = 1;

/** Under which name the list stands in each kind of file. */
const LISTS = { 'dead-letters': 'deadLetters', quarantine: 'quarantine' } as const;

/** A file for people and programs; `checksum` is over the JSON text of the list, as the records of the store have it. */
export function exportFile(
  holdfast: keyof typeof LISTS,
  list: readonly unknown[],
  { userId, workspaceId }: Identity,
  { actor, reason, atMs }: Act,
): string {
  const about = { holdfast, format: EXPORT_FORMAT, userId, workspaceId, exported: { actor, reason, atMs } };
  return JSON.stringify({ ...about, checksum: checksumText(JSON.stringify(list)), [LISTS[holdfast]]: list }, null, 2);
}
