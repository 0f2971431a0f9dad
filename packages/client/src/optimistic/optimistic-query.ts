import { warnDeveloper } from '../telemetry/system-console.ts';
import type { RowsInData } from './query-data.ts';
import type { RowsView } from './rows-view.ts';

/** What a query brings; for an infinite one, a page of it. */
type DataOf<Options> = Options extends { readonly queryFn?: infer Fn }
  ? Extract<Fn, (...args: never[]) => unknown> extends (...args: never[]) => infer Data
    ? Awaited<Data>
    : never
  : never;

/** Keys of the data that hold a list of rows. */
type ListKey<Data> = {
  [Key in keyof Data]-?: Data[Key] extends readonly object[] ? Key : never;
}[keyof Data];

type RowIn<List> = List extends readonly (infer Row)[] ? Row : never;

/** Where the rows are in such data, and which ones: the data is a list, holds one under a key, or is one row. */
export type QueryRows<Data> = [Data] extends [readonly (infer Row)[]]
  ? RowsView<Row> & { readonly rows?: undefined }
  :
      | { [Key in ListKey<Data> & string]: RowsView<RowIn<Data[Key]>> & { readonly rows: Key } }[ListKey<Data> & string]
      | (Pick<RowsView<Data>, 'table' | 'id' | 'change'> & { readonly rows?: undefined });

/** Options of a query, as far as they matter here. */
export interface QueryOptionsLike {
  readonly queryKey: readonly unknown[];
  // oxlint-disable-next-line typescript/no-explicit-any -- whatever the query's function takes and brings
  readonly queryFn?: ((context: any) => unknown) | symbol | undefined;
  readonly meta?: Readonly<Record<string, unknown>> | undefined;
}

/** How a query says that pending mutations are shown in it: `rows`, or null for the types' own effects on the whole data. */
export interface ShowsPending {
  readonly rows: RowsInData | null;
}

const META_KEY = 'holdfast';

export function showsPending(meta: Readonly<Record<string, unknown>> | undefined): ShowsPending | undefined {
  return meta?.[META_KEY] as ShowsPending | undefined;
}

/**
 * The confirmed page behind each one that is shown, so that what an app computes of pages (the next one to load) does not
 * count rows that the server has not. Nothing but an association of objects: they take it along when they go.
 */
export const confirmedPages: WeakMap<object, unknown> = new WeakMap();

/** Caches that were ever connected, or whose developer was told that they are not. Keeps none of them alive. */
const heardOfCaches: WeakSet<object> = new WeakSet();

/** To be called with a cache that is connected now. */
export function noteConnected(cache: object): void {
  heardOfCaches.add(cache);
}

/**
 * Makes a query optimistic: pending mutations are shown in its data, as long as `connectQueries` is at work.
 *
 * ```ts
 * useQuery(optimisticQuery(openTasks, { table: 'tasks', where: (task) => !task.isDone }));
 * ```
 *
 * With `rows`, mutations change the rows they are about, by the `entity` and `operation` of their type. Without, each type's
 * own `optimistic` changes the whole data, which then is the state that it is written for.
 */
export function optimisticQuery<const Options extends QueryOptionsLike>(
  options: Options,
  rows?: QueryRows<DataOf<Options>>,
): Options {
  const shows: ShowsPending = { rows: (rows as RowsInData | undefined) ?? null };
  return {
    ...options,
    ...noticingNotConnected(options),
    ...countingConfirmed(options),
    meta: { ...options.meta, [META_KEY]: shows },
  };
}

/** A query without a connection just shows what is confirmed, and nothing fails: so it is looked at when it has fetched. */
function noticingNotConnected({ queryKey, queryFn }: QueryOptionsLike): object {
  if (typeof queryFn !== 'function') return {};
  const look = (cache: object | undefined): void => {
    if (cache === undefined || heardOfCaches.has(cache)) return;
    heardOfCaches.add(cache);
    warnDeveloper(
      `optimisticQuery ${JSON.stringify(queryKey)} shows nothing that is pending: its QueryClient is not connected. ` +
        'Call connectQueries({ queue, queryClient }) with it.',
    );
  };
  return {
    queryFn: (context: FetchContext): unknown => {
      const data = queryFn(context);
      // The connection may be made only just after the first fetch has begun.
      Promise.resolve(data).then(
        () => look(context.client?.getQueryCache()),
        () => {},
      );
      return data;
    },
  };
}

/** As far as it is looked at; the client came with a later version than the first that is supported. */
interface FetchContext {
  readonly client?: { readonly getQueryCache: () => object };
}

type PageParam = (page: unknown, pages: readonly unknown[], ...more: readonly unknown[]) => unknown;

/** An infinite query finds its next page by what the server gave. */
function countingConfirmed(options: object): object {
  const { getNextPageParam, getPreviousPageParam } = options as Partial<
    Record<'getNextPageParam' | 'getPreviousPageParam', PageParam>
  >;
  const counting =
    (own: PageParam): PageParam =>
    (page, pages, ...more) =>
      own(confirmed(page), pages.map(confirmed), ...more);
  return {
    ...(getNextPageParam === undefined ? {} : { getNextPageParam: counting(getNextPageParam) }),
    ...(getPreviousPageParam === undefined ? {} : { getPreviousPageParam: counting(getPreviousPageParam) }),
  };
}

function confirmed(page: unknown): unknown {
  return typeof page === 'object' && page !== null ? (confirmedPages.get(page) ?? page) : page;
}
