// Not from `rfc6902` itself: that brings along what applies patches, which is done beside this, with checks of our own.
import { diffAny } from 'rfc6902/diff.js';
import { Pointer } from 'rfc6902/pointer.js';
import type { Json, JsonObject } from '../../protocol/wire.ts';
import type { JsonPatch } from './json-patch.ts';
import { isJsonObject, isSameJson } from './same-json.ts';
import { hasUnsafeKey } from './unsafe-key.ts';

/**
 * The library compares two lists by pairs of their items, all of them at worst: one more item at the end of 400 took half a second in
 * which the page stood still, and 500 in another order four. So it gets only what lists do not have in common at both ends, and
 * nothing where that is as many pairs as this: a patch would be longer than the list.
 */
const PAIRS_MAX = 2_500;

/** The patch that makes `target` of `source`; null when a name in them cannot be patched, or too much of a list is another. */
export function createJsonPatch(source: JsonObject, target: JsonObject): JsonPatch | null {
  if (hasUnsafeKey(source) || hasUnsafeKey(target) || pairsIn(source, target) > PAIRS_MAX) return null;
  // Whatever the library makes of JSON is JSON.
  return difference(source, target, new Pointer()) as unknown as JsonPatch;
}

const difference: typeof diffAny = (before: Json, after: Json, at) =>
  Array.isArray(before) && Array.isArray(after)
    ? differenceOfLists(before, after, at)
    : diffAny(before, after, at, difference);

function differenceOfLists(before: readonly Json[], after: readonly Json[], at: Pointer): ReturnType<typeof diffAny> {
  const { from, untilBefore, untilAfter } = middleOf(before, after);
  let length = untilBefore - from;
  const operations = diffAny(before.slice(from, untilBefore), after.slice(from, untilAfter), new Pointer(), difference);
  return operations.map((operation) => {
    const [, first = '', ...inside] = operation.path.split('/');
    const isLast = first === '-' && untilBefore === before.length;
    const index = isLast ? first : from + (first === '-' ? length : Number(first));
    if (inside.length === 0 && operation.op !== 'replace') length += operation.op === 'add' ? 1 : -1;
    return { ...operation, path: [at.toString(), index, ...inside].join('/') };
  });
}

/** What two lists do not have in common at their ends. */
function middleOf(
  before: readonly Json[],
  after: readonly Json[],
): { readonly from: number; readonly untilBefore: number; readonly untilAfter: number } {
  let from = 0;
  let untilBefore = before.length;
  let untilAfter = after.length;
  while (from < untilBefore && from < untilAfter && isSameJson(before[from], after[from])) from += 1;
  while (from < untilBefore && from < untilAfter && isSameJson(before[untilBefore - 1], after[untilAfter - 1])) {
    untilBefore -= 1;
    untilAfter -= 1;
  }
  return { from, untilBefore, untilAfter };
}

function pairsIn(before: Json | undefined, after: Json | undefined): number {
  if (isJsonObject(before) && isJsonObject(after))
    return Object.keys(before).reduce((sum, key) => sum + pairsIn(before[key], after[key]), 0);
  if (!Array.isArray(before) || !Array.isArray(after)) return 0;
  const { from, untilBefore, untilAfter } = middleOf(before as readonly Json[], after as readonly Json[]);
  return sizeOf(before.slice(from, untilBefore) as Json) * sizeOf(after.slice(from, untilAfter) as Json);
}

/** Values in it, at any depth. */
function sizeOf(value: Json): number {
  if (typeof value !== 'object' || value === null) return 1;
  return Object.values(value).reduce((sum: number, item: Json) => sum + sizeOf(item), 1);
}
