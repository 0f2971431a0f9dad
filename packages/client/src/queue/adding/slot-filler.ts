import type { DescribedMutation } from '../../mutation/definition.ts';
import { HoldfastError, toHoldfastError } from '../../mutation/holdfast-error.ts';
import { headerOfBody, type MutationBody, type MutationHeader, writeBody } from '../../mutation/record.ts';
import { membersOf } from '../../mutation/versions.ts';
import { kindOf, type SlotValue, valueAt, withValues } from '../../mutation/slots.ts';
import { ATOMIC_TYPE, type Json, type JsonObject } from '../../protocol/wire.ts';
import { describe, payloadText } from './check-payload.ts';
import { slotUnfilled } from './fill-slots.ts';
import { describeAtomic } from './prepare-mutation.ts';
import type { Amendment, StoredHeader } from '../store/queue-store.ts';
import { Rewriting, type RewritingPorts } from './rewriting.ts';

export interface SlotFillerPorts extends RewritingPorts {
  /** Whether the mutation of this id is not confirmed yet. */
  readonly isOpen: (id: string) => boolean;
}

/**
 * Rewrites mutations durably once what they waited for is known. It reads from the store alone, so whoever delivers then
 * can do it, after whichever crash.
 */
export function slotFiller(ports: SlotFillerPorts): Rewriting {
  return new Rewriting({
    ...ports,
    isDone: ({ slots }) => slots.length === 0,
    amendmentsOf: async (open, bodies) => {
      const results = await resultsFor(open, ports);
      const amendments: Amendment[] = [];
      for (const stored of open) {
        const { header } = stored;
        const body = bodies.get(header.seq);
        if (body === undefined) continue;
        try {
          const values = valuesFor(header, results, ports);
          if (values.size > 0) amendments.push({ stored, ...filled(header, body, values, ports) });
        } catch (error) {
          ports.dispatch({ kind: 'givenUp', seqs: [header.seq], error: toHoldfastError(error).toWire() });
        }
      }
      return amendments;
    },
  });
}

/** What the parents returned, by their ids; nothing of those that are not confirmed. */
async function resultsFor(
  stored: readonly StoredHeader[],
  { store }: SlotFillerPorts,
): Promise<ReadonlyMap<string, Json>> {
  const ids = new Set(stored.flatMap(({ header }) => header.slots.map(({ parentId }) => parentId)));
  const results = new Map<string, Json>();
  for (const id of ids) {
    const record = await store.history.completed(id);
    if (record !== null) results.set(id, record.result ?? null);
  }
  return results;
}

/** Values by the placeholders that stand for them. Throws when one of them is not to be had. */
function valuesFor(
  { slots }: MutationHeader,
  results: ReadonlyMap<string, Json>,
  { isOpen }: SlotFillerPorts,
): ReadonlyMap<SlotValue, SlotValue> {
  const values = new Map<SlotValue, SlotValue>();
  for (const { placeholder, parentId, from } of slots) {
    const result = results.get(parentId);
    if (result === undefined && isOpen(parentId)) continue;
    const value = result === undefined ? undefined : valueAt(result, from, kindOf(placeholder));
    if (value === undefined) throw new HoldfastError(slotUnfilled(parentId, from));
    values.set(placeholder, value);
  }
  return values;
}

/** Throws when it cannot be sent with these values. */
function filled(
  header: MutationHeader,
  { payload, ...origin }: MutationBody,
  values: ReadonlyMap<SlotValue, SlotValue>,
  { definitions }: SlotFillerPorts,
): Omit<Amendment, 'stored'> {
  const described = describeFilled(header, withValues(payload, values), values, definitions);
  const { text, bytes } = payloadText(header.type, described.payload);
  const body = writeBody(text, { ...origin, isOneWay: true });
  const { entity, lane, alsoLanes } = described;
  const slots = header.slots.filter(({ placeholder }) => !values.has(placeholder));
  const size = { payloadBytes: bytes, ...headerOfBody(body) };
  return { header: { ...header, entity, lane, alsoLanes, slots, ...size }, body };
}

function describeFilled(
  header: MutationHeader,
  payload: JsonObject,
  values: ReadonlyMap<SlotValue, SlotValue>,
  definitions: SlotFillerPorts['definitions'],
): Pick<DescribedMutation, 'entity' | 'lane' | 'alsoLanes' | 'payload'> {
  const members = header.type === ATOMIC_TYPE ? membersOf(payload) : [{ type: header.type, payload }];
  const described = members.map((member) => {
    const definition = definitions.get(member.type);
    return definition === undefined ? undefined : describe(definition, member.payload);
  });
  const known = described.filter((each) => each !== undefined);
  const [only] = known;
  // Of a type that this version of the app does not know: the row and the lanes that the placeholders named.
  if (known.length < members.length || only === undefined) return { ...renamed(header, values), payload };
  return header.type === ATOMIC_TYPE ? describeAtomic(known) : only;
}

function renamed(
  { entity, lane, alsoLanes }: MutationHeader,
  values: ReadonlyMap<SlotValue, SlotValue>,
): Pick<DescribedMutation, 'entity' | 'lane' | 'alsoLanes'> {
  const id = values.get(entity?.id ?? '');
  const rename = (name: string): string =>
    [...values].reduce((text, [placeholder, value]) => text.replaceAll(String(placeholder), String(value)), name);
  return {
    entity: entity === null || id === undefined ? entity : { ...entity, id: String(id) },
    lane: rename(lane),
    alsoLanes: alsoLanes.map(rename),
  };
}
