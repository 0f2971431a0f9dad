import type { Query, QueryCacheNotifyEvent, QueryClient } from '@tanstack/react-query';
import type { AnyMutationDefinition } from '../mutation/definition.ts';
import type { MutationQueue } from '../queue/mutation-queue.ts';
import { warnDeveloper } from '../telemetry/system-console.ts';
import { confirmedPages, noteConnected, type ShowsPending, showsPending } from './optimistic-query.ts';
import { carryOver } from './carry-over.ts';
import { OptimisticStore } from './optimistic-store.ts';
import { PendingMutations } from './pending-mutations.ts';
import { projectionByTypes } from './projection.ts';
import {
  holdsRows,
  isPages,
  type Pages,
  projectionOfRows,
  type RowsBeside,
  RowIndex,
  type RowsInData,
} from './query-data.ts';
import { idOf } from './rows-view.ts';

export interface ConnectQueriesOptions {
  readonly queue: MutationQueue<readonly AnyMutationDefinition[]>;
  readonly queryClient: QueryClient;
}

/** What a connection gives. */
export interface QueryConnection {
  /**
   * The confirmed data behind what a query shows; the data itself where nothing is pending. For a cache that is kept: as
   * `serializeData` of its `dehydrateOptions` it leaves out what the queue keeps anyway.
   */
  readonly confirmedOf: <Data>(data: Data) => Data;
  /** Ends it: queries show confirmed data alone again. */
  readonly close: () => void;
}

/** Rows that were deleted are remembered up to this many. */
const GONE_COUNT = 200;
/** Stands for the data of a query that has none yet. */
const NO_DATA: object = {};

type AnyQuery = Query<unknown, Error, unknown, readonly unknown[]>;

/**
 * Shows the pending mutations of a queue in every query that `optimisticQuery` has marked, for as long as the login lasts.
 * The cache holds what is shown: confirmed data with the pending mutations on top, patched again with every change, and
 * fetched anew in the background when one has settled. What the server says is shown under what is pending, never over it.
 */
export function connectQueries({ queue, queryClient }: ConnectQueriesOptions): QueryConnection {
  const cache = queryClient.getQueryCache();
  noteConnected(cache);
  const pending = new PendingMutations(queue);
  const index = new RowIndex();
  const confirmed = new WeakMap<object, object>();
  const connected = new Map<AnyQuery, ShownQuery>();
  const toldKinds = new Set<string>();
  /** Rows that were deleted lately, as they were: a restoration shows them at once. */
  const gone = new Map<string, object>();

  const findElsewhere = (table: string, id: string): object | undefined => {
    for (const each of connected.values()) {
      const row = each.rows?.table === table ? each.findRow(index, id) : undefined;
      if (row !== undefined) return row;
    }
    return gone.get(JSON.stringify([table, id]));
  };
  const goes = (table: string, id: string, row: object): void => {
    const key = JSON.stringify([table, id]);
    gone.delete(key);
    gone.set(key, row);
    const [oldest = key] = gone.keys();
    if (gone.size > GONE_COUNT) gone.delete(oldest);
  };
  const connect = (query: AnyQuery): ShownQuery | undefined => {
    const known = connected.get(query);
    if (known !== undefined || showsPending(query.meta) === undefined) return known;
    const shown = new ShownQuery({ query, queryClient, pending, confirmed, toldKinds, findElsewhere, goes });
    connected.set(query, shown);
    return shown;
  };

  for (const query of cache.getAll()) connect(query as AnyQuery);
  const stopCache = cache.subscribe((event) => {
    const query = event.query as AnyQuery;
    if (event.type === 'removed') {
      connected.get(query)?.close();
      connected.delete(query);
    } else {
      const isKnown = connected.has(query);
      const shown = connect(query);
      if (isKnown && event.type === 'updated') shown?.take(event);
      if (isKnown && event.type === 'observerAdded') shown?.mounted();
    }
  });
  const stopSettled = queue.on('settled', () => {
    for (const shown of connected.values()) shown.refetchIfBehind();
  });
  return {
    confirmedOf: <Data>(data: Data): Data => {
      const base = isObject(data) ? confirmed.get(data) : undefined;
      return (base as Data | undefined) ?? data;
    },
    close: () => {
      stopCache();
      stopSettled();
      for (const shown of connected.values()) shown.leave();
      pending.close();
    },
  };
}

interface Parts extends ConnectQueriesOptions {
  readonly query: AnyQuery;
  readonly pending: PendingMutations;
  readonly confirmed: WeakMap<object, object>;
  /** Kinds of queries whose data was found to hold no rows: each is told once. */
  readonly toldKinds: Set<string>;
  readonly findElsewhere: RowsBeside['findElsewhere'];
  readonly goes: RowsBeside['goes'];
}

/** One query: its confirmed data apart from the cache, and in the cache what is shown. */
class ShownQuery {
  private readonly parts: Omit<Parts, 'queue'>;
  private readonly store: OptimisticStore<object>;
  private readonly stop: () => void;
  /** Of the fetch that is under way: what brings its data in, and which way it adds a page. */
  private install: (base: object) => void;
  private direction: 'forward' | 'backward' | undefined;
  /** The cache tells of what this itself writes, too. */
  private isWriting = false;
  private isRefetchDue = false;
  private marked: ShowsPending | undefined;
  /** What the cache holds, as this has written it last. */
  private written: object | null = null;
  /** With which functions it was shown last before a screen came. */
  private mountedRows: RowsInData | null = null;

  constructor(parts: Omit<Parts, 'queue'>) {
    this.parts = parts;
    const { query, pending, findElsewhere, goes } = parts;
    const isOfRows = showsPending(query.meta)?.rows !== null;
    const projection = isOfRows
      ? projectionOfRows(() => this.rows ?? { table: '' }, {
          findElsewhere,
          goes,
          hasMore: (data) => this.hasMore(data),
        })
      : projectionByTypes<object>();
    this.store = new OptimisticStore<object>({
      pending,
      base: baseOf(query.state.data),
      projection: {
        ...projection,
        project: (data, mutations, threw) => (data === NO_DATA ? data : projection.project(data, mutations, threw)),
      },
    });
    // A fetch may be under way already, and nobody knows since when.
    this.install = (base) => this.store.rebase(base);
    this.stop = this.store.subscribe(() => this.show());
    this.look(query.state.data);
    this.show();
    this.mountedRows = this.rows;
  }

  /** As the query says now: a screen may have rendered again, with other functions. */
  get rows(): RowsInData | null {
    // Whoever uses the key without `optimisticQuery`, to fetch ahead, say, takes the mark off.
    this.marked = showsPending(this.parts.query.meta) ?? this.marked;
    return this.marked?.rows ?? null;
  }

  /** A cache that was kept has no functions, and those of the screen that comes may leave out or order what is shown. */
  mounted(): void {
    if (this.rows === this.mountedRows) return;
    this.mountedRows = this.rows;
    this.store.rebase(this.store.getBase());
    this.show();
  }

  /** As the query itself finds its next page. */
  private hasMore({ pages, pageParams }: Pages): boolean {
    const { getNextPageParam } = this.parts.query.options as {
      readonly getNextPageParam?: (...of: readonly unknown[]) => unknown;
    };
    return (getNextPageParam?.(pages.at(-1), pages, pageParams.at(-1), pageParams) ?? null) !== null;
  }

  findRow(index: RowIndex, id: string): object | undefined {
    const { rows } = this;
    const base = this.store.getBase();
    return rows === null || base === NO_DATA ? undefined : index.find(base, rows, id);
  }

  take({ action }: Extract<QueryCacheNotifyEvent, { type: 'updated' }>): void {
    if (this.isWriting) return;
    const data = this.baseNow();
    if (action.type === 'fetch') {
      this.install = this.store.beginRefresh();
      this.direction = action.meta?.fetchMore?.direction;
    } else if (action.type === 'success') {
      forget(data, this.parts.confirmed);
      this.look(data);
      if (action.manual === true) this.store.rebase(this.withChangesOf(data));
      else this.fetched(data);
      this.show();
      this.refetchIfBehind();
    } else if (action.type === 'setState') {
      // A fetch that was called off puts back what was shown before; anything else comes from outside.
      if (!this.parts.confirmed.has(data)) this.store.rebase(this.withChangesOf(data));
      this.show();
    }
  }

  /** Fetches anew when something shown here has settled; one fetch at a time, and none on top of another. */
  refetchIfBehind(): void {
    if (this.isRefetchDue || !this.store.isBehind) return;
    this.isRefetchDue = true;
    // Verdicts come together: one fetch, begun after the last of them, is for all.
    void Promise.resolve().then(() => {
      this.isRefetchDue = false;
      const { query, queryClient } = this.parts;
      // When the one that is under way has brought its data, this is asked again.
      if (!this.store.isBehind || query.state.fetchStatus !== 'idle') return;
      query.invalidate();
      void queryClient.refetchQueries(
        { predicate: (each) => each === query, type: 'active' },
        { cancelRefetch: false },
      );
    });
  }

  close(): void {
    this.stop();
    this.store.close();
  }

  /** Shows the confirmed data alone from now on. */
  leave(): void {
    this.close();
    this.write(this.store.getBase());
  }

  /** The confirmed data after the app has written some into the cache, most often made from what is shown. */
  private withChangesOf(data: object): object {
    const base = this.store.getBase();
    if (this.written === null || base === NO_DATA || data === NO_DATA) return data;
    const { rows } = this;
    return carryOver(base, this.written, data, rows === null ? undefined : (row) => idOf(rows, row)) as object;
  }

  private fetched(data: object): void {
    const base = this.store.getBase();
    if (this.direction !== undefined && base !== NO_DATA && isPages(base) && isPages(data))
      // The pages before it were not fetched: they are those that were shown.
      this.store.rebase(withNewPage(base, data, this.direction));
    else this.install(data);
  }

  /** Rows that are not where they are looked for would never change, and nobody would know why. */
  private look(data: unknown): void {
    const { rows } = this;
    if (rows === null || !isObject(data) || data === NO_DATA || holdsRows(data, rows)) return;
    const { query, toldKinds } = this.parts;
    // Of keys such as ['page', 7] there may be many.
    const kind = JSON.stringify([query.queryKey[0], rows.table, rows.rows]);
    if (toldKinds.has(kind)) return;
    toldKinds.add(kind);
    const found =
      rows.rows === undefined ? `is no row and no list of "${rows.table}"` : `holds no list under "${rows.rows}"`;
    warnDeveloper(
      `optimisticQuery ${JSON.stringify(query.queryKey)} shows nothing that is pending: its data ${found}. ` +
        'Name the key that holds the list: `rows`.',
    );
  }

  private baseNow(): object {
    return baseOf(this.parts.query.state.data);
  }

  private show(): void {
    this.write(this.store.getSnapshot());
  }

  private write(view: object): void {
    const { query, confirmed } = this.parts;
    const base = this.store.getBase();
    if (view === NO_DATA || base === NO_DATA) return;
    if (view !== base) remember(view, base, confirmed);
    this.written = view;
    if (query.state.data === view) return;
    this.isWriting = true;
    // Not as new data: how old it is, whether it is stale, and what the last fetch came to is as before.
    query.setState({ data: view });
    this.isWriting = false;
  }
}

function baseOf(data: unknown): object {
  return isObject(data) ? data : NO_DATA;
}

function remember(view: object, base: object, confirmed: WeakMap<object, object>): void {
  confirmed.set(view, base);
  if (!isPages(view) || !isPages(base)) return;
  view.pages.forEach((page, index) => {
    const before = base.pages[index];
    if (page !== before && isObject(page)) confirmedPages.set(page, before);
  });
}

/** What the server says may be what was shown, to the letter, and then the cache keeps that very object. */
function forget(data: object, confirmed: WeakMap<object, object>): void {
  confirmed.delete(data);
  if (isPages(data)) for (const page of data.pages) if (isObject(page)) confirmedPages.delete(page);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** The confirmed pages with the one that was fetched; the same ones when there was none to fetch. */
function withNewPage(base: Pages, data: Pages, direction: 'forward' | 'backward'): Pages {
  const at = direction === 'forward' ? -1 : 0;
  const param = data.pageParams.at(at);
  const isMore = data.pages.length > base.pages.length;
  if (!isMore && Object.is(param, base.pageParams.at(at))) return base;
  const add = (list: readonly unknown[], item: unknown): readonly unknown[] => {
    const longer = direction === 'forward' ? [...list, item] : [item, ...list];
    // As many as the query keeps (`maxPages`): one goes at the other end.
    return direction === 'forward' ? longer.slice(-data.pages.length) : longer.slice(0, data.pages.length);
  };
  return { pages: add(base.pages, data.pages.at(at)), pageParams: add(base.pageParams, param) };
}
