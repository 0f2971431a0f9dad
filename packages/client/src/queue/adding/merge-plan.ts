import { NearIndex } from '../../engine/near-index.ts';
import { nearKey, type Unconfirmed } from '../../engine/unconfirmed.ts';
import type { AnyMutationDefinition } from '../../mutation/definition.ts';
import { HoldfastError } from '../../mutation/holdfast-error.ts';
import { type MaybeLater, whenKnown } from '../../mutation/maybe-later.ts';
import { lanesOf, type MutationHeader } from '../../mutation/record.ts';
import { slotsLeftIn } from '../../mutation/slots.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Durability } from '../../ports/storage.ts';
import type { JsonObject } from '../../protocol/wire.ts';
import { CalledBefore } from './called-before.ts';
import type { Capacity } from './capacity.ts';
import { checkPayload } from './check-payload.ts';
import { type EditBases, isEdit } from './edit-base.ts';
import type { MutationOrigin } from './mutation-origin.ts';
import { type AddInput, MADE_AT_MS, withPayload } from './prepare-mutation.ts';
import type { NewMutation } from '../store/number-giver.ts';
import type { Placement, StoredHeader } from '../store/queue-store.ts';
import type { StoringCall } from './storing-calls.ts';

/** A checked mutation that is about to be stored. */
export interface Addition extends NewMutation {
  readonly payload: JsonObject;
  readonly origin: MutationOrigin;
  /** Mark of its content, where its id is the app's own; else null. */
  readonly ownMark: string | null;
  /** Whether it may be dropped as a duplicate of another, or merged into one. */
  readonly mayMerge: boolean;
  /** What it was made from; null for one that replaces another. */
  readonly input: AddInput | null;
  /** The call that it is of; null for what nobody has called `add` for. */
  readonly call: StoringCall | null;
}

/** One that others may be merged into: new in this commit, or stored before and kept back. */
export interface Standing {
  header: NewMutation['header'];
  payload: JsonObject;
  origin: MutationOrigin;
  /** Null: as it is stored. */
  body: string | null;
  /** Null: new. */
  readonly stored: StoredHeader | null;
  /** What this commit has made of it; null before, and for what it has not touched. */
  placed: Stored | null;
}

/** What stands in the store now. */
export interface Stored {
  readonly header: MutationHeader;
  readonly payload: JsonObject;
  readonly durability: Durability;
}

export interface MergePlanPorts {
  readonly definitions: ReadonlyMap<string, AnyMutationDefinition>;
  readonly capacity: Capacity;
  readonly mutations: Unconfirmed;
  /** Those that are kept back, by id. */
  readonly standing: ReadonlyMap<string, Standing>;
  /** Additions under an id of the app's own that is known already, by this id. */
  readonly known: ReadonlyMap<string, Standing | Error>;
  /** What this tab has stored lately: whoever was called behind it may have been checked before. */
  readonly calledBefore: CalledBefore;
  /** Makes an edit on what the one before it leaves. */
  readonly madeBehind: EditBases['behind'];
  readonly clock: Clock;
  readonly report: (error: unknown) => void;
}

export type End = Error | { readonly kind: 'added' | 'deduplicated' | 'coalesced'; readonly standing: Standing };

/** New ones come after all that are stored. */
const AFTER_STORED = Number.MAX_SAFE_INTEGER / 2;

/** What becomes of each of some additions, in their order: stored, dropped, or merged into one before it. */
export class MergePlan {
  /** One for each addition. */
  readonly ends: End[] = [];
  readonly added: Standing[] = [];
  private readonly ports: MergePlanPorts;
  /** The newest of each lane; null for one that nothing may be merged into. */
  private readonly newest = new Map<string, Standing | null>();
  private readonly near = new NearIndex<Standing>();
  /** The new ones. */
  private readonly calledHere = new CalledBefore();
  private readonly own = new Map<string, { readonly ownMark: string; readonly standing: Standing }>();
  private readonly used = new Set<Standing>();
  /** Whether any of the additions may be merged: then it matters which is the newest of each lane. */
  private mayMerge = false;
  /** Room that was claimed for them. */
  private readonly claimed = { count: 0, bytes: 0 };

  constructor(ports: MergePlanPorts) {
    this.ports = ports;
  }

  /** Stored before, and rewritten. */
  get amended(): readonly Standing[] {
    return [...this.used].filter(({ body }) => body !== null);
  }

  /** Looks at the newest of the lanes before it first awaits anything. */
  async make(additions: readonly Addition[]): Promise<void> {
    const { mutations, standing, definitions } = this.ports;
    for (const { header, mayMerge } of additions) {
      if (!mayMerge || !isMergeable(header, definitions.get(header.type))) continue;
      this.mayMerge = true;
      const tail = mutations.schedule.newestOf(header.lane);
      if (tail !== undefined) this.newest.set(header.lane, standing.get(tail.header.id) ?? null);
    }
    for (const each of standing.values()) this.listNear(each, each.stored?.header.seq ?? 0);
    for (const addition of additions) {
      try {
        const end = this.decide(addition);
        this.ends.push(end instanceof Promise ? await end : end);
      } catch (error) {
        if (!(error instanceof Error)) throw error;
        this.ends.push(error);
      }
    }
  }

  /** `epoch`: under which something is kept back. `seenSeq`: the last number that this plan knows of; null where that does not matter. */
  placement(epoch: string | null, seenSeq: number | null): Placement {
    const unchanged = [...this.used].flatMap(({ body, stored }) => (body === null && stored !== null ? [stored] : []));
    const amendments = this.amended.flatMap(({ header, body, stored }) =>
      stored === null ? [] : [{ stored, header: { ...header, seq: stored.header.seq }, body }],
    );
    return {
      additions: this.added.map(({ header, body }) => ({ header, body: body ?? '' })),
      ownIds: [...this.own].map(([id, { ownMark }]) => ({ id, contentMark: ownMark })),
      seenSeq,
      merges: epoch === null || this.used.size === 0 ? null : { epoch, amendments, unchanged },
    };
  }

  /** To be called once. */
  giveRoomBack(): void {
    this.ports.capacity.giveBack(this.claimed);
  }

  private decide(addition: Addition): MaybeLater<End> {
    const { header, ownMark } = addition;
    if (ownMark !== null) {
      const known = this.ports.known.get(header.id);
      if (known !== undefined) return known instanceof Error ? known : { kind: 'deduplicated', standing: known };
      const own = this.own.get(header.id);
      if (own !== undefined)
        return own.ownMark === ownMark ? { kind: 'deduplicated', standing: own.standing } : idReused(header.id);
    }
    const behind = this.behindOwn(addition);
    if (!addition.mayMerge) return this.add(behind);
    return whenKnown(this.merge(behind), (end) => end ?? this.add(behind));
  }

  private add(addition: Addition): MaybeLater<End> {
    if (addition.input?.[MADE_AT_MS] !== undefined) return this.addNew(addition);
    const room = { count: 1, bytes: addition.header.payloadBytes };
    return whenKnown(this.ports.capacity.claimOrEvict(room), () => {
      this.claimed.count += room.count;
      this.claimed.bytes += room.bytes;
      return this.addNew(addition);
    });
  }

  private addNew(addition: Addition): End {
    const { header, ownMark } = addition;
    const standing = standingOf(addition);
    this.added.push(standing);
    this.calledHere.note({ before: standing, seq: 0 });
    if (this.mayMerge) for (const lane of lanesOf(header)) this.newest.set(lane, standing);
    this.listNear(standing, AFTER_STORED + this.ends.length);
    if (ownMark !== null) this.own.set(header.id, { ownMark, standing });
    return { kind: 'added', standing };
  }

  /** Its app knew what it had called before, though it was not stored yet when this one was checked. */
  private behindOwn(addition: Addition): Addition {
    const { header, input } = addition;
    const definition = this.ports.definitions.get(header.type);
    if (header.entity === null || definition === undefined || !isEdit(definition, input)) return addition;
    const own = this.calledHere.find(header) ?? this.ports.calledBefore.find(header);
    if (own === undefined) return addition;
    const isKnown = own.seq > 0 && own.seq <= (header.edit?.afterSeq ?? 0);
    return isKnown ? addition : this.ports.madeBehind(definition, addition, own);
  }

  private merge(addition: Addition): MaybeLater<End | null> {
    const { header } = addition;
    const definition = this.ports.definitions.get(header.type);
    const isAlike = (standing: Standing): boolean => this.isAlike(standing, header);
    const newest = this.newest.get(header.lane) ?? null;
    const duplicate =
      header.dedupeNear !== null
        ? this.near.find(nearKey(header), header.dedupeNear, tolerancesOf(definition)).find(isAlike)
        : header.dedupeKey !== null && newest?.header.dedupeKey === header.dedupeKey && isAlike(newest)
          ? newest
          : undefined;
    if (duplicate !== undefined) {
      this.use(duplicate);
      return { kind: 'deduplicated', standing: duplicate };
    }
    if (newest === null || definition?.coalesce === undefined || !isAlike(newest)) return null;
    return this.coalesce(newest, addition, definition).then((isMerged) =>
      isMerged ? { kind: 'coalesced', standing: newest } : null,
    );
  }

  /** The type's own function decides; what it makes is checked like any payload. */
  private async coalesce(
    newest: Standing,
    { header: { type, slots }, payload, origin }: Addition,
    definition: AnyMutationDefinition,
  ): Promise<boolean> {
    const before = newest.header;
    try {
      const merged: unknown = definition.coalesce?.(newest.payload, payload);
      const given = await checkPayload(this.ports.definitions, type, merged, NOT_KNOWN);
      const { payload: whole, lane, entity } = given.described;
      const checked = { ...given, slots: slotsLeftIn(whole, [...before.slots, ...slots, ...given.slots]) };
      const isElsewhere = entity?.id !== before.entity?.id || entity?.table !== before.entity?.table;
      if (lane !== before.lane || isElsewhere) return false;
      const more = { count: 0, bytes: Math.max(0, checked.bytes - before.payloadBytes) };
      this.ports.capacity.claim(more);
      this.claimed.bytes += more.bytes;
      // An undo window begins anew.
      const createdAtMs = before.delayMs > 0 ? this.ports.clock.wallMs() : before.createdAtMs;
      // What it was made on is what the older was made on.
      const { edit } = newest.origin;
      newest.origin = { ...newest.origin, ...origin, ...(edit === undefined ? {} : { edit }) };
      const amended = withPayload({ ...before, createdAtMs, seq: 0 }, checked, newest.origin);
      newest.header = amended.header;
      newest.body = amended.body;
      newest.payload = checked.described.payload;
    } catch (error) {
      this.ports.report(error);
      return false;
    }
    this.use(newest);
    return true;
  }

  private use(standing: Standing): void {
    if (standing.stored !== null) this.used.add(standing);
  }

  private listNear(standing: Standing, order: number): void {
    const { dedupeNear } = standing.header;
    if (dedupeNear !== null) this.near.add(nearKey(standing.header), dedupeNear, order, standing);
  }

  /** Of one type and version, about the same row, and to be sent under the same conditions. */
  private isAlike({ header: left, stored }: Standing, right: NewMutation['header']): boolean {
    // An edit that its user has not seen, of another tab, is in conflict with theirs like anybody's.
    if (stored !== null && (right.edit?.afterSeq ?? stored.header.seq) < stored.header.seq) return false;
    const isOpen = (id: string): boolean => this.ports.mutations.get(id) !== undefined;
    const parents = left.dependsOn.filter(isOpen);
    return (
      ALIKE.every((field) => left[field] === right[field]) &&
      left.entity?.table === right.entity?.table &&
      left.entity?.id === right.entity?.id &&
      parents.length === right.dependsOn.filter(isOpen).length &&
      parents.every((id) => right.dependsOn.includes(id))
    );
  }
}

/** Whether its type says that it may be a duplicate of another, or be merged into one. */
export function isMergeable(
  { dedupeKey, dedupeNear }: Pick<NewMutation['header'], 'dedupeKey' | 'dedupeNear'>,
  definition: AnyMutationDefinition | undefined,
): boolean {
  return dedupeKey !== null || dedupeNear !== null || definition?.coalesce !== undefined;
}

/** Values of slots were filled in, as far as they are known, before anything is merged. */
const NOT_KNOWN = async (): Promise<undefined> => undefined;

const ALIKE = ['type', 'version', 'priority', 'maxRetries', 'retryDelayMs', 'delayMs', 'expiresAtMs'] as const;

export function standingOf({ header, payload, origin, body }: Addition): Standing {
  return { header, payload, origin, body, stored: null, placed: null };
}

export function tolerancesOf(definition: AnyMutationDefinition | undefined): readonly number[] {
  const dedupe = definition?.dedupe;
  return typeof dedupe === 'object'
    ? dedupe.near.map(({ tolerance }: { readonly tolerance: number }) => tolerance)
    : [];
}

export function idReused(id: string): HoldfastError {
  return new HoldfastError({
    code: 'ID_REUSED',
    message: `Not stored: the id ${id} stands for another mutation already.`,
    hint: 'Make a new id for a new change; the same id means the same change.',
  });
}
