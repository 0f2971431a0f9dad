import type { EngineEffect, EngineInput } from '../engine/engine-io.ts';
import { checksum } from '../mutation/checksum.ts';
import type { AtomicPayload } from '../mutation/atomic.ts';
import type { AnyMutationDefinition, DescribedMutation } from '../mutation/definition.ts';
import { HoldfastError, toHoldfastError } from '../mutation/holdfast-error.ts';
import { type MutationBody, type MutationHeader, writeBody } from '../mutation/record.ts';
import { kindOf, type SlotValue, valueAt, withValues } from '../mutation/slots.ts';
import { ATOMIC_TYPE, type Json, type JsonObject } from '../protocol/wire.ts';
import type { Alarms } from './alarms.ts';
import type { Amender } from './amender.ts';
import { slotUnfilled } from './fill-slots.ts';
import { describe, describeAtomic, payloadText } from './prepare-mutation.ts';
import type { Amendment, QueueStore, StoredHeader } from './queue-store.ts';

export interface SlotFillerPorts {
  readonly store: QueueStore;
  readonly amender: Amender;
  readonly alarms: Alarms;
  readonly definitions: ReadonlyMap<string, AnyMutationDefinition>;
  /** Whether the mutation of this id is not confirmed yet. */
  readonly isOpen: (id: string) => boolean;
  readonly dispatch: (input: EngineInput) => void;
  /** Makes dead letters of those that stand in the store and do not read. */
  readonly giveUpUnreadable: (seqs: readonly number[]) => Promise<void>;
  /** Another tab delivers now. */
  readonly standDown: () => void;
  readonly report: (error: unknown) => void;
}

type FillSlots = Extract<EngineEffect, { kind: 'fillSlots' }>;

/** Filling that failed is tried again after this, in milliseconds. */
const FILL_AGAIN_MS = 1_000;

/**
 * Rewrites mutations durably once what they waited for is known. It reads from the store alone, so whoever delivers then
 * can do it, after whichever crash.
 */
export class SlotFiller {
  private readonly ports: SlotFillerPorts;

  constructor(ports: SlotFillerPorts) {
    this.ports = ports;
  }

  /** Ends with an input about each of them, or lets them go to be tried again. */
  fill({ amendId, headers }: FillSlots): void {
    this.rewrite(headers).then(
      (isDone) => {
        if (isDone) this.ports.dispatch({ kind: 'letGo', amendId });
        else this.again(amendId);
      },
      (error: unknown) => {
        this.ports.report(error);
        this.again(amendId);
      },
    );
  }

  private again(amendId: string): void {
    this.ports.alarms.after(FILL_AGAIN_MS, () => this.ports.dispatch({ kind: 'letGo', amendId }));
  }

  /** False when it must be looked at once more. */
  private async rewrite(known: readonly MutationHeader[]): Promise<boolean> {
    const { store, amender } = this.ports;
    const { epoch } = store;
    const found = await store.pendingAt(known.map(({ seq }) => seq));
    const stored = found.filter((each) => each !== null);
    // Done by another tab that delivered before this one.
    const amended = stored.map(({ header }) => header).filter(({ slots }) => slots.length === 0);
    const open = stored.filter(({ header }) => header.slots.length > 0);
    const bodies = await store.bodies(open.map(({ header }) => header));
    const amendments = this.amendmentsOf(open, bodies, await this.resultsOf(open));
    const written = amendments.length === 0 ? [] : await store.amend(amendments, epoch);
    if (written === null && !(await store.claim([])).isLeader) this.ports.standDown();
    if (written !== null && amended.length + written.length > 0) amender.tell([...amended, ...written]);
    const readable = new Set([...amended.map(({ seq }) => seq), ...bodies.keys()]);
    const unreadable = known.map(({ seq }) => seq).filter((seq) => !readable.has(seq));
    if (unreadable.length > 0) await this.ports.giveUpUnreadable(unreadable);
    return unreadable.length === 0 && written?.length === open.length;
  }

  private amendmentsOf(
    open: readonly StoredHeader[],
    bodies: ReadonlyMap<number, MutationBody>,
    results: ReadonlyMap<string, Json>,
  ): readonly Amendment[] {
    const amendments: Amendment[] = [];
    for (const stored of open) {
      const { header } = stored;
      const body = bodies.get(header.seq);
      if (body === undefined) continue;
      try {
        const values = this.valuesFor(header, results);
        if (values.size > 0) amendments.push({ stored, ...this.filled(header, body, values) });
      } catch (error) {
        this.ports.dispatch({ kind: 'givenUp', seqs: [header.seq], error: toHoldfastError(error).toWire() });
      }
    }
    return amendments;
  }

  /** What the parents returned, by their ids; nothing of those that are not confirmed. */
  private async resultsOf(stored: readonly StoredHeader[]): Promise<ReadonlyMap<string, Json>> {
    const ids = new Set(stored.flatMap(({ header }) => header.slots.map(({ parentId }) => parentId)));
    const results = new Map<string, Json>();
    for (const id of ids) {
      const record = await this.ports.store.completed(id);
      if (record !== null) results.set(id, record.result ?? null);
    }
    return results;
  }

  /** Values by the placeholders that stand for them. Throws when one of them is not to be had. */
  private valuesFor({ slots }: MutationHeader, results: ReadonlyMap<string, Json>): ReadonlyMap<SlotValue, SlotValue> {
    const values = new Map<SlotValue, SlotValue>();
    for (const { placeholder, parentId, from } of slots) {
      const result = results.get(parentId);
      if (result === undefined && this.ports.isOpen(parentId)) continue;
      const value = result === undefined ? undefined : valueAt(result, from, kindOf(placeholder));
      if (value === undefined) throw new HoldfastError(slotUnfilled(parentId, from));
      values.set(placeholder, value);
    }
    return values;
  }

  /** Throws when it cannot be sent with these values. */
  private filled(
    header: MutationHeader,
    { payload, ...origin }: MutationBody,
    values: ReadonlyMap<SlotValue, SlotValue>,
  ): Omit<Amendment, 'stored'> {
    const described = this.describe(header, withValues(payload, values), values);
    const { text, bytes } = payloadText(header.type, described.payload);
    const body = writeBody(text, { ...origin, isOneWay: true });
    const { entity, lane, alsoLanes } = described;
    const slots = header.slots.filter(({ placeholder }) => !values.has(placeholder));
    const size = { payloadBytes: bytes, bodyChecksum: checksum(body) };
    return { header: { ...header, entity, lane, alsoLanes, slots, ...size }, body };
  }

  private describe(
    header: MutationHeader,
    payload: JsonObject,
    values: ReadonlyMap<SlotValue, SlotValue>,
  ): Pick<DescribedMutation, 'entity' | 'lane' | 'alsoLanes' | 'payload'> {
    const { definitions } = this.ports;
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
}

function membersOf(payload: JsonObject): AtomicPayload['members'] {
  // Written by `addAtomic`, and nothing else is stored under its type.
  return (payload as unknown as AtomicPayload).members;
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
