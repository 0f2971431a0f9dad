import type { MutationQueue, MutationStatus } from 'holdfast';

/** What a row says about changes of its account that the server has not confirmed. */
export type AccountMark = 'stored' | 'sending' | 'failed';

type Source = Pick<MutationQueue, 'listUnconfirmed' | 'version'>;

const cached = new WeakMap<Source, { readonly version: number; readonly marks: ReadonlyMap<string, AccountMark> }>();
const WEIGHT: Readonly<Record<AccountMark, number>> = { stored: 0, sending: 1, failed: 2 };

/** The mark of each account that has one; the map stays the same until the queue changes. */
export function marksOf(queue: Source): ReadonlyMap<string, AccountMark> {
  const known = cached.get(queue);
  if (known?.version === queue.version) return known.marks;
  const marks = new Map<string, AccountMark>();
  for (const mutation of queue.listUnconfirmed(Number.POSITIVE_INFINITY)) {
    const id = mutation.entity?.id;
    if (id === undefined) continue;
    const mark = markOf(mutation);
    const other = marks.get(id);
    if (other === undefined || WEIGHT[mark] > WEIGHT[other]) marks.set(id, mark);
  }
  cached.set(queue, { version: queue.version, marks });
  return marks;
}

function markOf({ status }: MutationStatus): AccountMark {
  return status === 'failed' ? 'failed' : status === 'processing' ? 'sending' : 'stored';
}
