import { HoldfastError } from '../../mutation/holdfast-error.ts';
import {
  type OpenSlot,
  placeholderOf,
  type Slot,
  slotsIn,
  type SlotValue,
  valueAt,
  valuesIn,
  withoutSlots,
} from '../../mutation/slots.ts';
import type { MaybeLater } from '../../mutation/maybe-later.ts';
import type { Json, WireError } from '../../protocol/wire.ts';

/** What a confirmed mutation returned; undefined for one that is not confirmed. */
export type ResultOf = (mutationId: string) => Promise<Json | undefined>;

/** A payload with a value in the place of each slot, and which of these values are placeholders. */
export interface FilledPayload {
  readonly payload: unknown;
  readonly slots: readonly OpenSlot[];
}

/** Puts the real value in the place of a slot whose mutation is confirmed, and a placeholder in that of any other. */
export function fillSlots(payload: unknown, resultOf: ResultOf): MaybeLater<FilledPayload> {
  const given = slotsIn(payload);
  return given.length === 0 ? { payload, slots: NO_SLOTS } : fill(payload, given, resultOf);
}

async function fill(payload: unknown, given: readonly Slot[], resultOf: ResultOf): Promise<FilledPayload> {
  const values = new Map<Slot, SlotValue>();
  const open = new Map<SlotValue, OpenSlot>();
  for (const slot of given) {
    const { mutationId, path, kind } = slot.holdfastSlot;
    const result = await resultOf(mutationId);
    if (result === undefined) {
      const placeholder = freePlaceholder(slot, payload);
      open.set(placeholder, { placeholder, parentId: mutationId, from: path });
      values.set(slot, placeholder);
    } else {
      const value = valueAt(result, path, kind);
      if (value === undefined) throw new HoldfastError(slotUnfilled(mutationId, path));
      values.set(slot, value);
    }
  }
  // Each slot that stands there was found above.
  return { payload: withoutSlots(payload, (slot) => values.get(slot) as SlotValue), slots: [...open.values()] };
}

const NO_SLOTS: readonly OpenSlot[] = [];

/** Throws when the schema has made something else of a value that is not known yet. */
export function checkPlaceholders(type: string, payload: object, slots: readonly OpenSlot[]): void {
  if (slots.length === 0) return;
  const found = valuesIn(payload, new Set(slots.map(({ placeholder }) => placeholder)));
  const lost = slots.find(({ placeholder }) => !found.has(placeholder));
  if (lost === undefined) return;
  throw new HoldfastError({
    code: 'INVALID_PAYLOAD',
    message: `Not stored: the schema of ${type} changes or drops a value that is not known yet (\`${lost.from.join('.')}\` of ${lost.parentId}).`,
    hint: 'Let the schema return values as they are where a slot may stand.',
  });
}

export function slotUnfilled(mutationId: string, path: readonly (string | number)[]): WireError {
  return {
    category: 'VALIDATION_ERROR',
    code: 'SLOT_UNFILLED',
    message: `Not sent: the change ${mutationId} is confirmed, but returned nothing usable at \`${path.join('.')}\`.`,
    hint: 'Make it again with the real value, and correct the path of the slot or what the handler returns.',
  };
}

/** One that the payload does not hold already as a value of its own. */
function freePlaceholder({ holdfastSlot: { mutationId, path, kind } }: Slot, payload: unknown): SlotValue {
  const placeholder = placeholderOf(mutationId, path, kind);
  if (!valuesIn(payload, new Set([placeholder])).has(placeholder)) return placeholder;
  return placeholderOf(mutationId, [...path, 'in a payload with the same value'], kind);
}
