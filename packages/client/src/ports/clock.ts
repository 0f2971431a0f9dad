/** The only source of time. Wall time is for records that people read; monotonic time is for waits, because people change the date on their phones. */
export interface Clock {
  /** Milliseconds since 1970, as the device believes. May jump either way. */
  wallMs(): number;
  /** Milliseconds since some start. Never goes back. */
  nowMs(): number;
  /** Calls back once, not before `delayMs` has passed; returns a function that calls it off. Any delay is allowed. */
  schedule(delayMs: number, callback: () => void): () => void;
}

/** The only source of chance: a number from 0 (included) to 1 (excluded). */
export type Random = () => number;
