import type { Durability } from '../ports/storage.ts';
import type { Slot, SlotKind, SlotPath, ValueAt } from '../mutation/slots.ts';
import type { CancelAnswer } from './tabs/ask-leader.ts';
import type { Settled } from './queue-events.ts';

/** What `add` resolves to, once the mutation is durable. `Result` is what its handler returns, as its type declares it. */
export interface MutationHandle<Result = unknown> {
  /** Of the mutation that stands for this call: a new one, or the one that it was merged into. */
  readonly id: string;
  /** Nothing new was stored: one like it was there, and was surely never sent; or one under the same id of the app's own. */
  readonly deduplicated: boolean;
  /** Nothing new was stored: one that was there, and was surely never sent, has both changes now. */
  readonly coalesced: boolean;
  /** What it survives from now on, as the store gave it. */
  readonly durability: Durability;
  /** The server's verdict, however long it takes. Never rejects. */
  readonly settled: Promise<Settled>;
  /** Takes it back if it cannot have been sent; see `MutationQueue.cancel`. */
  readonly cancel: () => Promise<CancelAnswer>;
  /** Gives it another payload; see `MutationQueue.edit`. */
  readonly edit: (payload: object) => Promise<EditAnswer>;
  /**
   * Stands in the payload of a later mutation for a value that the server returns for this one: a key of its result, or keys
   * from the outside in. For a number say so: nobody can tell before it is there.
   *
   * The later one depends on this one, and is stored at once; it is sent when the value is known and stored in its place. It
   * takes its place in the lane that the value names then. Should the server return no such value, it is a dead letter,
   * `SLOT_UNFILLED`.
   */
  slot<const Name extends SlotName<Result>>(
    name: Name,
    ...kind: KindOf<ValueAt<Result, PathOfName<Name>>>
  ): Slot<ValueAt<Result, PathOfName<Name>>>;
}

/** A key of the result that holds a text or a number, or a path to one. */
export type SlotName<Result> =
  | SlotPath<Result>
  | (SlotPath<Result> extends infer Path ? (Path extends readonly [infer Key extends string] ? Key : never) : never);
type PathOfName<Name> = Name extends string ? readonly [Name] : Name extends readonly unknown[] ? Name : never;
type KindOf<Value> = [Value] extends [string]
  ? [kind?: 'string']
  : [Value] extends [number]
    ? [kind: 'number']
    : [kind: SlotKind];

export function slotOf(mutationId: string, name: string | readonly string[], kind: SlotKind): Slot<never> {
  return { holdfastSlot: { mutationId, path: typeof name === 'string' ? [name] : [...name], kind } };
}

/** What an edit came to: the same mutation with another payload, or a new one that replaces it. */
export type EditAnswer =
  | { readonly kind: 'edited'; readonly id: string }
  | { readonly kind: 'replaced'; readonly id: string; readonly handle: MutationHandle };
