import { ATOMIC_TYPE } from '../protocol/wire.ts';
import type { Entry } from './entry.ts';
import { Heap } from './heap.ts';

/**
 * Creations that are pending, and those that wait for one of them: the server has said that a row they refer to is not
 * there, and it may just not be there yet. Which creation that is nobody says, so they wait for all that were added before.
 */
export class ParentRows {
  private readonly isPending: (entry: Entry) => boolean;
  /** Whether one of those that nobody has told of here, with a number below this one, may create a row. */
  private readonly isOtherBefore: (seq: number) => boolean;
  /** By number; those that are not pending any more are dropped when they come up. */
  private readonly creations = new Heap<Entry>(bySeq);
  /** Those that were retried, and so have a higher number than what was added after them. */
  private readonly retried = new Set<Entry>();
  private readonly waiting = new Heap<Entry>(bySeq);

  constructor(isPending: (entry: Entry) => boolean, isOtherBefore: (seq: number) => boolean) {
    this.isPending = isPending;
    this.isOtherBefore = isOtherBefore;
  }

  added(entry: Entry): void {
    if (!mayCreate(entry)) return;
    this.creations.push(entry);
    if (entry.generation > 0) this.retried.add(entry);
  }

  left(entry: Entry): void {
    this.retried.delete(entry);
    entry.awaitsRow = false;
  }

  /** Whether a creation that was added before it is pending. */
  hasCreationBefore({ seq, generation }: Entry): boolean {
    if (this.retried.size > 0 && generation === 0) return true;
    let first = this.creations.peek();
    for (; first !== undefined && !this.isPending(first); first = this.creations.peek()) this.creations.pop();
    return (first !== undefined && first.seq < seq) || this.isOtherBefore(seq);
  }

  wait(entry: Entry): void {
    entry.awaitsRow = true;
    this.waiting.push(entry);
  }

  /** Those that no creation is left to wait for; they wait no longer. */
  takeFree(): readonly Entry[] {
    const free: Entry[] = [];
    for (let first = this.waiting.peek(); first !== undefined; first = this.waiting.peek()) {
      // Whoever stands behind it has at least as many creations before.
      if (first.awaitsRow && this.hasCreationBefore(first)) break;
      this.waiting.pop();
      if (first.awaitsRow) free.push(first);
      first.awaitsRow = false;
    }
    return free;
  }
}

/** Of an atomic one nobody looks at the members here. */
export function mayCreate({ operation, type }: Pick<Entry, 'operation' | 'type'>): boolean {
  return operation === 'create' || operation === 'restore' || type === ATOMIC_TYPE;
}

function bySeq(left: Entry, right: Entry): number {
  return left.seq - right.seq;
}
