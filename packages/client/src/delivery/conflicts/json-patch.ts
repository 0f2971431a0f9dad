import { applyPatch, createPatch, type Operation } from 'rfc6902';
import { HoldfastError } from '../../mutation/holdfast-error.ts';
import type { Json, JsonObject } from '../../protocol/wire.ts';
import { isJsonObject, isSameJson, ownField } from './same-json.ts';
import { hasUnsafeKey, isUnsafeKey, unsafeKey } from './unsafe-key.ts';

/**
 * JSON Patch (RFC 6902). The library does the work on copies; everything that it is given has been checked here first,
 * segment by segment of each pointer, and only fields of the document itself count as being there.
 */
export type JsonPatch = readonly JsonPatchOperation[];
export type JsonPatchOperation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: Json }
  | { readonly op: 'remove'; readonly path: string }
  | { readonly op: 'move' | 'copy'; readonly path: string; readonly from: string };

/** Reads a patch. Throws `UNSAFE_KEY`, or `INVALID_PATCH` for what RFC 6902 does not allow. */
export function parseJsonPatch(patch: Json): JsonPatch {
  if (!Array.isArray(patch)) throw invalidPatch('it is no array');
  return patch.map((operation: Json, index) => {
    if (!isJsonObject(operation)) throw invalidPatch(`operation ${index} is no object`);
    const op = ownField(operation, 'op');
    const path = pointerOf(operation, 'path', index);
    switch (op) {
      case 'add':
      case 'replace':
      case 'test': {
        const value = ownField(operation, 'value');
        if (value === undefined) throw invalidPatch(`operation ${index} has no "value"`);
        if (hasUnsafeKey(value)) throw unsafeKey('a field of such a name in a value');
        return { op, path, value };
      }
      case 'remove':
        return { op, path };
      case 'move':
      case 'copy':
        return { op, path, from: pointerOf(operation, 'from', index) };
      default:
        throw invalidPatch(`operation ${index} has no known "op"`);
    }
  });
}

/**
 * What the patch makes of the document, which stays as it is. Throws `INVALID_PATCH` when an operation does not fit it (a
 * `test` that fails too), and then nothing is changed; `UNSAFE_KEY` also for a document that has such a field.
 */
export function applyJsonPatch(document: JsonObject, patch: JsonPatch): Json {
  if (hasUnsafeKey(document)) throw unsafeKey('a document with such a field');
  const root = { document: structuredClone(document) };
  for (const operation of parseJsonPatch(patch as readonly Json[])) {
    checkFit(root.document, operation);
    // The document is a field of something, so that replacing all of it is an operation like any other.
    const [failure] = applyPatch(root, [rooted(operation)]);
    if (failure !== null && failure !== undefined) throw invalidPatch(failure.message);
  }
  return root.document;
}

/** The patch that makes `target` of `source`; null when a name in them cannot be patched. */
export function createJsonPatch(source: JsonObject, target: JsonObject): JsonPatch | null {
  if (hasUnsafeKey(source) || hasUnsafeKey(target)) return null;
  // Whatever the library makes of JSON is JSON.
  return createPatch(source, target) as unknown as JsonPatch;
}

/** The names that a pointer (RFC 6901) goes through. Throws `INVALID_PATCH`, `UNSAFE_KEY`. */
export function pointerSegments(pointer: string): readonly string[] {
  if (pointer === '') return [];
  if (!pointer.startsWith('/') || /~(?![01])/.test(pointer))
    throw invalidPatch(`${JSON.stringify(pointer)} is no pointer`);
  const segments = pointer
    .slice(1)
    .split('/')
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));
  if (segments.some(isUnsafeKey)) throw unsafeKey(JSON.stringify(pointer));
  return segments;
}

function pointerOf(operation: JsonObject, field: 'path' | 'from', index: number): string {
  const pointer = ownField(operation, field);
  if (typeof pointer !== 'string') throw invalidPatch(`operation ${index} has no "${field}"`);
  pointerSegments(pointer);
  return pointer;
}

function rooted(operation: JsonPatchOperation): Operation {
  const path = `/document${operation.path}`;
  return 'from' in operation ? { ...operation, path, from: `/document${operation.from}` } : { ...operation, path };
}

/** What the library is lenient about: what must be there, is there, as a field of its own or a plain index. */
function checkFit(document: Json, operation: JsonPatchOperation): void {
  const { op, path } = operation;
  if (op === 'move' && path.startsWith(`${operation.from}/`)) throw invalidPatch(`${path} lies within what is moved`);
  if ((op === 'move' || op === 'remove') && (op === 'move' ? operation.from : path) === '')
    throw invalidPatch('all of it cannot be taken out');
  if (op === 'move' || op === 'copy') expectThere(document, pointerSegments(operation.from), operation.from);
  const segments = pointerSegments(path);
  if (op !== 'add' && op !== 'move' && op !== 'copy') expectThere(document, segments, path);
  else if (segments.length > 0) expectRoom(valueAt(document, segments.slice(0, -1)), segments.at(-1) ?? '', path);
  if (op === 'test' && !isSameJson(valueAt(document, segments), operation.value))
    throw invalidPatch(`the test of ${path} failed`);
}

function expectThere(document: Json, segments: readonly string[], pointer: string): void {
  if (valueAt(document, segments) === undefined) throw invalidPatch(`there is nothing at ${pointer}`);
}

/** Whether something may be put there: a field of an object, or an index of an array up to its end. */
function expectRoom(parent: Json | undefined, last: string, pointer: string): void {
  if (isJsonObject(parent)) return;
  const isRoom = Array.isArray(parent) && (last === '-' || (INDEX.test(last) && Number(last) <= parent.length));
  if (!isRoom) throw invalidPatch(`there is no room at ${pointer}`);
}

function valueAt(document: Json, segments: readonly string[]): Json | undefined {
  let value: Json | undefined = document;
  for (const segment of segments) {
    if (isJsonObject(value)) value = ownField(value, segment);
    else if (Array.isArray(value) && INDEX.test(segment)) value = (value as readonly Json[])[Number(segment)];
    else return undefined;
  }
  return value;
}

const INDEX = /^(?:0|[1-9][0-9]{0,9})$/;

function invalidPatch(reason: string): HoldfastError {
  return new HoldfastError({
    code: 'INVALID_PATCH',
    message: `The patch cannot be applied: ${reason}.`,
    hint: 'Make the patch from the very document that it is applied to.',
  });
}
