import type { Json, JsonObject } from '../../protocol/wire.ts';
import { isJsonObject, isSameJson, ownField } from './same-json.ts';
import { hasUnsafeKey, unsafeKey } from './unsafe-key.ts';

/** Merge patches (RFC 7396): an object with the fields to set, null for those to take out. */

/** What the patch makes of the target, which stays as it is. Throws `UNSAFE_KEY`. */
export function applyMergePatch(target: Json | undefined, patch: Json): Json {
  if (hasUnsafeKey(patch)) throw unsafeKey('`__proto__`, `constructor` or `prototype`');
  return merged(target, patch);
}

/** The patch that makes `target` of `source`; null when none can: a field set to null would be taken out instead. */
export function createMergePatch(source: JsonObject, target: JsonObject): JsonObject | null {
  if (hasUnsafeKey(source) || hasUnsafeKey(target)) return null;
  return difference(source, target);
}

function merged(target: Json | undefined, patch: Json): Json {
  if (!isJsonObject(patch)) return patch;
  const fields = new Map<string, Json>(isJsonObject(target) ? Object.entries(target) : []);
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) fields.delete(key);
    else fields.set(key, merged(fields.get(key), value));
  }
  return Object.fromEntries(fields);
}

function difference(source: JsonObject, target: JsonObject): JsonObject | null {
  const patch = new Map<string, Json>();
  for (const key of Object.keys(source)) if (!Object.hasOwn(target, key)) patch.set(key, null);
  for (const [key, value] of Object.entries(target)) {
    const before = ownField(source, key);
    if (isSameJson(before, value)) continue;
    if (value === null) return null;
    const change = isJsonObject(value) ? difference(isJsonObject(before) ? before : {}, value) : value;
    if (change === null) return null;
    patch.set(key, change);
  }
  return Object.fromEntries(patch);
}
