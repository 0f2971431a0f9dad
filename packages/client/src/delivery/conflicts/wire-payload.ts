import { utf8Bytes } from '../../mutation/canonical-json.ts';
import type { JsonObject, PatchEncoding } from '../../protocol/wire.ts';
import { createJsonPatch } from './create-json-patch.ts';
import { createMergePatch } from './merge-patch.ts';

export interface WirePayload {
  readonly payload: JsonObject;
  /** Not there for the payload as it is. */
  readonly encoding?: PatchEncoding;
}

/**
 * The smallest way to say what an edit makes of a row: its payload, a merge patch, or a JSON Patch. The same row and
 * payload give the same text each time, since the server tells a repeat by it.
 */
export function smallestPayload(row: JsonObject, payload: JsonObject): WirePayload {
  // A row as the server gives it has every column; one that has not would make a patch of fields that are none.
  if (!Object.keys(payload).every((key) => Object.hasOwn(row, key))) return { payload };
  const before = Object.fromEntries(Object.entries(row).filter(([key]) => Object.hasOwn(payload, key)));
  const merge = createMergePatch(before, payload);
  const patch = createJsonPatch(before, payload);
  const candidates: WirePayload[] = [{ payload }];
  if (merge !== null) candidates.push({ payload: merge, encoding: 'mergePatch' });
  // A patch is plain JSON.
  if (patch !== null)
    candidates.push({ payload: { patch: patch as unknown as readonly JsonObject[] }, encoding: 'jsonPatch' });
  let smallest: WirePayload = { payload };
  let bytes = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const size = utf8Bytes(JSON.stringify(candidate));
    if (size >= bytes) continue;
    smallest = candidate;
    bytes = size;
  }
  return smallest;
}
