import type { Settlement, WaitingFor } from '../../engine/engine-io.ts';
import type { MutationHeader } from '../../mutation/record.ts';
import type { Json } from '../../protocol/wire.ts';
import type { Question } from './ask-leader.ts';

/** What tabs tell each other. Hints only: whoever missed one finds the truth in the store. */
export type TabMessage =
  /** New mutations stand in the store. */
  | { readonly kind: 'stored' }
  | { readonly kind: 'settled'; readonly settlements: readonly Settlement[] }
  /** Rewritten in the store; whoever kept them back for that may let them go. */
  | { readonly kind: 'amended'; readonly headers: readonly MutationHeader[]; readonly amendId: string | null }
  /** To the one who delivers: what was kept back under this id is not rewritten. */
  | { readonly kind: 'letGo'; readonly amendId: string }
  | { readonly kind: 'discarded'; readonly ids: readonly string[] }
  /** Something about dead letters that are still there: look. */
  | { readonly kind: 'deadLettersChanged' }
  /** From the one who delivers: all that is on its way, and what the rest waits for. Also says that it is there. */
  | {
      readonly kind: 'delivering';
      readonly epoch: number;
      readonly seqs: readonly number[];
      readonly waitingFor: WaitingFor | null;
    }
  /** The one who delivers ends. */
  | { readonly kind: 'gone' }
  | { readonly kind: 'paused' }
  | { readonly kind: 'resumed' }
  | { readonly kind: 'signedOut' }
  | { readonly kind: 'signedIn' }
  /** Someone asks to drain now. */
  | { readonly kind: 'nudge' }
  /** To the one who delivers. */
  | { readonly kind: 'ask'; readonly askId: string; readonly question: Question }
  /** From the one who delivers, to whoever has asked under this id. */
  | { readonly kind: 'answer'; readonly askId: string; readonly answer: unknown }
  /** The tab that has made this one tells its user that it was refused. */
  | { readonly kind: 'told'; readonly id: string }
  /** Who delivers? And what is on its way? From a tab that has just opened, or has work and hears of nobody. */
  | { readonly kind: 'hello' };

export function encodeTabMessage(message: TabMessage): Json {
  // Everything in a message is plain data, which the channel copies.
  return { holdfast: 1, ...message } as unknown as Json;
}

/** Null for what is not a message of this version. What a later one has added, `Runner` passes over. */
export function decodeTabMessage(message: Json): TabMessage | null {
  // The sender is this same code in another tab of this origin; the envelope tells versions apart.
  const { holdfast } = (message ?? {}) as Readonly<Record<string, unknown>>;
  return holdfast === 1 ? (message as unknown as TabMessage) : null;
}
