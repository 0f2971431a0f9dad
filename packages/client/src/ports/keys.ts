/** Seals and opens values with one key. What it needs to draw at random it draws anew for each value. */
export interface SealingKey {
  /** Stands beside each value that it sealed: 1 to 64 letters, digits, `-` or `_`; never another key's, also not later. */
  readonly id: string;
  /** The bytes sealed, so that nobody can read or change them unnoticed; `bound` must be the same at opening. */
  seal(bytes: Uint8Array, bound: Uint8Array): Promise<Uint8Array>;
  /** Null for what this key did not seal so, or what was changed since. */
  open(sealed: Uint8Array, bound: Uint8Array): Promise<Uint8Array | null>;
}

/**
 * The keys of one store. It keeps those that it has in memory for as long as they may be there: it is asked for each batch.
 * Rejecting, from any of these, means that the keys are away for now, as while a phone is locked. Nothing must make a new key
 * because an old one cannot be had.
 */
export interface KeyProvider {
  /** The key that new values are sealed with; made by the first call for a store that never had one. */
  current(): Promise<SealingKey>;
  /** The key of this id, or null when there is none. */
  find(id: string): Promise<SealingKey | null>;
  /**
   * Makes a new key the current one, unless another than this one is by now. Asked for when this one has sealed as much as one key
   * should; a provider without it is told by `STORAGE_LOCKED` when its key must not seal any more.
   */
  renew?(keyId: string): Promise<void>;
  /** Nothing in the store is sealed with these (any more), nor will be: they may be destroyed. May be told more than once. */
  release?(ids: readonly string[]): Promise<void>;
}

/** Opens the keys of the store of this name. Each (app, workspace, user) has a name, and so keys of its own. */
export type OpenKeys = (name: string) => Promise<KeyProvider>;
