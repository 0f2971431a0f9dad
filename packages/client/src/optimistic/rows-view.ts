import type { Json, JsonObject, Operation } from '../protocol/wire.ts';
import { ATOMIC_TYPE } from '../protocol/wire.ts';
import type { AtomicPayload } from '../mutation/atomic.ts';
import type { EffectThrew, ShownMutation } from './projection.ts';

/** What a mutation does to the row it is about. */
export interface RowChange {
  readonly type: string;
  readonly operation: Operation;
  /** Of the row. */
  readonly id: string;
  readonly payload: JsonObject;
}

/** Which rows a list is of, and in which order. */
export interface RowsView<Row> {
  /** The table that mutations name in `entity`. */
  readonly table: string;
  /** @default `row.id` */
  readonly id?: (row: Row) => string;
  /**
   * The filter that the server applies to this list. A row that a mutation makes pass it comes in, one that no longer does goes.
   * @default every row of the table
   */
  readonly where?: (row: Row) => boolean;
  /**
   * The order that the server gives the list in, as for `Array.sort`: decides where new rows stand, and those whose place has changed.
   * @default what is there keeps its place
   */
  readonly orderBy?: (a: Row, b: Row) => number;
  /** Where new rows stand in a list without `orderBy`. @default 'start', the newest first */
  readonly placeNew?: 'start' | 'end';
  /**
   * The row after a mutation; undefined for none. Changes nothing that it is given.
   * @default a creation is its payload, an update puts its payload over the row, a deletion takes it away, a restoration brings it back, a custom one leaves it
   */
  readonly change?: (row: Row | undefined, change: RowChange) => Row | undefined;
}

/** What mutations do to rows of a table, in order; a mutation of several members does several things. */
export function changesOf(mutation: ShownMutation, table: string): readonly RowChange[] {
  const { type, operation, entity, payload } = mutation;
  if (type === ATOMIC_TYPE) {
    // The queue itself has made this payload.
    return (payload as unknown as AtomicPayload).members.flatMap((member) =>
      member.entity?.table === table ? [{ ...member, id: member.entity.id }] : [],
    );
  }
  return entity?.table === table ? [{ type, operation, id: entity.id, payload }] : [];
}

export function idOf<Row>(view: RowsView<Row>, row: Row): string {
  return view.id === undefined ? String((row as { readonly id?: unknown }).id) : view.id(row);
}

/** A row after changes in order. One that throws is told, and left out. */
export type ApplyChanges<Row> = (row: Row | undefined, changes: readonly Told[]) => Row | undefined;
interface Told extends RowChange {
  readonly mutation: ShownMutation;
}

/** The changes of the mutations, by the row that they are about. */
export function changesByRow(mutations: readonly ShownMutation[], table: string): ReadonlyMap<string, readonly Told[]> {
  const byRow = new Map<string, Told[]>();
  for (const mutation of mutations) {
    for (const change of changesOf(mutation, table)) {
      const told = { ...change, mutation };
      const changes = byRow.get(change.id);
      if (changes === undefined) byRow.set(change.id, [told]);
      else changes.push(told);
    }
  }
  return byRow;
}

export function applyChanges<Row>(view: RowsView<Row>, threw: EffectThrew): ApplyChanges<Row> {
  const change = view.change ?? (changeByDefault as NonNullable<RowsView<Row>['change']>);
  return (row, changes) => {
    let now = row;
    // What a deletion took away is what a restoration brings back.
    let lastSeen = row;
    for (const { mutation, ...told } of changes) {
      try {
        now = change(now ?? (told.operation === 'restore' ? lastSeen : undefined), told);
      } catch (error) {
        threw(mutation, error);
      }
      lastSeen = now ?? lastSeen;
    }
    return now;
  };
}

/** What is known beside the lists. */
interface Beside<Row> {
  /** A row as another list has it, or as it was before it was deleted. */
  readonly findElsewhere: (id: string) => Row | undefined;
  /** This row is taken away by a deletion. */
  readonly goes?: (id: string, row: Row) => void;
  /** Whether the server has more rows behind the last of these. @default false */
  readonly hasMore?: boolean;
  readonly threw: EffectThrew;
}

/**
 * Lists of rows (the pages of one query) with mutations on top: one look at each row, however many mutations there are. A
 * list in which nothing changes stays the same object.
 */
export function projectRows<Row>(
  lists: readonly (readonly Row[])[],
  mutations: readonly ShownMutation[],
  view: RowsView<Row>,
  { findElsewhere, goes, hasMore = false, threw }: Beside<Row>,
): readonly (readonly Row[])[] {
  const byRow = changesByRow(mutations, view.table);
  if (byRow.size === 0) return lists;
  const apply = applyChanges(view, threw);
  const matches = view.where ?? (() => true);
  const present = new Set<string>();
  const comingIn: Row[] = [];
  const kept = lists.map((list) => {
    const rows: Row[] = [];
    for (const row of list) {
      const id = idOf(view, row);
      const changes = byRow.get(id);
      if (changes !== undefined) present.add(id);
      const after = changes === undefined ? row : apply(row, changes);
      if (after === undefined) goes?.(id, row);
      if (after === row) rows.push(row);
      else if (after !== undefined && matches(after)) {
        if (view.orderBy !== undefined && view.orderBy(row, after) !== 0) comingIn.push(after);
        else rows.push(after);
      }
    }
    return isSameList(rows, list) ? list : rows;
  });
  for (const [id, changes] of byRow) {
    if (present.has(id)) continue;
    const isNew = changes.some(({ operation }) => operation === 'create');
    const isBack = changes.some(({ operation }) => operation === 'restore');
    // A list without a filter that lacks the row has not loaded it, or it is gone.
    if (!isNew && !isBack && view.where === undefined) continue;
    const after = apply(isNew ? undefined : findElsewhere(id), changes);
    if (after !== undefined && matches(after)) comingIn.push(after);
  }
  if (comingIn.length === 0) return kept;
  const lastLoaded = [...lists].reverse().find((list) => list.length > 0);
  return withRows(kept, comingIn, view, hasMore ? lastLoaded?.at(-1) : undefined);
}

/** `edge`: the last row that is loaded, where there are more behind it: others may stand between that and a row that sorts behind it. */
function withRows<Row>(
  lists: readonly (readonly Row[])[],
  comingIn: readonly Row[],
  { orderBy, placeNew = 'start' }: RowsView<Row>,
  edge: Row | undefined,
): readonly (readonly Row[])[] {
  const last = lists.length - 1;
  if (orderBy === undefined) {
    if (placeNew === 'end') return lists.map((list, index) => (index === last ? [...list, ...comingIn] : list));
    return lists.map((list, index) => (index === 0 ? [...[...comingIn].reverse(), ...list] : list));
  }
  const rest = [...comingIn].sort(orderBy);
  let next = 0;
  return lists.map((list, index) => {
    const rows: Row[] = [];
    for (const row of list) {
      for (let row2 = rest[next]; row2 !== undefined && orderBy(row2, row) < 0; row2 = rest[next]) {
        rows.push(row2);
        next += 1;
      }
      rows.push(row);
    }
    if (index === last) rows.push(...rest.slice(next).filter((row) => edge === undefined || orderBy(row, edge) < 0));
    return rows.length === list.length ? list : rows;
  });
}

function changeByDefault(
  row: Readonly<Record<string, Json>> | undefined,
  { operation, id, payload }: RowChange,
): Readonly<Record<string, Json>> | undefined {
  switch (operation) {
    case 'create':
      // One that is there is newer than what was sent.
      return row ?? { id, ...payload };
    case 'update':
      if (row === undefined || Object.entries(payload).every(([field, value]) => Object.is(row[field], value)))
        return row;
      return { ...row, ...payload };
    case 'delete':
      return undefined;
    // As it was on this device; what the server had besides, fresh data brings.
    case 'restore':
    case 'custom':
      return row;
  }
}

function isSameList<Row>(a: readonly Row[], b: readonly Row[]): boolean {
  return a.length === b.length && a.every((row, index) => row === b[index]);
}
