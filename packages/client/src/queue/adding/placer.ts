import type { Entry } from '../../engine/entry.ts';
import { nearKey } from '../../engine/unconfirmed.ts';
import type { AnyMutationDefinition } from '../../mutation/definition.ts';
import type { HoldfastError } from '../../mutation/holdfast-error.ts';
import type { MutationHeader } from '../../mutation/record.ts';
import type { Clock } from '../../ports/clock.ts';
import type { KeptBack } from '../tabs/ask-leader.ts';
import { CalledBefore } from './called-before.ts';
import type { Capacity } from './capacity.ts';
import type { EditBases } from './edit-base.ts';
import {
  type Addition,
  idReused,
  isMergeable,
  MergePlan,
  type Standing,
  standingOf,
  type Stored,
  tolerancesOf,
} from './merge-plan.ts';
import type { MutationHandle } from '../mutation-handle.ts';
import type { ContentMark, Placed, QueueStore } from '../store/queue-store.ts';
import type { Runner } from '../runner.ts';

export interface PlacerPorts {
  readonly definitions: ReadonlyMap<string, AnyMutationDefinition>;
  readonly capacity: Capacity;
  readonly opened: () => Promise<{ readonly runner: Runner; readonly store: QueueStore }>;
  /** Makes an edit on what the one that this tab has called before it leaves. */
  readonly madeBehind: EditBases['behind'];
  /** Something new stands in the store, and the engine knows of it. */
  readonly added: (stored: Stored, addition: Addition) => MutationHandle;
  /** It is there already, or stands in another now. */
  readonly merged: (stored: Stored, addition: Addition, kind: 'deduplicated' | 'coalesced') => MutationHandle;
  /** Stored with another payload. */
  readonly amended: (stored: Stored) => void;
  readonly clock: Clock;
  readonly report: (error: unknown) => void;
}

/** Longest wait for the tab that delivers, or for a look at what others have added, before a mutation is simply added, in milliseconds. */
const MERGE_TIMEOUT_MS = 250;
/** One that did not answer is not asked again before this, in milliseconds: nobody should wait at every call. */
const MUTE_MS = 10_000;
/** Other tabs may add at the same time; after this many tries they are let be. */
const MERGE_ATTEMPTS = 3;
/** Near matches that are looked at. */
const NEAR_COUNT_MAX = 10;

/**
 * Stores mutations in the order of their calls, in one commit: as new ones, or, where their type says so, merged into the
 * newest of their lane. That needs to be still the newest when the commit takes place, and never sent: the tab that
 * delivers keeps it back meanwhile. Whatever cannot be merged is added.
 */
export class Placer {
  private readonly ports: PlacerPorts;
  private muteUntilMs = 0;
  /** Stored by this tab, while others are under way that were called behind and may have been checked before. */
  private readonly calledBefore = new CalledBefore();

  constructor(ports: PlacerPorts) {
    this.ports = ports;
  }

  async place(additions: readonly Addition[]): Promise<readonly (MutationHandle | Error)[]> {
    const parts = await this.ports.opened();
    let mayMerge = true;
    for (let attempt = 1; ; attempt += 1) {
      // Whatever this tab hears of from here on was not asked for to be kept back: then it is looked at anew.
      const seenSeq = parts.runner.watch.seen;
      const kept = mayMerge ? await this.keepBack(additions, parts.runner) : null;
      const ends = await this.attempt(additions, parts, kept, mayMerge ? seenSeq : null);
      if (ends !== null) return ends;
      if (kept !== null) parts.runner.amender.letGo(kept);
      // Adding must not wait for a store that is slow to look at.
      const { alarms, watch } = parts.runner;
      mayMerge = attempt < MERGE_ATTEMPTS && (await alarms.within(MERGE_TIMEOUT_MS, watch.catchUp()));
    }
  }

  /** Null when something has changed since it was looked at. */
  private async attempt(
    additions: readonly Addition[],
    { runner, store }: { readonly runner: Runner; readonly store: QueueStore },
    kept: KeptBack | null,
    seenSeq: number | null,
  ): Promise<readonly (MutationHandle | Error)[] | null> {
    const known = await this.known(additions, runner, store);
    const standing = await keptStandings(kept, store);
    const plan = new MergePlan({
      ...this.ports,
      mutations: runner.engine.mutations,
      standing,
      known,
      calledBefore: this.calledBefore,
    });
    try {
      await plan.make(additions);
      // What another tab has just added may be what one of these is a duplicate of.
      const isLoose = additions.every(({ mayMerge }) => !mayMerge);
      const placement = plan.placement(kept?.epoch ?? null, isLoose ? null : seenSeq);
      const isNothing = placement.additions.length === 0 && placement.merges === null;
      const placed = isNothing ? NOTHING : await store.place(placement);
      if (placed === null) return null;
      if (placed.headers.length > 0) runner.added(placed.headers);
      if (placed.amended.length > 0) runner.amender.tell(placed.amended, kept?.amendId ?? null);
      else if (kept !== null) runner.amender.letGo(kept);
      return this.tell(additions, plan, placed, store);
    } finally {
      plan.giveRoomBack();
    }
  }

  private tell(
    additions: readonly Addition[],
    plan: MergePlan,
    { headers, amended }: Placed,
    { durability }: QueueStore,
  ): readonly (MutationHandle | Error)[] {
    plan.added.forEach((each, index) => {
      const header = headers[index] as MutationHeader;
      each.placed = { header, payload: each.payload, durability };
      this.calledBefore.note({ before: each, seq: header.seq });
    });
    plan.amended.forEach((each, index) => {
      each.placed = { header: amended[index] as MutationHeader, payload: each.payload, durability };
      this.ports.amended(each.placed);
    });
    return plan.ends.map((end, index) => {
      if (end instanceof Error) return end;
      const addition = additions[index] as Addition;
      const { standing, kind } = end;
      const stored = standing.placed ?? placedBefore(standing, durability);
      return kind === 'added' ? this.ports.added(stored, addition) : this.ports.merged(stored, addition, kind);
    });
  }

  /** Whether it may turn out to be one that is there already, as far as this tab knows. */
  mayBeDuplicate({ type, lane, dedupeKey, dedupeNear }: Addition['header'], { engine }: Runner): boolean {
    if (dedupeNear !== null) return true;
    const newest = dedupeKey === null ? undefined : engine.mutations.schedule.newestOf(lane);
    return newest?.type === type && newest.dedupeKey === dedupeKey;
  }

  /** No call is under way that may not know of them. */
  forgetRows(): void {
    this.calledBefore.clear();
  }

  /** Asks for what these might be merged into not to be sent for the moment; null when there is nothing, or nobody answers. */
  private async keepBack(additions: readonly Addition[], runner: Runner): Promise<KeptBack | null> {
    const { engine } = runner;
    const ids = new Set<string>();
    for (const addition of additions) {
      for (const entry of this.candidates(addition, runner)) {
        // One that someone else is rewriting is waited for.
        const isOpen = engine.isLeader ? engine.canCancel(entry.id) : entry.phase.kind === 'waiting';
        if (isOpen) ids.add(entry.id);
      }
    }
    const nowMs = this.ports.clock.nowMs();
    if (ids.size === 0 || (!engine.isLeader && nowMs < this.muteUntilMs)) return null;
    const kept = await runner.amender.keepBack([...ids], MERGE_TIMEOUT_MS);
    this.muteUntilMs = kept === null ? nowMs + MUTE_MS : 0;
    return kept?.headers.length === 0 ? null : kept;
  }

  private candidates({ header, mayMerge }: Addition, { engine }: Runner): readonly Entry[] {
    const definition = this.ports.definitions.get(header.type);
    if (!mayMerge || !isMergeable(header, definition)) return [];
    const { near, schedule } = engine.mutations;
    if (header.dedupeNear !== null)
      return near.find(nearKey(header), header.dedupeNear, tolerancesOf(definition)).slice(0, NEAR_COUNT_MAX);
    const tail = schedule.newestOf(header.lane);
    if (tail?.type !== header.type) return [];
    const isDuplicate = header.dedupeKey !== null && tail.dedupeKey === header.dedupeKey;
    return isDuplicate || definition?.coalesce !== undefined ? [tail] : [];
  }

  /** What ids of the app's own stand for already: the one that is there, or an error when that is another. */
  private async known(
    additions: readonly Addition[],
    runner: Runner,
    store: QueueStore,
  ): Promise<ReadonlyMap<string, Standing | HoldfastError>> {
    const own = additions.filter(({ ownMark }) => ownMark !== null);
    const known = new Map<string, Standing | HoldfastError>();
    if (own.length === 0) return known;
    const marks = await store.contentMarks(own.map(({ header }) => header.id));
    for (const [index, addition] of own.entries()) {
      const { id } = addition.header;
      const stored = marks[index] ?? null;
      if (stored !== null)
        known.set(id, (await this.isSame(addition, stored, runner, store)) ? standingOf(addition) : idReused(id));
      // Made by the queue for another one, and no content is kept of that.
      else if (
        runner.engine.mutations.has(id) ||
        (await store.history.completed(id)) !== null ||
        (await store.history.disposedAmong([id])).length > 0
      )
        known.set(id, idReused(id));
    }
    return known;
  }

  /** Where its mark is damaged, the same type and row under the same id are taken for the same. */
  private async isSame(
    { header, ownMark }: Addition,
    { mark }: ContentMark,
    runner: Runner,
    store: QueueStore,
  ): Promise<boolean> {
    if (mark !== null) return mark === ownMark;
    const known = runner.engine.mutations.get(header.id)?.header ?? (await store.history.completed(header.id));
    const isSameRow = known?.entity?.table === header.entity?.table && known?.entity?.id === header.entity?.id;
    return known === null || (known.type === header.type && isSameRow);
  }
}

const NOTHING: Placed = { headers: [], amended: [] };

/** It stood there before, and stays as it is. */
function placedBefore({ header, payload, stored }: Standing, durability: Stored['durability']): Stored {
  return { header: { ...header, seq: stored?.header.seq ?? 0 }, payload, durability };
}

async function keptStandings(kept: KeptBack | null, store: QueueStore): Promise<ReadonlyMap<string, Standing>> {
  const stored = kept === null ? [] : await store.unchanged(kept.headers);
  const present = stored.filter((each) => each !== null);
  const bodies = await store.bodies.of(present.map(({ header }) => header));
  return new Map(
    present.flatMap((each) => {
      const { payload, ...origin } = bodies.get(each.header.seq) ?? { payload: null };
      // A body that does not read is left alone.
      if (payload === null) return [];
      const standing = { header: each.header, payload, origin, body: null, stored: each, placed: null };
      return [[each.header.id, standing] as const];
    }),
  );
}
