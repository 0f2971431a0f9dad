export { connectQueries, type ConnectQueriesOptions, type QueryConnection } from './optimistic/connect-queries.ts';
export { optimisticQuery, type QueryOptionsLike, type QueryRows } from './optimistic/optimistic-query.ts';
export type { RowChange, RowsView } from './optimistic/rows-view.ts';
