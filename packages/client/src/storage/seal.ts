import * as v from 'valibot';
import { HoldfastError } from '../mutation/holdfast-error.ts';
import type { SealingKey } from '../ports/keys.ts';
import { scanAll } from '../ports/scan-all.ts';
import type { Entry, Storage } from '../ports/storage.ts';
import { isKeyId, keyIdOf, openValue, sealValue } from './sealed-value.ts';
import { keyIsMissing } from './storage-locked.ts';

/** Where a store says which key it is sealed with. No key of a queue's own begins so. */
export const SEAL_KEY = '~seal';

/** Which keys a store is sealed with; stored sealed, with the key that new values are sealed with. */
export interface Seal {
  /** As it stands in the store. */
  readonly text: string;
  readonly keyId: string;
  /** Keys that were current before; none of them becomes current again. */
  readonly earlierIds: readonly string[];
  /** Those of them that values which do not open are said to be sealed with. */
  readonly keptIds: readonly string[];
  /** Whether values in the clear count: the store was written without keys, and not all is sealed yet. */
  readonly mayBeClear: boolean;
  /** Whether nothing is left that is sealed with an earlier key, or in the clear. */
  readonly isDone: boolean;
  /** At most so many values were sealed with the key, by all tabs: each says so before it seals, for many at once. */
  readonly usedCount: number;
}

/** What it takes to find the seal of a store, or to make it one. */
export interface SealSearch {
  readonly storage: Storage;
  readonly name: string;
  readonly isClear: (entry: Entry) => boolean;
  readonly find: (id: string) => Promise<SealingKey | null>;
  readonly current: () => Promise<SealingKey>;
}

const content = v.object({
  earlierIds: v.array(v.string()),
  keptIds: v.array(v.string()),
  mayBeClear: v.boolean(),
  isDone: v.boolean(),
  // Not counted by earlier versions.
  usedCount: v.optional(v.number(), 0),
});

export function writeSeal(seal: Omit<Seal, 'text'>, key: SealingKey, storeName: string): Promise<string> {
  if (!isKeyId(key.id)) throw badKeyId(key.id);
  const { earlierIds, keptIds, mayBeClear, isDone, usedCount } = seal;
  const text = JSON.stringify({ earlierIds, keptIds, mayBeClear, isDone, usedCount });
  return sealValue(key, { storeName, key: SEAL_KEY }, text);
}

/**
 * The seal of the store. A store without one gets one; where the seal was damaged, what is sealed in the store tells. Rejects
 * with `STORAGE_LOCKED` when a key is missing, and never makes a new one for a store that has values under another.
 */
export async function readSeal(search: SealSearch): Promise<Seal> {
  const { storage, name, current } = search;
  for (;;) {
    const [text = null] = await storage.read([SEAL_KEY]);
    const seal = text === null ? null : await openSeal(search, text);
    if (seal !== null) return seal;
    const { keyIds, isEmpty } = await contentOf(search);
    const key = await current();
    const next = {
      keyId: key.id,
      earlierIds: keyIds.filter((id) => id !== key.id),
      keptIds: [],
      mayBeClear: keyIds.length === 0 && !isEmpty,
      isDone: isEmpty,
      usedCount: 1,
    };
    const sealed = await writeSeal(next, key, name);
    const result = await storage.commit({
      expect: [{ key: SEAL_KEY, value: text }],
      changes: [{ kind: 'put', key: SEAL_KEY, value: sealed }],
    });
    if (result.kind === 'committed') return { ...next, text: sealed };
  }
}

/** Null when it does not open, or its key is not there: what is sealed in the store tells whether that is lost, or it was damaged. */
async function openSeal(search: SealSearch, text: string): Promise<Seal | null> {
  const keyId = keyIdOf(text);
  const key = keyId === null ? null : await search.find(keyId);
  if (keyId === null || key === null) return null;
  const opened = await openValue(key, { storeName: search.name, key: SEAL_KEY }, text);
  const parsed = opened === null ? null : v.safeParse(content, JSON.parse(opened));
  return parsed?.success === true ? { ...parsed.output, keyId, text } : null;
}

/**
 * The ids of all keys that something in the store is sealed with, and whether nothing is, or should be. Looks at all of it: what
 * is sealed may stand behind much that is not. Rejects when one of the keys is missing, or opens nothing.
 */
async function contentOf({ storage, name, isClear, find }: SealSearch): Promise<{
  readonly keyIds: readonly string[];
  readonly isEmpty: boolean;
}> {
  const opensSome = new Map<string, boolean>();
  let isEmpty = true;
  for await (const entry of scanAll(storage, '')) {
    if (isClear(entry)) continue;
    isEmpty = false;
    const id = keyIdOf(entry.value);
    if (id === null || opensSome.get(id) === true) continue;
    const key = await find(id);
    if (key === null) throw keyIsMissing(id);
    opensSome.set(id, (await openValue(key, { storeName: name, key: entry.key }, entry.value)) !== null);
  }
  for (const [id, isRight] of opensSome) if (!isRight) throw keyIsMissing(id);
  return { keyIds: [...opensSome.keys()], isEmpty };
}

function badKeyId(id: string): HoldfastError {
  return new HoldfastError({
    code: 'INVALID_OPTION',
    message: `The id of a key must be 1 to 64 letters, digits, "-" or "_"; it is ${JSON.stringify(id)}.`,
    hint: 'Correct the ids that the key provider gives.',
  });
}
