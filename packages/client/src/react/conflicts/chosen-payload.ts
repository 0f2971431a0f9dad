import type { Json, JsonObject } from '../../protocol/wire.ts';
import type { OpenConflictView } from '../../queue/delivering/conflict-desk.ts';

export type Side = 'mine' | 'theirs';
export type Path = readonly string[];

/** What stands at a path; undefined where there is nothing. */
export function valueAt(object: JsonObject | null, path: Path): Json | undefined {
  let value: Json | undefined = object ?? undefined;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as JsonObject)[key];
  }
  return value;
}

/**
 * The choice in the queue's words: one side as a whole where that is what was chosen, else the edit as it was merged, with the
 * other side's values in the fields that were chosen so.
 */
export function choiceOf(
  { theirs, merged, fields }: Pick<OpenConflictView, 'theirs' | 'merged' | 'fields'>,
  sideOf: (path: Path) => Side,
): Side | { readonly payload: JsonObject } {
  const theirFields = fields.filter((path) => sideOf(path) === 'theirs');
  if (theirFields.length === 0) return 'mine';
  let payload = merged;
  for (const path of theirFields) payload = withValue(payload, path, valueAt(theirs, path));
  // An edit that would change nothing of the row need not be made.
  const isNothing = Object.keys(payload).every((key) => isSame(payload[key], valueAt(theirs, [key])));
  return isNothing ? 'theirs' : { payload };
}

function isSame(one: Json | undefined, other: Json | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function withValue(object: JsonObject, [key, ...rest]: Path, value: Json | undefined): JsonObject {
  if (key === undefined) return object;
  const inner = Object.hasOwn(object, key) ? object[key] : undefined;
  const next = rest.length === 0 ? value : withValue(isObject(inner) ? inner : {}, rest, value);
  const names = Object.hasOwn(object, key) ? Object.keys(object) : [...Object.keys(object), key];
  // Made of entries, so that a key such as `__proto__` is a key.
  const entries = names.map((name): [string, Json | undefined] => [name, name === key ? next : object[name]]);
  return Object.fromEntries(entries.filter((entry): entry is [string, Json] => entry[1] !== undefined));
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
