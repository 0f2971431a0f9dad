import type { Contact } from '../storage/work.ts';

export interface Change {
  readonly id: string;
  readonly type: 'contact.save';
  readonly payload: Contact;
}

/** A queue of changes, kept by a library the way its documentation shows. */
export interface Peer {
  /** Resolves when it is stored, as far as the library tells, or lets anybody find out. */
  add(change: Change): Promise<void>;
  /** The library's own call for several; where it has none, as many calls at once. */
  addAll(changes: readonly Change[]): Promise<void>;
  /** Resolves when the first of what waits is in hand. */
  first(): Promise<void>;
  /** Sends what waits, one after the other, to a server that answers at once, and removes it; tells how many, up to `count`. */
  drain(count: number): Promise<number>;
  close(): Promise<void>;
}

export interface Library {
  readonly name: string;
  open(store: string): Promise<Peer>;
}

/** Where a library lacks a call for several. */
export async function allAtOnce(peer: Pick<Peer, 'add'>, changes: readonly Change[]): Promise<void> {
  await Promise.all(changes.map((change) => peer.add(change)));
}

/** A server next door. */
export async function send(_change: unknown): Promise<void> {}
