import type { ClientNotice, WireError, WireOutcome } from '../protocol/wire.ts';

/** How one call to the server ended, before it is known what that means for each mutation. */
export type TransportAnswer =
  | {
      readonly kind: 'answered';
      readonly outcomes: readonly WireOutcome[];
      /** What the server said of its limit, where it did. */
      readonly pace?: Pace;
      /** What was said of those that have no outcome here: a batch may go to several servers. Without it they just go again. */
      readonly rest?: RestAnswer;
      /** The server's clock (epoch milliseconds), where it told it. */
      readonly serverTimeMs?: number;
      /** The server's epoch, where it told it. */
      readonly epoch?: string;
      /** What the server said of this client, where it did. */
      readonly client?: ClientNotice;
    }
  /** Surely not sent. */
  | { readonly kind: 'unreachable'; readonly error: WireError }
  /** Perhaps sent, no usable answer: it may have been applied. */
  | {
      readonly kind: 'unknown';
      readonly error: WireError;
      /** The connection was there and was cut: worth one more try at once (`resetDelayMs`). */
      readonly wasReset?: true;
    }
  /** The server, or a gateway before it, answers for the whole call that it cannot serve now. */
  | { readonly kind: 'unavailable'; readonly error: WireError; readonly retryAfterMs: number | null }
  | { readonly kind: 'rateLimited'; readonly error: WireError; readonly retryAfterMs: number | null }
  /** Ended by ourselves: paused, or closed. Says nothing about the line; it may have been sent. */
  | { readonly kind: 'calledOff'; readonly error: WireError }
  /** The token is missing, wrong or expired. `isUnsent`: there was none to send with. */
  | { readonly kind: 'unauthorized'; readonly error: WireError; readonly isUnsent?: true }
  /** This login may not do this at all: nothing more is sent until the login changes. */
  | { readonly kind: 'forbidden'; readonly error: WireError }
  /** The server speaks a newer protocol: nothing more is sent until the app is updated. */
  | { readonly kind: 'upgradeRequired'; readonly error: WireError }
  /** Our server, typed, refuses the batch as it is: too large, or malformed. */
  | { readonly kind: 'batchRefused'; readonly error: WireError };

/** What may be said of a part of a batch, while the other part was answered. */
export type RestAnswer = Extract<
  TransportAnswer,
  { readonly kind: 'unauthorized' | 'forbidden' | 'upgradeRequired' | 'rateLimited' | 'batchRefused' | 'calledOff' }
>;

/** How many more calls a server takes before it refuses them, and when it takes more again. */
export interface Pace {
  readonly remaining: number;
  /** From the answer on, in milliseconds; as the server said, not clamped. */
  readonly resetMs: number;
}
