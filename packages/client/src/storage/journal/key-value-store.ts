/**
 * A plain key-value store: text under text, one value at a time, and nothing that makes several changes one. A write that is cut
 * short may leave any beginning of the new value; of several, any may be there.
 */
export interface KeyValueStore {
  /** The values under the keys, in their order; null where there is none. */
  getMany(keys: readonly string[]): Promise<readonly (string | null)[]>;
  setMany(entries: readonly (readonly [key: string, value: string])[]): Promise<void>;
  removeMany(keys: readonly string[]): Promise<void>;
  /** Of the whole store, not of Holdfast alone. */
  keys(): Promise<readonly string[]>;
}

/** What a store can take, and how large it may get in between. */
export interface JournalLimits {
  /** Longest value in characters; longer ones are stored in pieces. */
  readonly valueUnits: number;
  /** So many commits, or characters of them, stand in the journal before they are carried to their places. */
  readonly journalCount: number;
  readonly journalUnits: number;
  /** Room that is kept, so that what frees room can be written when there is none; 0 for none. */
  readonly reserveUnits: number;
}

/** Android's AsyncStorage cannot read a row over 2 MB: a character takes 3 bytes at most. */
export const JOURNAL_LIMITS: JournalLimits = {
  valueUnits: 128 * 1024,
  journalCount: 64,
  journalUnits: 256 * 1024,
  reserveUnits: 32 * 1024,
};
