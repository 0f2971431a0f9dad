import type { Storage } from '../ports/storage.ts';
import { META } from './record-keys.ts';
import { isBroken } from './storage-keeper.ts';

/** So often a record that cannot be read is asked for by itself. */
const READ_ATTEMPTS = 3;

/** Each by itself; undefined for what the store cannot read, while it reads others. Rejects where it reads nothing at all. */
export async function readEach(
  storage: Storage,
  keys: readonly string[],
): Promise<readonly (string | null | undefined)[]> {
  const texts: (string | null | undefined)[] = [];
  for (const key of keys) texts.push(await readAlone(storage, key));
  return texts;
}

/** The same, together where that can be had. */
export async function readWhatReads(
  storage: Storage,
  keys: readonly string[],
): Promise<readonly (string | null | undefined)[]> {
  try {
    return keys.length === 0 ? [] : await storage.read(keys);
  } catch (error) {
    if (!isBroken(error)) throw error;
    return readEach(storage, keys);
  }
}

async function readAlone(storage: Storage, key: string): Promise<string | null | undefined> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const [text = null] = await storage.read([key]);
      return text;
    } catch (error) {
      if (!isBroken(error)) throw error;
      await storage.read([META.client]);
      if (attempt === READ_ATTEMPTS) return undefined;
    }
  }
}
