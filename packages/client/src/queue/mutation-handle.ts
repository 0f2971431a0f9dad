import type { Durability } from '../ports/storage.ts';
import type { CancelAnswer } from './ask-leader.ts';
import type { Settled } from './queue-events.ts';

/** What `add` resolves to, once the mutation is durable. */
export interface MutationHandle {
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
}

/** What an edit came to: the same mutation with another payload, or a new one that replaces it. */
export type EditAnswer =
  | { readonly kind: 'edited'; readonly id: string }
  | { readonly kind: 'replaced'; readonly id: string; readonly handle: MutationHandle };
