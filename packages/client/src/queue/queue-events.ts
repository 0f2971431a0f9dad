import type { OwnEffect } from '../mutation/definition.ts';
import type { HoldfastError } from '../mutation/holdfast-error.ts';
import type { BlockedLane } from './queue-reader.ts';
import type { EntityRef, LostChanges, Json, JsonObject, WireError } from '../protocol/wire.ts';
import type { CapacityEvent } from './adding/capacity.ts';
import type { StorageCapacityEvent } from './store/storage-watch.ts';

/** The server's verdict on a mutation, or that someone disposed of it. */
export type Settled =
  /**
   * `result` is what the handler returned (the row, for table handlers); null when it is not at hand any more. `rowVersion`: which
   * version it left its row in, where the row counts its changes; with it as `base` another mutation is made on just that.
   */
  | {
      readonly status: 'completed';
      readonly id: string;
      readonly result: Json;
      readonly wasRepeat: boolean;
      readonly rowVersion?: number;
    }
  | { readonly status: 'failed'; readonly id: string; readonly error: WireError }
  /**
   * `superseded`: an edit that gave way to what someone else had changed, as its type declares. It took no effect either.
   * `unconfirmed`: discarded at a sign-out although it may have been sent, so it may have taken effect.
   */
  | { readonly status: 'cancelled'; readonly id: string; readonly reason?: 'superseded' | 'unconfirmed' };

/** A mutation as it stands on this device. `revision` counts how often it was rewritten before it was ever sent. */
export interface StoredEvent {
  readonly id: string;
  readonly seq: number;
  readonly type: string;
  readonly payload: JsonObject;
  readonly revision: number;
  /** What is to be shown for it in this run, where the one who added it said so. */
  readonly own?: OwnEffect;
}

/** What happens to mutations, whichever tab it happens in. */
export interface QueueEvents {
  /** Durable on this device, added in this tab. `seq` tells the order among all tabs. */
  readonly stored: StoredEvent;
  /** Stored with another payload than before, in this tab, and never sent with the earlier one. */
  readonly amended: StoredEvent;
  /** The verdict, whichever tab it came to. */
  readonly settled: Settled;
  /**
   * A dead letter of a type with `onDeadLetter: 'ask'` holds its lane, and someone must say what to do: `retry` or `discard`
   * it, or `releaseLane`. Told in every tab, and again after a restart.
   */
  readonly laneBlocked: BlockedLane;
  /** A retry has come to a verdict; not called for those that settle at the first attempt. */
  readonly retryComplete: { readonly id: string; readonly isSuccess: boolean; readonly attemptCount: number };
  /** Something went wrong that the app may want to show or report; nothing is lost by it. */
  readonly error: HoldfastError;
  /** An edit is in conflict and waits for a person: `getConflict(id)`, `resolveConflict(id, choice)`. Told in every tab, and again after a restart. */
  readonly conflict: {
    readonly id: string;
    readonly type: string;
    readonly entity: EntityRef | null;
    /** What both sides have changed, by paths. */
    readonly fields: readonly (readonly string[])[];
  };
  /** Another tab has told its user of the verdict on this one, since it was made there: `tellOf`. */
  readonly toldElsewhere: { readonly id: string };
  /** Anything that `getSnapshot` shows, or the status of these mutations, whichever tab they were added in. */
  readonly change: { readonly ids: readonly string[] };
  /** The device's storage has come to 80 or 100 % of what the platform allows, or has refused for want of room; told again only after it has been below. */
  readonly storageCapacity: StorageCapacityEvent;
  /** What is pending has come to 80 or 100 % of a cap; told again only after it has been below. */
  readonly capacity: CapacityEvent;
  /**
   * The store of this device cannot be used, and what is added is kept in memory only: a reload, a crash or a closed tab loses it.
   * Say so. `storageRestored` tells when all is on the device again.
   */
  readonly storageDegraded: { readonly error: HoldfastError; readonly durability: 'volatile' };
  /**
   * This device has lost changes that the server never got: its store was cleared (`wiped`), or put back to an earlier state
   * (`behind`). `unsentCount` is how many, as far as can be known. Tell the user; `getStorageHealth().lost` keeps it until
   * `dismissLost()`.
   */
  readonly changesLost: LostChanges;
  /** The store can be used again; so many mutations were brought along, from memory or from a database left behind. */
  readonly storageRestored: { readonly movedCount: number };
  /** While a drain is under way: how many of those that were pending when it began are settled. */
  readonly progress: { readonly doneCount: number; readonly totalCount: number };
}
