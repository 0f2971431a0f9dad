import type { Json } from '../protocol/wire.ts';

export type CanonicalJson =
  | { readonly kind: 'json'; readonly text: string; readonly bytes: number }
  | { readonly kind: 'notJson'; readonly path: readonly (string | number)[]; readonly reason: string };

/**
 * The JSON text of a value with object keys in code-unit order (as RFC 8785 orders them), so that equal values have
 * equal text. Refuses whatever JSON or Postgres would lose or change: functions, `undefined` in arrays, NaN, infinities,
 * bigint, dates and other class instances, cycles, the character NUL, unpaired surrogates, and nesting beyond
 * `maxDepth`. A key whose value is `undefined` is left out, as `JSON.stringify` does.
 */
export function canonicalJson(value: unknown, maxDepth: number): CanonicalJson {
  try {
    const text = write(value, { path: [], maxDepth });
    return { kind: 'json', text, bytes: utf8Bytes(text) };
  } catch (error) {
    if (error instanceof NotJson) return { kind: 'notJson', path: error.path, reason: error.reason };
    throw error;
  }
}

/** Where in a value the writer is: keys and indexes from the outside in. */
interface Place {
  readonly path: (string | number)[];
  readonly maxDepth: number;
}

function write(value: unknown, place: Place): string {
  if (typeof value === 'string') return writeText(value, place);
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'number')
    return Number.isFinite(value) ? JSON.stringify(value) : refuse(`the number ${value}`, place);
  if (value === undefined) return refuse('undefined', place);
  if (typeof value !== 'object') return refuse(`a ${typeof value}`, place);
  if (place.path.length >= place.maxDepth) return refuse(`nesting deeper than ${place.maxDepth}`, place);
  return Array.isArray(value) ? writeArray(value, place) : writeObject(value, place);
}

function writeArray(items: readonly unknown[], place: Place): string {
  let text = '[';
  for (let index = 0; index < items.length; index += 1) {
    if (index > 0) text += ',';
    place.path.push(index);
    text += write(items[index], place);
    place.path.pop();
  }
  return `${text}]`;
}

function writeObject(object: object, place: Place): string {
  const prototype: unknown = Object.getPrototypeOf(object);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null)
    return refuse(`an instance of ${className(object)}`, place);
  let text = '{';
  for (const key of sortedKeys(object)) {
    const item = (object as Record<string, unknown>)[key];
    if (item === undefined) continue;
    if (text.length > 1) text += ',';
    place.path.push(key);
    text += `${writeText(key, place)}:${write(item, place)}`;
    place.path.pop();
  }
  return `${text}}`;
}

function refuse(reason: string, { path }: Place): never {
  throw new NotJson(reason, path);
}

/** In code-unit order. Few keys, as most objects have, are put in order one by one: `sort` takes longer than all the rest. */
function sortedKeys(object: object): readonly string[] {
  const keys = Object.keys(object);
  if (keys.length > FEW_KEYS) return keys.sort();
  for (let index = 1; index < keys.length; index += 1) {
    const key = keys[index] as string;
    let place = index;
    for (; place > 0 && (keys[place - 1] as string) > key; place -= 1) keys[place] = keys[place - 1] as string;
    keys[place] = key;
  }
  return keys;
}

const FEW_KEYS = 16;

/** Parses JSON text that this library wrote or received; the caller checks the shape. Throws `SyntaxError`. */
export function parseJson(text: string): Json {
  return JSON.parse(text) as Json;
}

/** Length of the text in UTF-8, in bytes. */
export function utf8Bytes(text: string): number {
  if (!BEYOND_ASCII.test(text)) return text.length;
  let bytes = text.length;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) continue;
    // A surrogate pair is two units and four bytes, so each half counts two; every other unit from U+0800 takes three.
    bytes += unit < 0x800 || isSurrogate(unit) ? 1 : 2;
  }
  return bytes;
}

class NotJson extends Error {
  readonly reason: string;
  readonly path: readonly (string | number)[];
  constructor(reason: string, path: readonly (string | number)[]) {
    super(reason);
    this.reason = reason;
    this.path = path;
  }
}

/** Looked for by the engine in one go, and rarely found: going through a text unit by unit costs ten times as much. */
const BEYOND_ASCII = /[\x80-\uffff]/;
/** All but what stands in JSON as it is: no quote, no backslash, no control character, no half of a pair. */
const ESCAPED_OR_HALF = /[^ !#-[\]-\ud7ff\ue000-\uffff]/;

function writeText(text: string, place: Place): string {
  if (!ESCAPED_OR_HALF.test(text)) return `"${text}"`;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit === 0) return refuse('text with the character NUL, which Postgres cannot hold', place);
    if (!isSurrogate(unit)) continue;
    const next = text.charCodeAt(index + 1);
    if (unit >= 0xdc00 || !(next >= 0xdc00 && next <= 0xdfff)) return refuse('text with an unpaired surrogate', place);
    index += 1;
  }
  return JSON.stringify(text);
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}

function className(object: object): string {
  const constructor: unknown = object.constructor;
  return typeof constructor === 'function' ? constructor.name : 'an unnamed class';
}
