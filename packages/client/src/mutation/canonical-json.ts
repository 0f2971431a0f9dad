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
  const path: (string | number)[] = [];
  const refuse = (reason: string): never => {
    throw new NotJson(reason, [...path]);
  };

  const write = (current: unknown, depth: number): string => {
    if (current === null || typeof current === 'boolean') return String(current);
    if (typeof current === 'string') return writeText(current, refuse);
    if (typeof current === 'number')
      return Number.isFinite(current) ? JSON.stringify(current) : refuse(`the number ${current}`);
    if (current === undefined) return refuse('undefined');
    if (typeof current !== 'object') return refuse(`a ${typeof current}`);
    if (depth > maxDepth) return refuse(`nesting deeper than ${maxDepth}`);
    return Array.isArray(current) ? writeArray(current, depth) : writeObject(current, depth);
  };

  const writeArray = (items: readonly unknown[], depth: number): string => {
    const parts: string[] = [];
    for (let index = 0; index < items.length; index += 1) {
      path.push(index);
      parts.push(write(items[index], depth + 1));
      path.pop();
    }
    return `[${parts.join(',')}]`;
  };

  const writeObject = (object: object, depth: number): string => {
    const prototype: unknown = Object.getPrototypeOf(object);
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null)
      return refuse(`an instance of ${className(object)}`);
    const parts: string[] = [];
    for (const key of Object.keys(object).sort()) {
      const item = (object as Record<string, unknown>)[key];
      if (item === undefined) continue;
      path.push(key);
      parts.push(`${writeText(key, refuse)}:${write(item, depth + 1)}`);
      path.pop();
    }
    return `{${parts.join(',')}}`;
  };

  try {
    const text = write(value, 1);
    return { kind: 'json', text, bytes: utf8Bytes(text) };
  } catch (error) {
    if (error instanceof NotJson) return { kind: 'notJson', path: error.path, reason: error.reason };
    throw error;
  }
}

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

function writeText(text: string, refuse: (reason: string) => never): string {
  if (!ESCAPED_OR_HALF.test(text)) return `"${text}"`;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit === 0) return refuse('text with the character NUL, which Postgres cannot hold');
    if (!isSurrogate(unit)) continue;
    const next = text.charCodeAt(index + 1);
    if (unit >= 0xdc00 || !(next >= 0xdc00 && next <= 0xdfff)) return refuse('text with an unpaired surrogate');
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
