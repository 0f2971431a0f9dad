import { HoldfastError } from '../../mutation/holdfast-error.ts';
import type { Json } from '../../protocol/wire.ts';

/** Names through which an object's prototype is reached; no patch may speak of them. */
const UNSAFE_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

export function isUnsafeKey(key: string): boolean {
  return UNSAFE_KEYS.has(key);
}

/** Whether any object in it, however deep, has a field of such a name. */
export function hasUnsafeKey(value: Json): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([key, item]: [string, Json]) => isUnsafeKey(key) || hasUnsafeKey(item));
}

export function unsafeKey(where: string): HoldfastError {
  return new HoldfastError({
    code: 'UNSAFE_KEY',
    message: `The patch names ${where}, through which an object's prototype is reached.`,
    hint: 'Name the field differently: `__proto__`, `constructor` and `prototype` cannot be patched.',
  });
}
