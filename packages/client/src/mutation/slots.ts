import type { Json, JsonObject } from '../protocol/wire.ts';
import { checksum } from './checksum.ts';

/** Where a value stands in what the server returned: keys and indexes from the outside in. */
export type ValuePath = readonly (string | number)[];

/** Values that a slot may stand for. */
export type SlotValue = string | number;
export type SlotKind = 'string' | 'number';

/**
 * Stands in the payload of a mutation for a value that the server will return for an earlier one, such as the id of a row
 * that it is yet to create; made by `handle.slot`. It is plain data: it may be kept, copied and written as JSON.
 */
export interface Slot<Value extends SlotValue = SlotValue> {
  readonly holdfastSlot: {
    /** Id of the mutation whose result has the value. */
    readonly mutationId: string;
    readonly path: ValuePath;
    readonly kind: SlotKind;
  };
  /** Never there: carries the type of the value. */
  readonly valueType?: Value;
}

/** A value in a stored payload that is not known yet, and the placeholder that stands there for it. */
export interface OpenSlot {
  readonly placeholder: SlotValue;
  readonly parentId: string;
  readonly from: ValuePath;
}

/** A payload that may hold slots wherever it holds texts or numbers. */
export type WithSlots<Payload> = 0 extends 1 & Payload
  ? Payload
  : Nested<Payload> | SlotFor<Extract<Payload, SlotValue>>;

/** Any JSON, with slots in it. */
export type JsonOrSlot =
  | null
  | boolean
  | SlotValue
  | Slot
  | readonly JsonOrSlot[]
  | { readonly [key: string]: JsonOrSlot };

type Nested<Payload> = Payload extends SlotValue | boolean | null | undefined | ((...args: never[]) => unknown)
  ? Payload
  : Payload extends readonly unknown[]
    ? Json extends Payload[number]
      ? readonly JsonOrSlot[]
      : { [Key in keyof Payload]: WithSlots<Payload[Key]> }
    : Payload extends object
      ? [JsonObject, string] extends [Payload, keyof Payload]
        ? { readonly [key: string]: JsonOrSlot }
        : { [Key in keyof Payload]: WithSlots<Payload[Key]> }
      : Payload;
type SlotFor<Value extends SlotValue> = [Value] extends [never] ? never : Slot<Value>;

/** Paths to texts and numbers in a result, at most three keys deep. */
export type SlotPath<Result> = PathOf<Result, 3>;
type Fewer = [never, 0, 1, 2];
type PathOf<Result, Depth extends number> = Depth extends 0
  ? never
  : Result extends readonly unknown[] | SlotValue | boolean | null | undefined
    ? never
    : {
        [Key in keyof Result & string]: Extract<Result[Key], SlotValue> extends never
          ? readonly [Key, ...PathOf<NonNullable<Result[Key]>, Fewer[Depth]>]
          : readonly [Key];
      }[keyof Result & string];

/** The text or number at a path of a result. */
export type ValueAt<Result, Path extends readonly unknown[]> = Path extends readonly [
  infer Key extends keyof Result,
  ...infer Rest,
]
  ? Rest extends readonly []
    ? Extract<Result[Key], SlotValue>
    : ValueAt<NonNullable<Result[Key]>, Rest>
  : never;

/** Largest result that is kept whole with a confirmed mutation, in characters of its JSON. */
export const KEPT_RESULT_CHARS = 4_096;
/** Nesting up to which a payload is searched for slots; one nested deeper is refused anyway. */
const DEPTH_MAX = 40;

/**
 * What stands for the value until it is known; the same in every payload, so that what is shown meanwhile fits together.
 * For the text at `id` it is the mutation's own id; for other texts it looks like that, and numbers are negative.
 */
export function placeholderOf(mutationId: string, path: ValuePath, kind: SlotKind): SlotValue {
  const name = JSON.stringify(path);
  if (kind === 'number') return -(checksum(mutationId + name) * 2 ** 20 + (checksum(name + mutationId) % 2 ** 20) + 1);
  if (path.length === 1 && path[0] === 'id') return mutationId;
  const tail = checksum(mutationId + name)
    .toString(16)
    .padStart(12, '0');
  return UUID.test(mutationId) ? mutationId.slice(0, -12) + tail : `${mutationId} ${tail}`;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The slots in a payload as it was given, each once. */
export function slotsIn(payload: unknown): readonly Slot[] {
  const found: Slot[] = [];
  walk(payload, (value) => {
    if (isSlot(value)) found.push(value);
  });
  return found;
}

/** The payload as it was given, with what `valueOf` says in the place of each slot. */
export function withoutSlots(payload: unknown, valueOf: (slot: Slot) => SlotValue): unknown {
  return mapped(payload, (value) => (isSlot(value) ? valueOf(value) : undefined));
}

/** The payload with real values in the place of placeholders; all of them, wherever they stand. */
export function withValues(payload: JsonObject, values: ReadonlyMap<SlotValue, SlotValue>): JsonObject {
  // What it is made of stays what it was, but for texts and numbers.
  return mapped(payload, (value) => (isSlotValue(value) ? values.get(value) : undefined)) as JsonObject;
}

/** Which of these texts and numbers stand in the payload. */
export function valuesIn(payload: unknown, wanted: ReadonlySet<SlotValue>): ReadonlySet<SlotValue> {
  const found = new Set<SlotValue>();
  walk(payload, (value) => {
    if (isSlotValue(value) && wanted.has(value)) found.add(value);
  });
  return found;
}

/** Those of the slots whose placeholders stand in the payload, each once. */
export function slotsLeftIn(payload: object, slots: readonly OpenSlot[]): readonly OpenSlot[] {
  if (slots.length === 0) return slots;
  const byPlaceholder = new Map(slots.map((slot) => [slot.placeholder, slot]));
  const found = valuesIn(payload, new Set(byPlaceholder.keys()));
  return [...byPlaceholder.values()].filter(({ placeholder }) => found.has(placeholder));
}

/** The text or number at the path; undefined where there is none of this kind. */
export function valueAt(result: Json, path: ValuePath, kind: SlotKind): SlotValue | undefined {
  let value: unknown = result;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string | number, unknown>)[key];
  }
  return isSlotValue(value) && typeof value === kind ? value : undefined;
}

export function kindOf(value: SlotValue): SlotKind {
  return typeof value === 'string' ? 'string' : 'number';
}

/**
 * What is kept of a result for slots: all of it where it is small, else its texts and numbers at the top as far as they
 * fit, and whatever stands at the paths that are waited for.
 */
export function keptResult(result: Json, waitedFor: readonly ValuePath[]): Json {
  if (JSON.stringify(result).length <= KEPT_RESULT_CHARS || typeof result !== 'object' || result === null)
    return result;
  const kept: Record<string, unknown> = {};
  let chars = 0;
  for (const [key, value] of Object.entries(result)) {
    if (!isSlotValue(value)) continue;
    chars += JSON.stringify({ [key]: value }).length;
    if (chars <= KEPT_RESULT_CHARS) kept[key] = value;
  }
  for (const path of waitedFor) copyAt(result, kept, path);
  // Built from JSON alone.
  return kept as JsonObject;
}

function copyAt(from: object, into: Record<string, unknown>, path: ValuePath): void {
  let source: unknown = from;
  let target = into;
  path.forEach((key, index) => {
    source = isRecord(source) && Object.hasOwn(source, key) ? source[key] : undefined;
    if (index === path.length - 1) {
      if (isSlotValue(source)) target[key] = source;
    } else {
      target = (target[key] ??= {}) as Record<string, unknown>;
    }
  });
}

function isSlot(value: unknown): value is Slot {
  if (!isRecord(value)) return false;
  const inner = value['holdfastSlot'];
  return isRecord(inner) && typeof inner['mutationId'] === 'string' && Array.isArray(inner['path']);
}

function isSlotValue(value: unknown): value is SlotValue {
  return typeof value === 'string' || typeof value === 'number';
}

function isRecord(value: unknown): value is Record<string | number, unknown> {
  return typeof value === 'object' && value !== null;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function walk(value: unknown, visit: (value: unknown) => void, depth = 0): void {
  visit(value);
  if (!isRecord(value) || isSlot(value) || depth > DEPTH_MAX) return;
  if (Array.isArray(value)) for (const item of value) walk(item, visit, depth + 1);
  else if (isPlain(value)) for (const item of Object.values(value)) walk(item, visit, depth + 1);
}

/** A copy in which `replace` has had its say; undefined leaves a value as it is. */
function mapped(value: unknown, replace: (value: unknown) => SlotValue | undefined, depth = 0): unknown {
  const replacement = replace(value);
  if (replacement !== undefined) return replacement;
  if (!isRecord(value) || depth > DEPTH_MAX) return value;
  if (Array.isArray(value)) return value.map((item) => mapped(item, replace, depth + 1));
  if (!isPlain(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapped(item, replace, depth + 1)]));
}
