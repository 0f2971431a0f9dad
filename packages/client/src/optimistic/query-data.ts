import type { Projection, ShownMutation } from './projection.ts';
import { applyChanges, changesByRow, changesOf, idOf, projectRows, type RowsView } from './rows-view.ts';

/** Rows in the data of a query, whatever its shape. */
export interface RowsInData extends RowsView<object> {
  /** The key of the data, or of each page, that holds the rows. @default the data itself */
  readonly rows?: string;
}

/** Data of a query, taken apart: its lists of rows, and how it is put together again. */
interface Taken {
  readonly lists: readonly (readonly object[])[];
  readonly put: (lists: readonly (readonly object[])[]) => object;
}

/** Pages of an infinite query. */
export interface Pages {
  readonly pages: readonly unknown[];
  readonly pageParams: readonly unknown[];
}

export function isPages(data: object): data is Pages {
  const { pages, pageParams } = data as Partial<Pages>;
  return Array.isArray(pages) && Array.isArray(pageParams);
}

/** Null for data that is one row itself. */
function take(data: object, rows: string | undefined): Taken | null {
  if (isPages(data)) {
    const taken = data.pages.map((page) => take(page as object, rows));
    if (taken.length === 0 || taken.includes(null)) return null;
    const pages = taken as readonly Taken[];
    return {
      lists: pages.flatMap(({ lists }) => lists),
      put: (lists) => ({ ...data, pages: pages.map((page, index) => page.put(lists.slice(index, index + 1))) }),
    };
  }
  const list: unknown = rows === undefined ? data : (data as Readonly<Record<string, unknown>>)[rows];
  if (!Array.isArray(list)) return null;
  return {
    lists: [list],
    put: ([after = list]) => (after === list ? data : rows === undefined ? after : { ...data, [rows]: after }),
  };
}

/** Whether rows are where they are looked for. One row by itself must at least have an id. */
export function holdsRows(data: object, { rows, id }: RowsInData): boolean {
  if (isPages(data)) return data.pages.every((page) => take(Object(page) as object, rows) !== null);
  return take(data, rows) !== null || (rows === undefined && (id !== undefined || 'id' in data));
}

/** The rows of a table that data holds, by id; made once for each data. */
export class RowIndex {
  private readonly byData = new WeakMap<object, ReadonlyMap<string, object>>();

  find(data: object, view: RowsInData, id: string): object | undefined {
    let rows = this.byData.get(data);
    if (rows === undefined) {
      const all = take(data, view.rows)?.lists.flat() ?? (isPages(data) ? [] : [data]);
      rows = new Map(all.map((row) => [idOf(view, row), row]));
      this.byData.set(data, rows);
    }
    return rows.get(id);
  }
}

/** What is known of rows beside the data of one query. */
export interface RowsBeside {
  readonly findElsewhere: (table: string, id: string) => object | undefined;
  readonly goes: (table: string, id: string, row: object) => void;
  /** Whether there are pages behind the last of these. */
  readonly hasMore: (pages: Pages) => boolean;
}

/**
 * Shows mutations in the rows of a query's data. The view is asked for each time, for its functions may know what the
 * screen knows.
 */
export function projectionOfRows(
  view: () => RowsInData,
  { findElsewhere, goes, hasMore }: RowsBeside,
): Projection<object> {
  return {
    concerns: (mutation) => changesOf(mutation, view().table).length > 0,
    hasRollback: () => false,
    project: (data, mutations, threw) => {
      const rowsView = view();
      const taken = take(data, rowsView.rows);
      if (taken === null) return isPages(data) ? data : projectRow(data, mutations, rowsView, threw);
      const lists = projectRows(taken.lists, mutations, rowsView, {
        findElsewhere: (id) => findElsewhere(rowsView.table, id),
        goes: (id, row) => goes(rowsView.table, id, row),
        hasMore: isPages(data) && hasMore(data),
        threw,
      });
      return lists.every((list, index) => list === taken.lists[index]) ? data : taken.put(lists);
    },
    isIncremental: false,
  };
}

/** One row by itself. When it is deleted, its screen is the one to say so: it stays as it was. */
function projectRow(
  row: object,
  mutations: readonly ShownMutation[],
  view: RowsInData,
  threw: Parameters<Projection<object>['project']>[2],
): object {
  const changes = changesByRow(mutations, view.table).get(idOf(view, row)) ?? [];
  return applyChanges(view, threw)(row, changes) ?? row;
}
