import type { StandardSchemaV1 } from '@standard-schema/spec';
import { checkDefinition } from './check-definition.ts';
import type { DeliveryPolicy, DeliveryPolicyName } from './delivery-policy.ts';
import type {
  EntityRef,
  JsonObject,
  MutationMetadata,
  MutationSource,
  Operation,
  WireError,
} from '../protocol/wire.ts';
import type { WithSlots } from './slots.ts';

/** Any schema that speaks Standard Schema: zod, valibot, arktype and others. */
export type PayloadSchema = StandardSchemaV1<unknown, object>;

type Payload<Schema extends PayloadSchema> = StandardSchemaV1.InferOutput<Schema>;

export interface MutationDefinition<
  Type extends string = string,
  Schema extends PayloadSchema = PayloadSchema,
  State = unknown,
  Result = never,
> {
  /** Names the kind of change, such as `account.update`. Unique in a queue. */
  readonly type: Type;
  /**
   * Version of the payload's shape: one higher whenever what an earlier version of the app has stored no longer fits.
   * @default 1
   */
  readonly version?: number;
  /**
   * Takes stored payloads to the next version, step by step: `migrate[1]` makes one of version 2 of one of version 1. What
   * waits when a newer app opens is migrated before it is sent; its first form is kept. It must depend on nothing but its
   * argument. Without a step, or where one throws or the schema refuses what comes out, it is a dead letter (`OUTDATED`).
   */
  // oxlint-disable-next-line typescript/no-explicit-any -- the shapes of earlier versions are known to the app alone
  readonly migrate?: Readonly<Record<number, (payload: any) => object>>;
  /** Checked when a mutation is added; what it returns is what is stored and sent. */
  readonly payload: Schema;
  /**
   * Fields of the payload that never stand on the device in the clear, nor in logs, events, exports, or the words of an error
   * that the server repeats: they are sealed (`encryption`, for all of the queue or for these alone) or kept in a secure store
   * (`secrets`), sent, and shown to nobody but the view of the app (`optimistic`, `readPending`). Name them for each type that carries them. Two alike
   * are no duplicates, unless `dedupe` gives a key without them.
   */
  readonly sensitive?: readonly (keyof Payload<Schema> & string)[];
  /**
   * What its handler returns (the row, for table handlers): with it, later mutations may use a value of that before it is
   * known, see `MutationHandle.slot`. Only its type counts, nothing is checked against it. What is returned is kept with the
   * confirmed mutation for 7 days: up to 4 KiB of JSON, of a larger one the texts and numbers at its top.
   */
  readonly result?: StandardSchemaV1<Result, unknown>;
  /** What it does to its entity; the server's table handlers know all but `custom`. */
  readonly operation: Operation;
  /** The row it is about. Its table and id are also the default lane. */
  readonly entity?: (payload: Payload<Schema>) => EntityRef;
  /**
   * Mutations of one lane reach the server strictly in the order they were added; lanes do not wait for each other.
   * @default the entity (`table:id`), or the type where there is none
   */
  readonly lane?: (payload: Payload<Schema>) => string;
  /**
   * Who goes first when many lanes wait. A lane competes with the highest priority waiting in it, and rises one level for
   * each minute that its first one has waited, so that none starves.
   * @default 'normal'
   */
  readonly priority?: Priority;
  /**
   * What makes a new mutation a duplicate of the newest one in its lane, about the same row, while that surely was never sent: it is not
   * stored, and `add` resolves to the handle of the one that is (`deduplicated`). A function gives a key of one's own;
   * `{ key, near }` compares numbers with tolerance, with the earliest match among all in the lane that were never sent.
   * `false` for a type of which two alike mean something else than one, such as "add one".
   * Mutations whose options differ (priority, delay, expiry, retries, dependencies) are no duplicates.
   * @default the whole payload
   */
  readonly dedupe?: false | ((payload: Payload<Schema>) => string) | NearDedupe<Payload<Schema>>;
  /**
   * Merges a new mutation into the newest one in its lane, if that is of this type, about the same row, and surely was never sent: what it
   * returns is the payload of the older one from now on, and `add` resolves to its handle (`coalesced`). It must not
   * change its arguments, and is called again if something comes in between. When it throws, or returns what the schema
   * or the limits refuse, or what belongs to another lane or row, the new mutation is stored by itself.
   */
  readonly coalesce?: (older: Payload<Schema>, newer: Payload<Schema>) => Payload<Schema>;
  /**
   * What becomes of its lane when one of this type is a dead letter. `continue`: the next one goes. `hold`: those behind it
   * wait, also those that depend on it, until it is retried (and then goes before them), discarded, or the lane is
   * released with `queue.releaseLane`. `ask`: the same, and `queue.on('laneBlocked')` asks what to do.
   * @default 'continue'
   */
  readonly onDeadLetter?: DeadLetterPolicy;
  /** When it may be sent; see `DeliveryPolicy`. @default the queue's */
  readonly deliveryPolicy?: DeliveryPolicy | DeliveryPolicyName;
  /** How refusals of this type are retried. @default 5 retries, 1 s doubling to 30 s, full jitter */
  readonly retry?: Partial<RetryRules>;
  /**
   * What becomes of an edit whose row was changed by someone else meanwhile. It is asked only where the edit says which
   * version it was made on (`base`), and all but `client-wins` need a table that counts its changes.
   * @default the edit waits for a person (`resolveConflict`)
   */
  readonly conflict?: ConflictStrategy<Payload<Schema>>;
  /**
   * How an update with a `base` travels: as its payload says, or as the smallest of that, a merge patch (RFC 7396) and a
   * JSON Patch (RFC 6902) of the row.
   * @default 'whole'
   */
  readonly encoding?: 'whole' | 'smallest';
  /**
   * Shows the effect before the server has it: changes the draft it is given. It runs again whenever the confirmed
   * state changes and after a restart, so it must depend on nothing but its arguments.
   */
  readonly optimistic?: (draft: State, payload: Payload<Schema>) => void;
  /**
   * Shows something in the place of the effect when the mutation has failed or was taken back, until fresh data has come. The
   * effect itself is taken away exactly, without any of this.
   */
  readonly rollback?: (draft: State, payload: Payload<Schema>) => void;
}

/** Duplicates that are alike rather than equal, such as a call that two sources report a second apart. */
export interface NearDedupe<in PayloadType> {
  /** Equal for duplicates. */
  readonly key: (payload: PayloadType) => string;
  /**
   * Numbers that may differ by their tolerance, each in a unit of its own. What is dropped is not compared with: of events
   * at 0 s, 0.9 s and 1.8 s with a tolerance of 1 s the second is a duplicate of the first, and the third is none.
   */
  readonly near: readonly { readonly value: (payload: PayloadType) => number; readonly tolerance: number }[];
}

/**
 * - `server-wins`: the edit gives way. It is disposed of without having taken effect, and the app is told so.
 * - `client-wins`: the edit is never in conflict; it overwrites the fields that it sets.
 * - `latest-wins`: of two edits made apart the one made later wins, by hybrid time; the other gives way.
 * - `merge`: fields that only one side has changed are kept as that side has them; with a field that both have changed, the
 *   edit waits for a person.
 * - a function: returns the payload to send on the row as it is now, or `unresolved` to wait for a person. It must depend
 *   on nothing but its arguments. One that throws leaves it unresolved.
 */
export type ConflictStrategy<P = JsonObject> =
  | 'server-wins'
  | 'client-wins'
  | 'latest-wins'
  | 'merge'
  | ((versions: ConflictVersions<P>) => P | 'unresolved');

/** An edit and the row it is in conflict with. */
export interface ConflictVersions<P = JsonObject> {
  /** The row that the edit was made on, with the edits of this device before it; null where `base` gave none. */
  readonly base: JsonObject | null;
  /** The edit. */
  readonly mine: P;
  /** The row as it is now, as far as the user may see it; null when it was deleted. */
  readonly theirs: JsonObject | null;
}

/** What an edit was made on. */
export interface EditBase {
  /** What the version column of the row said. */
  readonly rowVersion: number;
  /** The row as the server gave it. A merge and a patch need it. */
  readonly row?: object | undefined;
}

export type DeadLetterPolicy = 'continue' | 'hold' | 'ask';

/** `medium` is another word for `normal`. */
export type Priority = 'high' | 'normal' | 'medium' | 'low';

/** When and how often a refused mutation is tried again. Only answers about the mutation count, never a failure of the line. */
export interface RetryRules {
  /** Attempts after the first. @default 5 */
  readonly maxRetries: number;
  /** How the delay grows. @default 'exponential' */
  readonly strategy: 'exponential' | 'linear' | 'fixed';
  /** What each delay is to the one before it, for `exponential`. @default 2 */
  readonly backoffMultiplier: number;
  /** Delay before the first retry, before jitter, in milliseconds. @default 1_000 */
  readonly backoffMsBase: number;
  /** Longest delay, in milliseconds. @default 30_000 */
  readonly backoffMsMax: number;
  /** `full` draws from 0 to the delay, `decorrelated` from the base to three times the last delay. @default 'full' */
  readonly jitter: 'full' | 'decorrelated' | 'none';
}

export const RETRY_DEFAULTS: RetryRules = {
  maxRetries: 5,
  strategy: 'exponential',
  backoffMultiplier: 2,
  backoffMsBase: 1_000,
  backoffMsMax: 30_000,
  jitter: 'full',
};

/**
 * Declares a type of mutation. Types of `queue.add` follow from it. Throws `INVALID_OPTION`.
 *
 * ```ts
 * const renameAccount = defineMutation({
 *   type: 'account.rename',
 *   payload: v.object({ id: v.string(), name: v.string() }),
 *   operation: 'update',
 *   entity: ({ id }) => ({ table: 'accounts', id }),
 * });
 * ```
 */
export function defineMutation<
  const Type extends string,
  Schema extends PayloadSchema,
  State = unknown,
  Result = never,
>(definition: MutationDefinition<Type, Schema, State, Result>): MutationDefinition<Type, Schema, State, Result> {
  checkDefinition(definition as unknown as MutationDefinition);
  return definition;
}

/** A definition of whichever type, payload, state and result. */
// oxlint-disable-next-line typescript/no-explicit-any -- payload and state are contravariant here; only `any` accepts every definition
export type AnyMutationDefinition = MutationDefinition<string, any, any, any>;

/** What the handler of a definition's mutations returns; `never` where the definition does not say. */
export type ResultOfType<Definition extends AnyMutationDefinition> = Definition extends {
  readonly result?: StandardSchemaV1<infer Result, unknown> | undefined;
}
  ? Result
  : never;

/** What `queue.add` takes for one of the definitions. */
export type MutationInput<Definition extends AnyMutationDefinition> = Definition extends AnyMutationDefinition
  ? MutationOptions & {
      readonly type: Definition['type'];
      /** Texts and numbers in it may be slots: values that the server returns for an earlier mutation. */
      readonly payload: WithSlots<StandardSchemaV1.InferInput<Definition['payload']>>;
    }
  : never;

/** One of several mutations that take effect together. */
export type AtomicMember<Definition extends AnyMutationDefinition> = Definition extends AnyMutationDefinition
  ? {
      readonly type: Definition['type'];
      readonly payload: WithSlots<StandardSchemaV1.InferInput<Definition['payload']>>;
    }
  : never;

/** The definition of a type; any of them where the queue's types are not known. */
export type DefinitionOf<
  Definition extends AnyMutationDefinition,
  Type extends string,
> = Definition extends AnyMutationDefinition ? (Type extends Definition['type'] ? Definition : never) : never;

/** The same for one type of the definitions, so that the handle knows what its handler returns. */
export type InputOfType<Definition extends AnyMutationDefinition, Type extends string> = MutationOptions & {
  readonly type: Type;
  /** Texts and numbers in it may be slots: values that the server returns for an earlier mutation. */
  readonly payload: WithSlots<StandardSchemaV1.InferInput<DefinitionOf<Definition, Type>['payload']>>;
};

/** Payloads of one of the definitions, as `add` takes them. */
export type PayloadInput<Definition extends AnyMutationDefinition> = Definition extends AnyMutationDefinition
  ? StandardSchemaV1.InferInput<Definition['payload']>
  : never;

/** What is shown for one mutation, in this run of the app; after a restart, and in other tabs, what its type says. */
export interface OwnEffect {
  /** @default `optimistic` of its type */
  // oxlint-disable-next-line typescript/no-explicit-any -- the state is that of the app's store, which the queue does not know
  readonly optimisticUpdate?: (draft: any, payload: JsonObject) => void;
  /** @default `rollback` of its type */
  // oxlint-disable-next-line typescript/no-explicit-any -- as above
  readonly rollback?: (draft: any, payload: JsonObject) => void;
  /** No toast is shown for it until its verdict: whoever adds it tells how far it is. @default as its type's texts say */
  readonly toast?: false;
}

/** What may be said of one mutation beside its type and payload. */
export interface MutationOptions extends OwnEffect {
  /**
   * An id of the app's own, a UUID. Adding it again is harmless: with the same payload `add` resolves to the handle of the
   * one that is there (`deduplicated`), whatever its status; with another one it rejects with `ID_REUSED`. It is never
   * dropped as a duplicate of another, nor merged into one. Known until 7 days after it was confirmed.
   * @default a new UUID of version 7
   */
  readonly id?: string;
  /** @default what its type says */
  readonly priority?: Priority;
  /** Not sent before this much time has passed, in milliseconds: an undo window, in which `cancel` is sure to work. @default 0 */
  readonly delayMs?: number;
  /**
   * Not sent from this time on (a date, an ISO text with its time zone, or epoch milliseconds), by the device's clock: it
   * becomes a dead letter, `EXPIRED`, which can be retried without that limit. One that may have been sent by then is sent
   * again until its verdict is known; so is one that an earlier run of the app has left. @default never
   */
  readonly expiresAt?: Date | string | number;
  /** Attempts after the first. @default what its type says */
  readonly maxRetries?: number;
  /** Delay before the first retry, in milliseconds. @default what its type says */
  readonly retryDelayMs?: number;
  /** An answered failure is final; a lost answer is still sent again. @default false */
  readonly doNotRetry?: boolean;
  /** Mutations (handles, or their ids) that the server must have confirmed before this one is sent. If one fails, so does this: `PARENT_FAILED`. */
  readonly dependsOn?: readonly (string | { readonly id: string })[];
  /**
   * Who made it, and whatever else is to be found again beside it: kept with it, and sent along. At most 4 KiB as JSON. It
   * is no part of the mutation itself: no handler sees it.
   */
  readonly metadata?: MutationMetadata;
  /** Where in the app it was made: kept with it, and sent along. Texts of at most 200 characters. */
  readonly source?: MutationSource;
  /**
   * The version of the row that this edit is made on, and the row. An edit behind another one of the same row needs none:
   * it is made on what that one leaves.
   */
  readonly base?: EditBase;
  /** Called in this run of the app with each answer that uses up a retry. */
  readonly onRetry?: (event: { readonly id: string; readonly attemptCount: number; readonly error: WireError }) => void;
}

/** What stands in a record: all that a definition says about one payload. */
export interface DescribedMutation {
  readonly type: string;
  readonly version: number;
  readonly operation: Operation;
  readonly entity: EntityRef | null;
  readonly lane: string;
  /** More lanes that it stands in, for one with members of several; most often none. */
  readonly alsoLanes: readonly string[];
  readonly payload: JsonObject;
  /** Of an atomic one, the types and versions of its members, each once. */
  readonly members?: readonly { readonly type: string; readonly version: number }[];
}

/** Applies a definition's functions to a payload that its schema has accepted. */
const NO_LANES: readonly string[] = [];

export function describeMutation(definition: AnyMutationDefinition, payload: object): DescribedMutation {
  const entity: EntityRef | null = definition.entity?.(payload) ?? null;
  const lane = definition.lane?.(payload) ?? (entity === null ? definition.type : `${entity.table}:${entity.id}`);
  return {
    type: definition.type,
    version: definition.version ?? 1,
    operation: definition.operation,
    entity,
    lane,
    alsoLanes: NO_LANES,
    // The caller has shown it to be JSON (`canonicalJson`).
    payload: payload as JsonObject,
  };
}
