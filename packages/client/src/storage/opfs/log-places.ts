import { SortedKeys } from '../sorted-keys.ts';
import type { Checkpoint } from './log-checkpoint.ts';
import { entryBytes } from './log-frame.ts';

/** Where the last entry of a key stands. */
export interface Place {
  readonly at: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  /** The value itself where it is short: counters and marks are compared with each commit. */
  readonly text: string | null;
}

/**
 * Where each record of a log stands: what a checkpoint says, and what has changed since. Whatever looks a key up throws
 * `CheckpointDoubted` where the checkpoint does not read; a key that was looked up can be set and deleted.
 */
export class LogPlaces {
  liveBytes: number;
  count: number;
  private checkpoint: Checkpoint | null;
  /** Null for what is gone since the checkpoint. */
  private changed = new Map<string, Place | null>();
  /** Of these, what the checkpoint does not know. */
  private keys = new SortedKeys();
  private goneCount = 0;

  constructor(checkpoint: Checkpoint | null) {
    this.checkpoint = checkpoint;
    this.liveBytes = checkpoint?.liveBytes ?? 0;
    this.count = checkpoint?.count ?? 0;
  }

  get(key: string): Place | undefined {
    const changed = this.changed.get(key);
    return changed === undefined ? this.checkpoint?.get(key) : (changed ?? undefined);
  }

  set(key: string, place: Place): void {
    const known = this.checkpoint?.get(key);
    const before = this.get(key);
    if (before === undefined) {
      this.count += 1;
      if (known === undefined) this.keys.add(key);
      else this.goneCount -= 1;
    } else this.liveBytes -= entryBytes(before);
    this.changed.set(key, place);
    this.liveBytes += entryBytes(place);
  }

  delete(key: string): void {
    const before = this.get(key);
    if (before === undefined) return;
    this.count -= 1;
    this.liveBytes -= entryBytes(before);
    if (this.checkpoint?.get(key) === undefined) {
      this.changed.delete(key);
      this.keys.remove(key);
      return;
    }
    this.changed.set(key, null);
    this.goneCount += 1;
  }

  /** Keys with the prefix, behind `after`, at most `limit` of them, in order. */
  find(prefix: string, after: string | undefined, limit: number): readonly string[] {
    if (this.checkpoint !== null && 2 * this.goneCount > this.checkpoint.count) this.leaveCheckpoint();
    const added = this.keys.find(prefix, after, limit);
    if (this.checkpoint === null) return added;
    const known = this.checkpoint.keysFrom(prefix, after);
    const found: string[] = [];
    let index = 0;
    for (let key = known.next().value; found.length < limit; ) {
      const isKnown = key?.startsWith(prefix) === true;
      const other = added[index];
      if (isKnown && (other === undefined || (key as string) < other)) {
        if (this.changed.get(key as string) !== null) found.push(key as string);
        key = known.next().value;
      } else if (other === undefined) break;
      else {
        found.push(other);
        index += 1;
      }
    }
    return found;
  }

  /** In the order of the keys. */
  *all(): Generator<readonly [string, Place]> {
    for (const key of this.find('', undefined, Number.POSITIVE_INFINITY)) yield [key, this.get(key) as Place];
  }

  /** Half of it is gone: looking would become a walk over graves. */
  private leaveCheckpoint(): void {
    this.goneCount = 0;
    const all = [...this.all()];
    this.checkpoint = null;
    this.changed = new Map(all);
    this.keys = new SortedKeys();
    for (const [key] of all) this.keys.add(key);
  }
}
