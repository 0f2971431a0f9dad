import type { EntryView } from '../engine/entry.ts';
import { type HoldfastError, invalidOption } from '../mutation/holdfast-error.ts';
import type { Priority } from '../mutation/definition.ts';
import type { CompletedRecord, MutationHeader } from '../mutation/record.ts';
import type { MutationStatus } from './mutation-status.ts';

/** Which mutations `listMutations` gives, and in which order; all that is given must hold. */
export interface ListQuery<Type extends string = string> {
  /** `completed` alone: those of the last 7 days, in the order they were added. @default every one that is not completed */
  readonly status?: ListedStatus | readonly ListedStatus[] | 'completed' | undefined;
  readonly type?: Type | readonly Type[] | undefined;
  readonly lane?: string | undefined;
  readonly priority?: Priority | undefined;
  /** Added at least this long ago by the device's clock, in milliseconds. */
  readonly olderThanMs?: number | undefined;
  /** Added at most this long ago by the device's clock, in milliseconds. */
  readonly newerThanMs?: number | undefined;
  /** What they are sorted by, and by the order they were added where that is the same. `priority`: the most urgent first. @default 'added' */
  readonly sort?: ListSort | undefined;
  /** @default 'ascending' */
  readonly order?: 'ascending' | 'descending' | undefined;
  /** `next` of the page before, for the same query. @default the beginning */
  readonly after?: string | undefined;
  /** 1 to 1,000. @default 100 */
  readonly limit?: number | undefined;
}

export type ListedStatus = 'pending' | 'processing' | 'failed';
export type ListSort = 'added' | 'age' | 'priority' | 'type' | 'lane';

/** A page of mutations. */
export interface MutationPage {
  readonly mutations: readonly MutationStatus[];
  /** For `after`; null when there are no more. */
  readonly next: string | null;
}

/** Summaries on one page. */
export const PAGE_COUNT = 100;
const LIMIT_MAX = 1_000;

const STATUSES: readonly ListedStatus[] = ['pending', 'processing', 'failed'];
const SORTS: readonly ListSort[] = ['added', 'age', 'priority', 'type', 'lane'];
const PHASES = { waiting: 'pending', sending: 'processing', failed: 'failed' } as const;
const RANKS = { high: 0, normal: 1, low: 2 } as const;

type SortValue = string | number;

/** A query with nothing left open. */
export interface ReadyQuery {
  readonly limit: number;
  readonly isOfCompleted: boolean;
  readonly after: string | null;
  readonly isWanted: (entry: EntryView) => boolean;
  readonly isWantedCompleted: (record: CompletedRecord) => boolean;
  /** Below 0 when the first comes first. */
  readonly compare: (left: EntryView, right: EntryView) => number;
  readonly cursorOf: (entry: EntryView) => string;
}

/** Throws `INVALID_OPTION` for what makes no sense. */
export function readyQuery(query: ListQuery, wallMs: number): ReadyQuery {
  const { sort = 'added', order = 'ascending', limit = PAGE_COUNT, lane, after = null } = query;
  const isOfCompleted = query.status === 'completed';
  const statuses = isOfCompleted || query.status === undefined ? STATUSES : listOf(query.status);
  const types = query.type === undefined ? null : listOf(query.type);
  const priority = query.priority === 'medium' ? 'normal' : query.priority;
  if (!statuses.every((status) => (STATUSES as readonly string[]).includes(status)))
    throw invalid('status', `${STATUSES.join(', ')}, some of them, or 'completed'`, query.status);
  if (!SORTS.includes(sort)) throw invalid('sort', SORTS.join(', '), sort);
  if (order !== 'ascending' && order !== 'descending') throw invalid('order', "'ascending' or 'descending'", order);
  if (!(Number.isSafeInteger(limit) && limit >= 1 && limit <= LIMIT_MAX))
    throw invalid('limit', `a whole number from 1 to ${LIMIT_MAX}`, limit);
  if (priority !== undefined && !Object.hasOwn(RANKS, priority))
    throw invalid('priority', "'high', 'normal' or 'low'", priority);
  const bornBeforeMs = wallMs - age('olderThanMs', query.olderThanMs, Number.NEGATIVE_INFINITY);
  const bornAfterMs = wallMs - age('newerThanMs', query.newerThanMs, Number.POSITIVE_INFINITY);
  if (isOfCompleted && (sort !== 'added' || order !== 'ascending' || lane !== undefined))
    throw invalid(
      'status',
      "'completed' without `sort`, `order` and `lane`: of those only the order is kept",
      'completed',
    );
  const direction = order === 'ascending' ? 1 : -1;
  const cursor = after === null || isOfCompleted ? null : readCursor(after, sort, order);
  const isOf = ({ type, createdAtMs }: Pick<MutationHeader, 'type' | 'createdAtMs'>): boolean =>
    (types === null || types.includes(type)) && createdAtMs <= bornBeforeMs && createdAtMs >= bornAfterMs;
  return {
    limit,
    isOfCompleted,
    after,
    isWanted: (entry) =>
      statuses.includes(PHASES[entry.phase.kind]) &&
      isOf(entry) &&
      (lane === undefined || entry.lane === lane || entry.alsoLanes.includes(lane)) &&
      (priority === undefined || entry.priority === priority) &&
      (cursor === null || direction * compareValues(valueOf(entry, sort), entry.seq, cursor.value, cursor.seq) > 0),
    isWantedCompleted: (record) =>
      isOf(record) && (priority === undefined || (record.priority ?? 'normal') === priority),
    compare: (left, right) => direction * compareValues(valueOf(left, sort), left.seq, valueOf(right, sort), right.seq),
    cursorOf: (entry) => JSON.stringify([sort, order, valueOf(entry, sort), entry.seq]),
  };
}

/** The first of those that are wanted, in order: looks at each once, and keeps no more than it gives. */
export function firstInOrder(
  entries: Iterable<EntryView>,
  count: number,
  { isWanted, compare }: Pick<ReadyQuery, 'isWanted' | 'compare'>,
): readonly EntryView[] {
  const first: EntryView[] = [];
  for (const entry of entries) {
    if (!isWanted(entry)) continue;
    const last = first.at(-1);
    if (first.length === count && last !== undefined && compare(last, entry) < 0) continue;
    let [low, high] = [0, first.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compare(first[middle] as EntryView, entry) < 0) low = middle + 1;
      else high = middle;
    }
    first.splice(low, 0, entry);
    if (first.length > count) first.pop();
  }
  return first;
}

function valueOf(entry: EntryView, sort: ListSort): SortValue {
  switch (sort) {
    case 'added':
      return entry.seq;
    case 'age':
      // The oldest is the one of the greatest age.
      return -entry.createdAtMs;
    case 'priority':
      return RANKS[entry.priority];
    case 'type':
      return entry.type;
    case 'lane':
      return entry.lane;
  }
}

/** By code units: the same on every device. */
function compareValues(left: SortValue, leftSeq: number, right: SortValue, rightSeq: number): number {
  if (left === right) return leftSeq - rightSeq;
  return left < right ? -1 : 1;
}

function readCursor(after: string, sort: ListSort, order: string): { readonly value: SortValue; readonly seq: number } {
  try {
    const [ofSort, ofOrder, value, seq] = JSON.parse(after) as readonly unknown[];
    const isValue = typeof value === (sort === 'type' || sort === 'lane' ? 'string' : 'number');
    if (ofSort === sort && ofOrder === order && isValue && typeof seq === 'number')
      return { value: value as SortValue, seq };
  } catch {
    // Told below.
  }
  throw invalid('after', '`next` of a page of the same `sort` and `order`', after);
}

function age(option: string, value: number | undefined, none: number): number {
  if (value === undefined) return none;
  if (Number.isFinite(value) && value >= 0) return value;
  throw invalid(option, 'a number of milliseconds, 0 or above', value);
}

function listOf<Item>(value: Item | readonly Item[]): readonly Item[] {
  return Array.isArray(value) ? (value as readonly Item[]) : [value as Item];
}

function invalid(option: string, expected: string, actual: unknown): HoldfastError {
  return invalidOption(option, `listMutations: \`${option}\` must be ${expected}; it is ${JSON.stringify(actual)}.`);
}
