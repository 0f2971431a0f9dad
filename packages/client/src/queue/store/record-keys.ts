/**
 * Where things stand in a store. Numbers are written so that their order is the order of their keys: 11 digits of base
 * 36 hold every safe integer.
 */
export const META = {
  format: 'meta/format',
  client: 'meta/client',
  /** The client that this one has taken the place of, until the server has answered. */
  forked: 'meta/forked',
  /** Written by whoever has put the store back from a copy, which may be a little older. */
  rewound: 'meta/rewound',
  /** Written by a store with a mirror, while it has only one of the two. */
  alone: 'meta/alone',
  /** The last number given out. */
  seq: 'meta/seq',
  /** The last number given to one that was retried, or stands in another's stead: it may go before some with lower numbers. */
  retried: 'meta/retried',
  /** Counts leaders: every claim and settlement names the one it was made under. */
  epoch: 'meta/epoch',
  /** The latest hybrid time given out. */
  time: 'meta/time',
  /** The epoch of the server under which the tail of what is confirmed was confirmed. */
  serverEpoch: 'meta/server-epoch',
  /** The last act that the server is to be told of, until it was told of all. */
  untoldAct: 'meta/untold-act',
  paused: 'meta/paused',
  signedOut: 'meta/signed-out',
  completedCount: 'meta/completed',
} as const;

/** What may stand in the clear in a store that is sealed: numbers, and the client's id. Who paused, and why, may not. */
export function isClearKey(key: string): boolean {
  return CLEAR_KEYS.has(key);
}

const CLEAR_KEYS: ReadonlySet<string> = new Set([
  META.format,
  META.client,
  META.forked,
  META.rewound,
  META.alone,
  META.seq,
  META.retried,
  META.epoch,
  META.time,
  META.serverEpoch,
  META.completedCount,
]);

/** Headers of pending mutations, by `seq`. */
export const PENDING = 'p/';
/** Dead letters, by `seq`. */
export const FAILED = 'f/';
/** Payloads, by `seq`. */
export const BODY = 'b/';
/** History of confirmed mutations, by id; an id is a UUIDv7, so the oldest come first. */
export const COMPLETED = 'd/';
/** What was confirmed last, as it was sent, for a server that has forgotten it: the headers of one answer each. */
export const TAIL = 't/';
/** What ids of the app's own were added with, by id: a mark of the content, and not the content. */
export const OWN_ID = 'i/';
/** What someone disposed of: who, when and why; by id. */
export const DISCARDED = 'x/';
/** What people and the app did, by the id of the act, which is a UUIDv7. */
export const ACTS = 'a/';

/** What no longer reads, by the key that it stood under. */
export const QUARANTINE = 'q/';

export function seqKey(prefix: string, seq: number): string {
  return prefix + seq.toString(36).padStart(11, '0');
}

/** The number in such a key. */
export function seqOfKey(key: string): number {
  return Number.parseInt(key.slice(key.lastIndexOf('/') + 1), 36);
}
