import { HoldfastError } from '../../mutation/holdfast-error.ts';
import type { Json, JsonObject } from '../../protocol/wire.ts';
import { isJsonObject, isSameJson, ownField } from './same-json.ts';
import { hasUnsafeKey, isUnsafeKey, unsafeKey } from './unsafe-key.ts';

/**
 * JSON Patch (RFC 6902), on copies. Everything is checked first, segment by segment of each pointer, and only fields of the document
 * itself count as being there.
 */
export type JsonPatch = readonly JsonPatchOperation[];
export type JsonPatchOperation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: Json }
  | { readonly op: 'remove'; readonly path: string }
  | { readonly op: 'move' | 'copy'; readonly path: string; readonly from: string };

type Step = Exclude<JsonPatchOperation, { readonly op: 'move' | 'copy' }>;

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
  const root: { readonly document: Json } = { document: structuredClone(document) };
  for (const operation of parseJsonPatch(patch as readonly Json[])) {
    for (const step of stepsOf(root.document, operation)) {
      checkFit(root.document, step);
      // The document is a field of something, so that replacing all of it is an operation like any other.
      carryOut(root, ['document', ...pointerSegments(step.path)], step);
    }
  }
  return root.document;
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

/** Moving is taking out and then adding, which after that may have another place to go to; copying is adding. */
function stepsOf(document: Json, operation: JsonPatchOperation): readonly Step[] {
  if (!('from' in operation)) return [operation];
  const { op, from, path } = operation;
  const value = expectThere(document, from);
  if (op === 'copy') return [{ op: 'add', path, value }];
  if (path.startsWith(`${from}/`)) throw invalidPatch(`${path} lies within what is moved`);
  return [
    { op: 'remove', path: from },
    { op: 'add', path, value },
  ];
}

/** One that fits, at the place that these names lead to. */
function carryOut(root: JsonObject, names: readonly string[], step: Step): void {
  const name = names.at(-1) as string;
  const parent = valueAt(root, names.slice(0, -1)) as Record<string, Json> | Json[];
  if (step.op === 'test') {
    if (!isSameJson(valueAt(root, names), step.value))
      throw invalidPatch(`what stands at ${step.path} is another value`);
  } else if (Array.isArray(parent)) {
    const index = name === '-' ? parent.length : Number(name);
    const added = step.op === 'remove' ? [] : [structuredClone(step.value)];
    parent.splice(index, step.op === 'add' ? 0 : 1, ...added);
  } else if (step.op === 'remove') {
    delete parent[name];
  } else {
    parent[name] = structuredClone(step.value);
  }
}

/** What must be there, is there, as a field of its own or a plain index. */
function checkFit(document: Json, { op, path }: Step): void {
  if (op === 'remove' && path === '') throw invalidPatch('all of it cannot be taken out');
  if (op === 'add') expectRoom(document, path);
  else expectThere(document, path);
}

function expectThere(document: Json, pointer: string): Json {
  const value = valueAt(document, pointerSegments(pointer));
  if (value === undefined) throw invalidPatch(`there is nothing at ${pointer}`);
  return value;
}

/** Whether something may be put there: a field of an object, or an index of an array up to its end. */
function expectRoom(document: Json, pointer: string): void {
  const segments = pointerSegments(pointer);
  const last = segments.at(-1);
  // All of it is replaced.
  if (last === undefined) return;
  const parent = valueAt(document, segments.slice(0, -1));
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
