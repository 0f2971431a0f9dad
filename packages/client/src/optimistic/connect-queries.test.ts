import {
  type DehydratedState,
  dehydrate,
  hydrate,
  InfiniteQueryObserver,
  infiniteQueryOptions,
  QueryClient,
  QueryObserver,
  queryOptions,
} from '@tanstack/react-query';
import * as v from 'valibot';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { defineMutation } from '../mutation/definition.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';
import { connectQueries, type QueryConnection } from './connect-queries.ts';
import { optimisticQuery } from './optimistic-query.ts';

interface Task {
  readonly id: string;
  readonly title: string;
  readonly isDone: boolean;
}

const entity = ({ id }: { readonly id: string }): { readonly table: string; readonly id: string } => ({
  table: 'tasks',
  id,
});
const createTask = defineMutation({
  type: 'task.create',
  payload: v.object({ id: v.string(), title: v.string(), isDone: v.boolean() }),
  operation: 'create',
  entity,
});
const updateTask = defineMutation({
  type: 'task.update',
  payload: v.object({ id: v.string(), title: v.optional(v.string()), isDone: v.optional(v.boolean()) }),
  operation: 'update',
  entity,
});
const deleteTask = defineMutation({
  type: 'task.delete',
  payload: v.object({ id: v.string() }),
  operation: 'delete',
  entity,
});
const restoreTask = defineMutation({
  type: 'task.restore',
  payload: v.object({ id: v.string() }),
  operation: 'restore',
  entity,
});
const countUp = defineMutation({
  type: 'count.up',
  payload: v.object({ by: v.number() }),
  operation: 'custom',
  dedupe: false,
  optimistic: (draft: { count: number }, { by }) => {
    draft.count += by;
  },
});
const mutations = [createTask, updateTask, deleteTask, restoreTask, countUp] as const;

interface Screen {
  readonly app: TestApp<typeof mutations>;
  readonly queryClient: QueryClient;
  readonly connection: QueryConnection;
}

const titled = (a: Task, b: Task): number => (a.title < b.title ? -1 : a.title > b.title ? 1 : 0);
const task = (id: string, title = id, isDone = false): Task => ({ id, title, isDone });

async function open(tasks: readonly Task[] = []): Promise<Screen> {
  const app = await createTestApp({
    mutations,
    tables: { tasks: { check: ({ title }) => (title === 'bad' ? 'This title is not taken.' : null) } },
    handlers: { 'count.up': () => null },
  });
  app.server.insert('tasks', ...tasks.map((each) => ({ ...each })));
  const queryClient = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  queryClient.mount();
  const connection = connectQueries({ queue: app.queue, queryClient });
  onTestFinished(() => {
    connection.close();
    queryClient.clear();
    queryClient.unmount();
  });
  return { app, queryClient, connection };
}

const tasksOf = ({ app }: Screen): readonly Task[] => app.server.rows('tasks') as unknown as readonly Task[];

const ALL_TASKS = ['tasks', { isDone: undefined }];

/** A list on the screen: what it shows now, by titles. */
async function watch(screen: Screen, isDone?: boolean): Promise<() => readonly string[]> {
  const where = (row: Task): boolean => isDone === undefined || row.isDone === isDone;
  const options = queryOptions({
    queryKey: ['tasks', { isDone }],
    queryFn: async () => tasksOf(screen).filter(where).toSorted(titled),
  });
  const observer = new QueryObserver(
    screen.queryClient,
    optimisticQuery(options, { table: 'tasks', where, orderBy: titled }),
  );
  onTestFinished(observer.subscribe(() => {}));
  await screen.app.settle();
  return () => observer.getCurrentResult().data?.map(({ title }) => title) ?? [];
}

test('O4, O3 · of a cache that was kept, a filtered list leaves out what its filter does, as soon as it is on the screen', async () => {
  const before = await open([task('1', 'a'), task('2', 'b')]);
  await watch(before, false);
  const kept = JSON.parse(JSON.stringify(dehydrate(before.queryClient))) as DehydratedState;

  const screen = await open([task('1', 'a'), task('2', 'b')]);
  screen.app.network.setOffline();
  await screen.app.queue.add({ type: 'task.update', payload: { id: '1', isDone: true } });
  hydrate(screen.queryClient, kept);
  await screen.app.settle();
  const options = queryOptions({
    queryKey: ['tasks', { isDone: false }],
    queryFn: () => new Promise<readonly Task[]>(() => {}),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const where = (row: Task): boolean => !row.isDone;
  const observer = new QueryObserver(screen.queryClient, optimisticQuery(options, { table: 'tasks', where }));
  onTestFinished(observer.subscribe(() => {}));
  await screen.app.settle();

  expect(observer.getCurrentResult().data?.map(({ title }) => title)).toEqual(['b']);
});

describe('lists of rows', () => {
  test('O4 · a creation, an edit and a deletion are shown at once in every list that they belong to, and in no other', async () => {
    const screen = await open([task('1', 'b'), task('2', 'd', true), task('3', 'e')]);
    const { app } = screen;
    const all = await watch(screen);
    const todo = await watch(screen, false);
    const done = await watch(screen, true);
    app.network.setOffline();

    await app.queue.add({ type: 'task.create', payload: task('4', 'c') });
    expect([all(), todo(), done()]).toEqual([['b', 'c', 'd', 'e'], ['b', 'c', 'e'], ['d']]);

    await app.queue.add({ type: 'task.update', payload: { id: '1', title: 'f' } });
    expect([all(), todo(), done()]).toEqual([['c', 'd', 'e', 'f'], ['c', 'e', 'f'], ['d']]);

    // into another list, from one edit that was made while it was in this one, and one that moves it
    await app.queue.add({ type: 'task.update', payload: { id: '1', isDone: true } });
    expect([all(), todo(), done()]).toEqual([
      ['c', 'd', 'e', 'f'],
      ['c', 'e'],
      ['d', 'f'],
    ]);

    await app.queue.add({ type: 'task.delete', payload: { id: '3' } });
    expect([all(), todo(), done()]).toEqual([['c', 'd', 'f'], ['c'], ['d', 'f']]);

    app.network.setOnline();
    await app.drain();
    await app.settle();
    expect([all(), todo(), done()]).toEqual([['c', 'd', 'f'], ['c'], ['d', 'f']]);
    expect(app.queue.listRecentlyConfirmed().map(({ stage }) => stage)).toEqual(Array(4).fill('observed'));
  });

  test('O4 · one that is refused is taken back exactly, and those after it stay', async () => {
    const screen = await open([task('1', 'a')]);
    const { app } = screen;
    const all = await watch(screen);
    app.network.setOffline();
    await app.queue.add({ type: 'task.create', payload: task('2', 'bad') });
    await app.queue.add({ type: 'task.create', payload: task('3', 'c') });
    expect(all()).toEqual(['a', 'bad', 'c']);

    app.network.setOnline();
    await app.drain();

    expect(all()).toEqual(['a', 'c']);
  });

  test('O4, E3 · a row whose deletion is confirmed is shown again as soon as it is brought back', async () => {
    const screen = await open([task('1', 'a'), task('2', 'b')]);
    const { app } = screen;
    const titles = await watch(screen);
    await app.queue.add({ type: 'task.delete', payload: { id: '1' } });
    await app.drain();
    await app.settle();
    expect(titles()).toEqual(['b']);

    app.network.setOffline();
    await app.queue.add({ type: 'task.restore', payload: { id: '1' } });
    await app.settle();

    expect(titles()).toEqual(['a', 'b']);
  });

  test('O4 · members of an atomic mutation are shown each in its list', async () => {
    const screen = await open([task('1', 'a'), task('2', 'b', true)]);
    const todo = await watch(screen, false);
    const done = await watch(screen, true);
    screen.app.network.setOffline();

    await screen.app.queue.addAtomic([
      { type: 'task.update', payload: { id: '1', isDone: true } },
      { type: 'task.create', payload: task('3', 'c') },
    ]);

    expect([todo(), done()]).toEqual([['c'], ['a', 'b']]);
  });

  test('O4, O3 · after a restart what is pending is shown in the queries again', async () => {
    const screen = await open([task('1', 'a')]);
    const { app, connection, queryClient } = screen;
    app.network.setOffline();
    await app.queue.add({ type: 'task.create', payload: task('2', 'b') });
    connection.close();
    queryClient.clear();
    await app.restartApp();

    const again = connectQueries({ queue: app.queue, queryClient });
    onTestFinished(again.close);
    const all = await watch(screen);

    expect(all()).toEqual(['a', 'b']);
  });

  test('O4 · a row by itself shows its edits, and a list under a key of the data its rows', async () => {
    const screen = await open([task('1', 'a')]);
    const { app, queryClient } = screen;
    const one = queryOptions({ queryKey: ['task', '1'], queryFn: async (): Promise<Task> => task('1', 'a') });
    const page = queryOptions({ queryKey: ['page'], queryFn: async () => ({ total: 1, items: [task('1', 'a')] }) });
    await queryClient.prefetchQuery(optimisticQuery(one, { table: 'tasks' }));
    await queryClient.prefetchQuery(optimisticQuery(page, { table: 'tasks', rows: 'items', placeNew: 'end' }));
    app.network.setOffline();

    await app.queue.add({ type: 'task.update', payload: { id: '1', title: 'z' } });
    await app.queue.add({ type: 'task.create', payload: task('2', 'b') });

    expect(queryClient.getQueryData(one.queryKey)).toEqual(task('1', 'z'));
    expect(queryClient.getQueryData(page.queryKey)).toEqual({ total: 1, items: [task('1', 'z'), task('2', 'b')] });
  });

  test('O4 · an effect that throws is left out and told once; the rows and the others are shown', async () => {
    const screen = await open([task('1', 'a')]);
    const { app, queryClient } = screen;
    const errors: string[] = [];
    app.queue.onError(({ code }) => errors.push(code));
    const query = queryOptions({ queryKey: ['tasks'], queryFn: async () => [...tasksOf(screen)] });
    const change = (row: Task | undefined, { payload }: { readonly payload: object }): Task => {
      const next = { ...row, ...payload } as Task;
      if (next.title === 'throw') throw new Error('This effect does not fit.');
      return next;
    };
    await queryClient.prefetchQuery(optimisticQuery(query, { table: 'tasks', change }));
    app.network.setOffline();
    for (const title of ['throw', 'b']) await app.queue.add({ type: 'task.update', payload: { id: '1', title } });
    await app.queue.add({ type: 'task.create', payload: task('2', 'c') });

    expect(queryClient.getQueryData<Task[]>(['tasks'])?.map(({ title }) => title)).toEqual(['c', 'b']);
    expect(errors).toEqual(['EFFECT_FAILED']);
  });
});

describe('data of another shape', () => {
  test('O4 · without rows, each type changes the data by its own effect', async () => {
    const { app, queryClient } = await open();
    const query = optimisticQuery({ queryKey: ['count'], queryFn: async () => ({ count: 1 }) });
    await queryClient.prefetchQuery(query);
    app.network.setOffline();

    for (const by of [2, 3]) await app.queue.add({ type: 'count.up', payload: { by } });

    expect(queryClient.getQueryData(['count'])).toEqual({ count: 6 });
  });
});

describe('fresh data', () => {
  /** A list whose fetches are answered by hand, with what the server had when they began or has now. */
  async function watchSlowly(screen: Screen): Promise<{
    readonly titles: () => readonly string[];
    readonly answers: ((rows?: readonly Task[]) => Promise<void>)[];
    readonly query: () => ReturnType<QueryClient['getQueryState']>;
  }> {
    const answers: ((rows?: readonly Task[]) => Promise<void>)[] = [];
    const options = queryOptions({
      queryKey: ['slow'],
      queryFn: () => {
        const then = [...tasksOf(screen)];
        return new Promise<Task[]>((resolve) => {
          answers.push(async (rows = then) => {
            resolve([...rows]);
            await screen.app.settle();
          });
        });
      },
    });
    const observer = new QueryObserver(
      screen.queryClient,
      optimisticQuery(options, { table: 'tasks', orderBy: titled }),
    );
    onTestFinished(observer.subscribe(() => {}));
    await screen.app.settle();
    return {
      titles: () => observer.getCurrentResult().data?.map(({ title }) => title) ?? [],
      answers,
      query: () => screen.queryClient.getQueryState(['slow']),
    };
  }

  /** One task that the server has, and one that is pending, offline. */
  async function withPending() {
    const screen = await open([task('1', 'a')]);
    const slow = await watchSlowly(screen);
    await slow.answers[0]?.();
    screen.app.network.setOffline();
    await screen.app.queue.add({ type: 'task.create', payload: task('2', 'b') });
    return { screen, ...slow };
  }

  test('O4 · a fetch that began before the confirmation does not take the effect away; one that began after is made', async () => {
    const screen = await open([task('1', 'a')]);
    const { app, queryClient } = screen;
    const { titles, answers } = await watchSlowly(screen);
    await answers[0]?.();
    void queryClient.refetchQueries({ queryKey: ['slow'] });
    await app.settle();

    await app.queue.add({ type: 'task.create', payload: task('2', 'b') });
    await app.drain();
    expect([titles(), answers.length]).toEqual([['a', 'b'], 2]);
    await answers[1]?.();

    // the late answer knew nothing of it, and another fetch is under way
    expect([titles(), answers.length]).toEqual([['a', 'b'], 3]);
    expect(app.queue.listRecentlyConfirmed()[0]?.stage).toBe('confirmed');
    await answers[2]?.([task('1', 'a'), task('2', 'b, by the server')]);
    expect([titles(), answers.length]).toEqual([['a', 'b, by the server'], 3]);
    expect(app.queue.listRecentlyConfirmed()[0]?.stage).toBe('observed');
  });

  test('O4 · fifty that are confirmed together are fetched once, and not one fetch is called off', async () => {
    const screen = await open([task('1', 'a')]);
    const { app } = screen;
    const { titles, answers } = await watchSlowly(screen);
    await answers[0]?.();
    app.network.setOffline();
    const handles = Array.from({ length: 50 }, (_, at) => task(`n${at}`, `n${String(at).padStart(2, '0')}`));
    await Promise.all(handles.map((payload) => app.queue.add({ type: 'task.create', payload })));

    app.network.setOnline();
    await app.drain();

    expect([titles().length, answers.length]).toEqual([51, 2]);
    await answers[1]?.();
    expect([titles().length, answers.length]).toEqual([51, 2]);
  });

  test('O4 · how old the data is, and that it is stale, is not changed by what is shown on top', async () => {
    const screen = await open([task('1', 'a')]);
    const { titles, answers, query } = await watchSlowly(screen);
    await answers[0]?.();
    await screen.queryClient.invalidateQueries({ queryKey: ['slow'], refetchType: 'none' });
    const before = query();
    screen.app.network.setOffline();

    await screen.app.queue.add({ type: 'task.create', payload: task('2', 'b') });

    expect(titles()).toEqual(['a', 'b']);
    const { data: _before, ...was } = before ?? {};
    const { data: _after, ...is } = query() ?? {};
    expect(is).toEqual(was);
  });

  test('O4 · a fetch that is called off, or fails, leaves what is shown, also what came meanwhile', async () => {
    const screen = await open([task('1', 'a')]);
    const { app, queryClient } = screen;
    const { titles, answers } = await watchSlowly(screen);
    await answers[0]?.();
    app.network.setOffline();
    void queryClient.refetchQueries({ queryKey: ['slow'] });
    await app.settle();
    await app.queue.add({ type: 'task.create', payload: task('2', 'b') });

    await queryClient.cancelQueries({ queryKey: ['slow'] });
    await app.settle();

    expect(titles()).toEqual(['a', 'b']);
  });

  test('O4 · what the app itself writes into the cache is confirmed data, and what is pending stays on top', async () => {
    const { screen, titles } = await withPending();

    screen.queryClient.setQueryData(['slow'], [task('9', 'x')]);

    expect(titles()).toEqual(['b', 'x']);
  });

  test('O4, O1 · what the app makes from what is shown confirms nothing that is pending: that can still be taken back', async () => {
    const screen = await open([task('1', 't1'), task('2', 't2')]);
    const { app, queryClient, connection } = screen;
    const titles = await watch(screen);
    app.network.setOffline();
    const edit = await app.queue.add({ type: 'task.update', payload: { id: '1', title: 'mine' } });
    const creation = await app.queue.add({ type: 'task.create', payload: task('9', 'new') });
    await app.settle();

    queryClient.setQueryData(ALL_TASKS, (old: readonly Task[] | undefined) =>
      old?.map((each) => (each.id === '2' ? { ...each, title: 'pushed' } : each)),
    );
    await app.settle();
    expect(titles()).toEqual(['mine', 'new', 'pushed']);
    expect(connection.confirmedOf(queryClient.getQueryData(ALL_TASKS))).toEqual([task('1', 't1'), task('2', 'pushed')]);
    await edit.cancel();
    await creation.cancel();
    await app.settle();

    // It was fetched anew then, and the server knows nothing of what was pushed.
    expect(titles()).toEqual(['t1', 't2']);
  });

  test('O4, O2 · whoever uses the key without the mark, to fetch ahead, takes nothing off the screen', async () => {
    const screen = await open([task('1', 't1')]);
    const { app, queryClient } = screen;
    const titles = await watch(screen);
    await app.settle();
    app.network.setOffline();
    await app.queue.add({ type: 'task.update', payload: { id: '1', title: 'mine' } });
    await app.settle();

    await queryClient.prefetchQuery({ queryKey: ALL_TASKS, queryFn: async () => tasksOf(screen) });
    await app.settle();
    expect(titles()).toEqual(['mine']);
    await app.queue.add({ type: 'task.create', payload: task('9', 'new') });
    await app.settle();

    expect(titles()).toEqual(['mine', 'new']);
  });

  test('O4 · a cache that is kept can leave out what the queue keeps', async () => {
    const { screen, titles } = await withPending();
    expect(titles()).toEqual(['a', 'b']);

    const shown = screen.queryClient.getQueryData(['slow']);
    expect(screen.connection.confirmedOf(shown)).toEqual([task('1', 'a')]);
    expect(screen.connection.confirmedOf('text')).toBe('text');
  });

  test('O4 · closed, it leaves confirmed data alone behind', async () => {
    const { screen, titles } = await withPending();

    screen.connection.close();

    expect(titles()).toEqual(['a']);
  });
});

describe('infinite queries', () => {
  /** Pages of two, each found by the number of rows on the one before: what is shown on top must not count. */
  async function watchPages(screen: Screen, maxPages?: number) {
    let held: Promise<void> = Promise.resolve();
    let release = (): void => {};
    const options = infiniteQueryOptions({
      queryKey: ['pages'],
      queryFn: async ({ pageParam }) => {
        const page = tasksOf(screen)
          .toSorted(titled)
          .slice(pageParam, pageParam + 2);
        await held;
        return page;
      },
      initialPageParam: 0,
      getNextPageParam: (last, _pages, param) => (last.length < 2 ? undefined : param + last.length),
      ...(maxPages === undefined ? {} : { maxPages, getPreviousPageParam: () => undefined }),
    });
    const observer = new InfiniteQueryObserver(
      screen.queryClient,
      optimisticQuery(options, { table: 'tasks', orderBy: titled }),
    );
    onTestFinished(observer.subscribe(() => {}));
    await screen.app.settle();
    return {
      titles: () => observer.getCurrentResult().data?.pages.flatMap((page) => page.map(({ title }) => title)) ?? [],
      hold: () => {
        held = new Promise((resolve) => {
          release = resolve;
        });
      },
      release: () => release(),
      hasNextPage: () => observer.getCurrentResult().hasNextPage,
      next: async () => {
        await observer.fetchNextPage();
        await screen.app.settle();
      },
    };
  }

  test('O4 · pages follow, and the next one is found by what the server gave', async () => {
    const screen = await open(['a', 'c', 'e', 'g', 'i'].map((id) => task(id)));
    const { app } = screen;
    const { titles, next, hasNextPage } = await watchPages(screen);
    app.network.setOffline();
    await app.queue.add({ type: 'task.create', payload: task('b') });
    await app.queue.add({ type: 'task.delete', payload: { id: 'c' } });
    expect(titles()).toEqual(['a', 'b']);

    await next();
    expect(titles()).toEqual(['a', 'b', 'e', 'g']);
    await app.queue.add({ type: 'task.delete', payload: { id: 'g' } });
    expect([titles(), hasNextPage()]).toEqual([['a', 'b', 'e'], true]);
    await next();
    expect([titles(), hasNextPage()]).toEqual([['a', 'b', 'e', 'i'], false]);

    app.network.setOnline();
    await app.drain();
    await app.settle();
    expect(titles()).toEqual(['a', 'b', 'e', 'i']);
  });

  test('O4 · with pages to come, a row that sorts behind those that are loaded waits for its page', async () => {
    const screen = await open(['a', 'c', 'e', 'g', 'i'].map((id) => task(id)));
    const { app } = screen;
    const { titles, next } = await watchPages(screen);
    app.network.setOffline();
    await app.queue.add({ type: 'task.create', payload: task('h') });
    await app.queue.add({ type: 'task.update', payload: { id: 'a', title: 'f' } });
    await app.settle();
    expect(titles()).toEqual(['c']);

    await next();
    expect(titles()).toEqual(['c', 'e', 'f', 'g']);
    await next();
    expect(titles()).toEqual(['c', 'e', 'f', 'g', 'h', 'i']);
  });

  test('O4 · a page that is loaded after a confirmation does not take its effect from the pages before', async () => {
    const screen = await open(['a', 'c', 'e', 'g', 'i'].map((id) => task(id)));
    const { app } = screen;
    const { titles, next, hold, release } = await watchPages(screen);
    // given: a page under way that was asked for before the confirmation
    hold();
    const loaded = next();
    await app.queue.add({ type: 'task.update', payload: { id: 'a', title: 'aa' } });
    await app.drain();
    expect(titles()).toEqual(['aa', 'c']);

    release();
    await loaded;

    expect(titles()).toEqual(['aa', 'c', 'e', 'g']);
    expect(app.queue.listRecentlyConfirmed()[0]?.stage).toBe('observed');
  });

  test('O4 · with a bounded number of pages the first one goes when another comes', async () => {
    const screen = await open(['a', 'c', 'e', 'g', 'i'].map((id) => task(id)));
    const { titles, next } = await watchPages(screen, 2);
    screen.app.network.setOffline();
    await screen.app.queue.add({ type: 'task.update', payload: { id: 'e', title: 'ee' } });
    await next();
    await next();

    expect(titles()).toEqual(['ee', 'g', 'i']);
  });
});

describe('mistakes that would show nothing, and say nothing', () => {
  const warnings = (): readonly string[] => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    onTestFinished(() => warn.mockRestore());
    return new Proxy([], {
      get: (_, key) =>
        Reflect.get(
          warn.mock.calls.map(([text]) => String(text)),
          key,
        ) as unknown,
    });
  };

  test('O4 · a query of a client that is not connected, or of another than the connected one, says so once', async () => {
    const told = warnings();
    const screen = await open([task('1', 'a')]);
    const other = new QueryClient();
    const query = (key: string) =>
      optimisticQuery(queryOptions({ queryKey: [key], queryFn: async () => [...tasksOf(screen)], staleTime: 0 }), {
        table: 'tasks',
      });

    await screen.queryClient.fetchQuery(query('tasks'));
    screen.connection.close();
    await screen.queryClient.fetchQuery(query('tasks'));
    expect(told.length).toBe(0);

    for (const key of ['tasks', 'tasks', 'more']) await other.fetchQuery(query(key));
    expect([...told]).toEqual([
      '[holdfast] optimisticQuery ["tasks"] shows nothing that is pending: its QueryClient is not connected. Call connectQueries({ queue, queryClient }) with it.',
    ]);
  });

  test('O4 · data in which no rows are found says so once, and how to name their place', async () => {
    const told = warnings();
    const { queryClient } = await open();
    const fetch = (
      queryKey: readonly string[],
      data: object,
      rows: { readonly table: string; readonly rows?: string },
    ) => queryClient.fetchQuery(optimisticQuery({ queryKey, queryFn: async () => data }, rows as never));

    await fetch(['fits', '1'], [], { table: 'tasks' });
    await fetch(['fits', '2'], task('1'), { table: 'tasks' });
    await fetch(['fits', '3'], { items: [] }, { table: 'tasks', rows: 'items' });
    expect(told.length).toBe(0);

    for (const page of ['1', '2']) await fetch(['page', page], { total: 1, items: [task('1')] }, { table: 'tasks' });
    await fetch(['typo'], { items: [task('1')] }, { table: 'tasks', rows: 'item' });
    expect([...told]).toEqual([
      '[holdfast] optimisticQuery ["page","1"] shows nothing that is pending: its data is no row and no list of "tasks". Name the key that holds the list: `rows`.',
      '[holdfast] optimisticQuery ["typo"] shows nothing that is pending: its data holds no list under "item". Name the key that holds the list: `rows`.',
    ]);
  });
});

test('O4 · two queues that are connected to one client are both shown, and what each takes back goes alone', async () => {
  const screen = await open([task('1', 'one')]);
  const other = await createTestApp({
    mutations,
    server: screen.app.server,
    identity: { userId: 'bob', workspaceId: 'test-workspace' },
  });
  const connection = connectQueries({ queue: other.queue, queryClient: screen.queryClient });
  const shown = await watch(screen);
  screen.app.network.setOffline();
  other.network.setOffline();
  const add = async ({ queue }: { readonly queue: typeof screen.app.queue }, id: string) => {
    const handle = await queue.add({ type: 'task.create', payload: task(id) });
    await screen.app.settle();
    return handle;
  };
  const mine = await add(screen.app, 'a');
  await add(other, 'b');
  expect(shown()).toEqual(['a', 'b', 'one']);

  await screen.queryClient.refetchQueries();
  await screen.app.settle();
  expect(shown()).toEqual(['a', 'b', 'one']);

  await mine.cancel();
  await screen.app.settle();
  expect(shown()).toEqual(['b', 'one']);

  connection.close();
  await screen.app.settle();
  expect(shown()).toEqual(['one']);
});
