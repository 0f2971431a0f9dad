import type { Act, CompletedRecord, DeadLetter, MutationHeader } from '../mutation/record.ts';
import type { Random } from '../ports/clock.ts';
import type { Json, JsonObject, WireConflict, WireError } from '../protocol/wire.ts';
import type { Conditions } from './policy-gate.ts';
import type { ProbeResult } from './probe-result.ts';
import type { TransportAnswer } from './transport-answer.ts';

/** When an input happens, and where chance comes from: handed in with every input. */
export interface Moment {
  /** Monotonic. */
  readonly nowMs: number;
  readonly wallMs: number;
  readonly random: Random;
}

export type EngineInput = MutationInput | GateInput;

/** What became known of mutations. */
export type MutationInput =
  /** Made durable by this tab just now. */
  | { readonly kind: 'added'; readonly headers: readonly MutationHeader[] }
  /** Found in storage: at open, at taking over, or because another tab stored them. Never with a gap before them. */
  | {
      readonly kind: 'found';
      readonly headers: readonly MutationHeader[];
      readonly deadLetters: readonly DeadLetter[];
      /** Of what these depend on, that which was disposed of. */
      readonly lostParentIds?: readonly string[];
    }
  /**
   * How far a tab that is about to deliver, or does so already, has read the store: up to this number all that is pending is
   * known, and every dead letter. Null once all is read, as it is from the beginning for a tab that says nothing of it.
   */
  | { readonly kind: 'reading'; readonly upToSeq: number | null }
  /** The tab that delivers has settled them. */
  | { readonly kind: 'settledElsewhere'; readonly settlements: readonly Settlement[] }
  /** What the tab that delivers has on its way (all of it), and what it waits for. */
  | { readonly kind: 'sendingElsewhere'; readonly seqs: readonly number[]; readonly waitingFor: WaitingFor | null }
  /** Dead letters that someone disposed of, and whatever else is not in storage any more. */
  | { readonly kind: 'discarded'; readonly ids: readonly string[] }
  /**
   * Someone asks to take them back; only those that cannot have been sent are, and only by the tab that delivers.
   * `evenIfSent`: they are discarded at a sign-out, whatever may have become of them.
   */
  | { readonly kind: 'cancel'; readonly ids: readonly string[]; readonly act: Act; readonly evenIfSent?: true }
  /** Someone needs this much room: those of low priority that surely were never sent make it, if they can make all of it. */
  | { readonly kind: 'evict'; readonly count: number; readonly bytes: number }
  /** Someone asks to rewrite them: the tab that delivers keeps back those that surely were never sent. */
  | { readonly kind: 'keepBack'; readonly ids: readonly string[]; readonly amendId: string }
  /** Rewritten, and stored: these headers stand, wherever their revision is the higher one. */
  | { readonly kind: 'amended'; readonly headers: readonly MutationHeader[] }
  /** Whoever had them kept back under this id rewrites nothing. */
  | { readonly kind: 'letGo'; readonly amendId: string }
  /** What became of an edit in conflict: it goes again or waits for a person, as its header says. */
  | { readonly kind: 'resolved'; readonly header: MutationHeader; readonly body: string }
  /** An edit in conflict that gives way. */
  | { readonly kind: 'superseded'; readonly id: string; readonly payload: JsonObject }
  /** Someone wants these sent now, whatever their backoff. */
  | { readonly kind: 'hurry'; readonly ids: readonly string[] }
  /** Someone wants these, which are stuck, called off and sent again. */
  | { readonly kind: 'unstick'; readonly ids: readonly string[] }
  | { readonly kind: 'answer'; readonly batchId: number; readonly answer: TransportAnswer }
  /** They cannot be sent as they are stored: their bodies do not read, or a value is not to be had. */
  | { readonly kind: 'givenUp'; readonly seqs: readonly number[]; readonly error: WireError }
  /** An earlier version of the app has stored them, and they cannot be made what this one would have stored. */
  | {
      readonly kind: 'cannotMigrate';
      readonly failures: readonly { readonly seq: number; readonly error: WireError }[];
    }
  /** Headers that were settled as `rebased`. */
  | { readonly kind: 'headersStored'; readonly headers: readonly Pick<MutationHeader, 'seq' | 'revision'>[] }
  | { readonly kind: 'settlementsStored'; readonly seqs: readonly number[] }
  /** Refused by the store, since another tab delivers now: theirs to settle again. */
  | { readonly kind: 'settlementsLost'; readonly seqs: readonly number[] }
  | { readonly kind: 'tick' };

/** What opens or closes a gate. */
export type GateInput =
  /** Numbers up to `earlierSeq` stood in the store when the lead was taken: another tab, or another run, may have sent them. */
  | { readonly kind: 'leadership'; readonly isLeader: true; readonly earlierSeq: number }
  | { readonly kind: 'leadership'; readonly isLeader: false }
  | { readonly kind: 'paused' }
  | { readonly kind: 'resumed' }
  /** The login is over, here or in another tab; and there again. */
  | { readonly kind: 'signedOut' }
  | { readonly kind: 'signedIn' }
  /** The keys of the store are away: nothing can be read that could be sent. */
  | { readonly kind: 'locked'; readonly error: WireError }
  | { readonly kind: 'unlocked' }
  /** What has to be stored or read before this tab may deliver cannot be; and can again. */
  | { readonly kind: 'storageFailed'; readonly error: WireError }
  | { readonly kind: 'storageWorks' }
  | { readonly kind: 'hint'; readonly hint: 'online' | 'offline' | 'foreground' | 'nudge' }
  | { readonly kind: 'probed'; readonly result: ProbeResult }
  /** Whether the app had a fresh token to give. */
  | { readonly kind: 'tokenRefreshed'; readonly isThere: boolean }
  | { readonly kind: 'loginChanged' }
  /** What the server said to a question that carried no mutation: the wait that it asks for is everybody's. */
  | { readonly kind: 'rateLimited'; readonly error: WireError; readonly retryAfterMs: number | null }
  /** A newer version of the app has opened the store. */
  | { readonly kind: 'upgradeRequired'; readonly error: WireError }
  /** How the device is connected and the app used, for the policies. */
  | { readonly kind: 'conditions'; readonly conditions: Conditions };

/** How a mutation left the pending ones, or what its refusal changed. Written to storage in one commit an answer. */
export type Settlement =
  | {
      readonly kind: 'completed';
      readonly record: CompletedRecord;
      readonly result: Json;
      readonly wasRepeat: boolean;
    }
  /** `isOwn`: given up by this device, without a verdict that the server would repeat; so it holds only once it is stored. */
  | { readonly kind: 'failed'; readonly deadLetter: DeadLetter; readonly isOwn?: true }
  | { readonly kind: 'refused'; readonly header: MutationHeader }
  /**
   * Taken back before it can have been sent; or an edit in conflict that gave way, which has had no effect either; or
   * discarded at a sign-out although it may have been sent (`unconfirmed`), and then nobody knows.
   */
  | {
      readonly kind: 'cancelled';
      readonly header: MutationHeader;
      readonly cancelledAtMs: number;
      readonly reason: 'takenBack' | 'superseded' | 'unconfirmed';
      /** Who took it back; null for one that gave way. */
      readonly act: Act | null;
      /** What a superseded one would have set: kept with the note of it. */
      readonly payload?: JsonObject;
    }
  /**
   * An edit is held to another version from now on: to what the one before it left, or to the row that it was in conflict
   * with. `body` is null where its payload stays.
   */
  | { readonly kind: 'rebased'; readonly header: MutationHeader; readonly body: string | null };

export interface BatchItem {
  readonly header: MutationHeader;
  readonly after: number | null;
  /** A creation before it is not settled, and it may wait for the row that it refers to. */
  readonly awaitsCreation?: true;
  /** It may have been sent by an earlier version of the app, and this one cannot migrate it. */
  readonly isOutdated?: true;
}

export type EngineEffect =
  /** Read the bodies, check that nothing forbids it, send; answer with `answer`. */
  | {
      readonly kind: 'send';
      readonly batchId: number;
      readonly items: readonly BatchItem[];
      readonly acknowledgedFloor: number;
    }
  /** Fill in what their parents returned, in storage; answer with `amended`, `givenUp`, or later `letGo`. */
  | { readonly kind: 'fillSlots'; readonly amendId: string; readonly headers: readonly MutationHeader[] }
  /** Make them what this version of the app would have stored; answer with `amended`, `cannotMigrate` and `letGo`. */
  | { readonly kind: 'migrate'; readonly amendId: string; readonly headers: readonly MutationHeader[] }
  | { readonly kind: 'abort'; readonly batchId: number }
  | { readonly kind: 'settle'; readonly settlements: readonly Settlement[] }
  /** An edit is in conflict: decide by its type; answer with `resolved`, `superseded` or `letGo`. It is not sent meanwhile. */
  | { readonly kind: 'resolve'; readonly header: MutationHeader; readonly conflict: WireConflict }
  | { readonly kind: 'probe' }
  | { readonly kind: 'refreshToken' }
  /** Send a `tick` at this time (monotonic), or none before the next `wakeAt` when null. */
  | { readonly kind: 'wakeAt'; readonly atMs: number | null }
  /** These mutations, or the gates (no `ids`), look different now. */
  | { readonly kind: 'changed'; readonly ids: readonly string[] };

/** What a pending mutation waits for; `nothing` means that it is on its way or about to be. */
export type WaitingFor =
  | 'network'
  | 'rateLimit'
  | 'circuit'
  | 'backoff'
  | 'delay'
  | 'dependency'
  | 'lane'
  | 'paused'
  | 'auth'
  | 'policy'
  | 'upgrade'
  /** The keys of what is stored are away. */
  | 'locked'
  /** This device has something to store or to read first. */
  | 'storage'
  | 'conflict'
  | 'nothing';

export interface Waiting {
  readonly waitingFor: WaitingFor;
  /** What was said that makes it wait. */
  readonly error: WireError | null;
  /** When it is looked at again (monotonic), where that is known. */
  readonly untilMs: number | null;
}
