import { infiniteQueryOptions, queryOptions, useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { describe, expectTypeOf, test } from 'vitest';
import { optimisticQuery } from './optimistic-query.ts';

interface Task {
  readonly id: string;
  readonly title: string;
  readonly isDone: boolean;
}
declare function fetchTasks(): Promise<Task[]>;
declare function fetchPage(from: number): Promise<{ readonly items: Task[]; readonly next: number | null }>;

const tasks = queryOptions({ queryKey: ['tasks'], queryFn: fetchTasks });
const pages = infiniteQueryOptions({
  queryKey: ['pages'],
  queryFn: ({ pageParam }) => fetchPage(pageParam),
  initialPageParam: 0,
  getNextPageParam: ({ next }) => next,
});

describe('O4', () => {
  test('O4 · a query keeps its type, and its rows are known', () => {
    const shown = optimisticQuery(tasks, {
      table: 'tasks',
      where: (task) => !task.isDone,
      orderBy: (a, b) => +a.id - +b.id,
    });
    expectTypeOf(useQuery(shown).data).toEqualTypeOf<Task[] | undefined>();
    const literal = optimisticQuery({ queryKey: ['tasks'], queryFn: fetchTasks }, { table: 'tasks' });
    expectTypeOf(useQuery(literal).data).toEqualTypeOf<Task[] | undefined>();
    const infinite = optimisticQuery(pages, { table: 'tasks', rows: 'items', where: (task) => task.isDone });
    expectTypeOf(useInfiniteQuery(infinite).data?.pages[0]?.items).toEqualTypeOf<Task[] | undefined>();
    optimisticQuery(
      { queryKey: ['task'], queryFn: async (): Promise<Task> => (await fetchTasks())[0] as Task },
      { table: 'tasks' },
    );
    optimisticQuery(tasks);
  });

  test('O4 · a wrong use does not compile', () => {
    // @ts-expect-error -- a filter says yes or no
    optimisticQuery(tasks, { table: 'tasks', where: (task) => 'isUrgent' in task && task.title });
    // @ts-expect-error -- rows of a table, but of which?
    optimisticQuery(tasks, { where: (task) => task.isDone });
    // @ts-expect-error -- the data is the list itself
    optimisticQuery(tasks, { table: 'tasks', rows: 'items' });
    // @ts-expect-error -- no such list on a page
    optimisticQuery(pages, { table: 'tasks', rows: 'rows' });
    // @ts-expect-error -- `next` is no list
    optimisticQuery(pages, { table: 'tasks', rows: 'next' });
    // @ts-expect-error -- one row has no filter: it is that row
    optimisticQuery({ queryKey: ['t'], queryFn: async () => ({ id: '1' }) }, { table: 'tasks', where: () => true });
    // @ts-expect-error -- a change returns the row
    optimisticQuery(tasks, { table: 'tasks', change: () => 'done' });
  });
});
