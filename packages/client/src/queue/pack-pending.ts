import { PackedEntries } from '../engine/packed-entries.ts';
import { invalidOption } from '../mutation/holdfast-error.ts';

/** How a queue keeps what waits far from its front; made by `packPending`. */
export interface Packing {
  /** What is packed, of one queue. */
  readonly open: () => PackedEntries;
}

/** Fewer take little memory as they are. */
const OVER_COUNT = 5_000;

/**
 * For queues of very many mutations: when more than `overCount` (@default 5_000) are pending, those that come after them are kept in a
 * sixth of the memory until they are asked for or their turn comes, where nothing but their turn decides when that is. Nothing else
 * changes. Packed is what is alone in its lane, has an id and a lane that ends in a UUID or names no row, and no undo window, time to
 * expire, parents, slots, delivery policy, version of its row or low priority.
 */
export function packPending({ overCount = OVER_COUNT }: { readonly overCount?: number } = {}): Packing {
  if (!(overCount >= 0)) {
    const message = `packPending: \`overCount\` must be a number, 0 or above; it is ${JSON.stringify(overCount)}.`;
    throw invalidOption('overCount', message);
  }
  return { open: () => new PackedEntries(overCount) };
}
