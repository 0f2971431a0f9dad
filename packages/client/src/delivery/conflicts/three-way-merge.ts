import type { Json, JsonObject } from '../../protocol/wire.ts';
import { isJsonObject, isSameJson, ownField } from './same-json.ts';

/** Where a field is: the names from the outside in. */
export type FieldPath = readonly string[];

export type MergeResult =
  | { readonly kind: 'merged'; readonly payload: JsonObject }
  /** Both sides have changed these fields, each to something else; `payload` holds mine there. */
  | { readonly kind: 'conflict'; readonly payload: JsonObject; readonly fields: readonly FieldPath[] };

export interface Versions {
  /** The row that the edit was made on, as far as it is known. */
  readonly base: JsonObject;
  /** The fields that the edit sets. */
  readonly mine: JsonObject;
  /** The row as it is now. */
  readonly theirs: JsonObject;
}

/**
 * Merges an edit into a row that has changed since, field by field: what only one side has changed is kept as that side
 * has it. Objects are merged field by field, arrays and everything else as one value. Only fields of the edit are in the
 * result, since an edit says nothing about the others; within an object, a missing field is one that was taken out.
 */
export function mergeThreeWay({ base, mine, theirs }: Versions): MergeResult {
  const fields: FieldPath[] = [];
  const merged = Object.keys(mine).map((key): [string, Json | undefined] => [
    key,
    mergeField(ownField(base, key), ownField(mine, key), ownField(theirs, key), [key], fields),
  ]);
  const payload = objectOf(merged);
  return fields.length === 0 ? { kind: 'merged', payload } : { kind: 'conflict', payload, fields };
}

/** What an edit changes of the row that it was made on: the fields of it that differ. */
export function changesOf(base: JsonObject, edit: JsonObject): JsonObject {
  return objectOf(
    Object.keys(edit).flatMap((key): [string, Json | undefined][] =>
      isSameJson(ownField(base, key), ownField(edit, key)) ? [] : [[key, ownField(edit, key)]],
    ),
  );
}

/** The row with these fields set. */
export function withFields(row: JsonObject, fields: JsonObject): JsonObject {
  return objectOf([...Object.entries(row), ...Object.entries(fields)]);
}

function mergeField(
  base: Json | undefined,
  mine: Json | undefined,
  theirs: Json | undefined,
  path: FieldPath,
  conflicts: FieldPath[],
): Json | undefined {
  if (isSameJson(mine, theirs) || isSameJson(base, theirs)) return mine;
  if (isSameJson(base, mine)) return theirs;
  // An object that neither side had before has no fields in common to begin from: all of it is new.
  if (isJsonObject(mine) && isJsonObject(theirs) && (isJsonObject(base) || base === undefined || base === null)) {
    const before = isJsonObject(base) ? base : {};
    const keys = new Set([...Object.keys(theirs), ...Object.keys(mine)]);
    const merged = [...keys].map((key): [string, Json | undefined] => [
      key,
      mergeField(ownField(before, key), ownField(mine, key), ownField(theirs, key), [...path, key], conflicts),
    ]);
    return objectOf(merged);
  }
  conflicts.push(path);
  return mine;
}

/** Made of entries, so that a field of any name, `__proto__` too, is a field and nothing else. */
function objectOf(entries: readonly (readonly [string, Json | undefined])[]): JsonObject {
  return Object.fromEntries(entries.filter((entry): entry is [string, Json] => entry[1] !== undefined));
}
