import type { Storage } from '../../ports/storage.ts';
import { META } from './record-keys.ts';
import { isBroken } from './storage-errors.ts';

/** So often a record that cannot be read is asked for by itself. */
const READ_ATTEMPTS = 3;

/**
 * The values under these; undefined for what the store cannot read, while it reads others. Found by halves: one among many costs little.
 * Rejects where the store reads nothing at all.
 */
export async function readWhatReads(
  storage: Storage,
  keys: readonly string[],
): Promise<readonly (string | null | undefined)[]> {
  const isOne = keys.length === 1;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return keys.length === 0 ? [] : await storage.read(keys);
    } catch (error) {
      if (!isBroken(error)) throw error;
      await storage.read([META.client]);
      if (isOne && attempt === READ_ATTEMPTS) return [undefined];
      if (isOne) continue;
    }
    const middle = keys.length >> 1;
    return [
      ...(await readWhatReads(storage, keys.slice(0, middle))),
      ...(await readWhatReads(storage, keys.slice(middle))),
    ];
  }
}
