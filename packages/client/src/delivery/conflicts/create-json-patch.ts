// Not from `rfc6902` itself: that brings along what applies patches, which is done beside this, with checks of our own.
import { diffAny } from 'rfc6902/diff.js';
import { Pointer } from 'rfc6902/pointer.js';
import type { JsonObject } from '../../protocol/wire.ts';
import type { JsonPatch } from './json-patch.ts';
import { hasUnsafeKey } from './unsafe-key.ts';

/** The patch that makes `target` of `source`; null when a name in them cannot be patched. */
export function createJsonPatch(source: JsonObject, target: JsonObject): JsonPatch | null {
  if (hasUnsafeKey(source) || hasUnsafeKey(target)) return null;
  // Whatever the library makes of JSON is JSON.
  return diffAny(source, target, new Pointer()) as unknown as JsonPatch;
}
