import { describe, expect, it } from 'vitest';
import type { WakeReason } from '../ports/wakeups.ts';
import { FakeClock } from '../queue/testing-queue/fake-clock.ts';
import type { TaskContext, TaskOptions, TaskType } from './task.ts';
import { createTaskRunner, type TaskEvent, type TaskRunnerOptions } from './task-runner.ts';

const MINUTE_MS = 60_000;

function open(options: TaskRunnerOptions = {}) {
  const clock = new FakeClock();
  let report: (reason: WakeReason) => void = () => {};
  let isListening = false;
  const runner = createTaskRunner({
    clock,
    random: () => 0.5,
    wakeups: [
      (tell) => {
        report = tell;
        isListening = true;
        return () => {
          isListening = false;
        };
      },
    ],
    ...options,
  });
  const events: TaskEvent[] = [];
  runner.on((event) => events.push(event));
  return { clock, runner, events, wake: (reason: WakeReason) => report(reason), isListening: () => isListening };
}

type World = ReturnType<typeof open>;

/** A task that takes so long, and fails where it is told to. */
function counting(
  { clock, runner }: World,
  id: string,
  options: TaskOptions & { readonly type?: TaskType; readonly takesMs?: number; readonly fails?: () => boolean } = {},
) {
  const { type = 'custom', takesMs = 0, fails = () => false, ...taskOptions } = options;
  const seen = { startsAtMs: [] as number[], reasons: [] as string[], runningCount: 0, runningCountMax: 0 };
  const unregister = runner.registerTask(
    id,
    type,
    async ({ reason }: TaskContext) => {
      seen.startsAtMs.push(clock.nowMs());
      seen.reasons.push(reason);
      seen.runningCount += 1;
      seen.runningCountMax = Math.max(seen.runningCountMax, seen.runningCount);
      if (takesMs > 0) await new Promise<void>((resolve) => clock.schedule(takesMs, resolve));
      seen.runningCount -= 1;
      if (fails()) throw new Error('no luck');
    },
    taskOptions,
  );
  return Object.assign(seen, { unregister });
}

describe('by their intervals', () => {
  it('E6 · a task runs at the start and then at each interval, from start to start, however long it takes', async () => {
    const world = open();
    const task = counting(world, 'sweep', { intervalMs: MINUTE_MS, takesMs: 7_000 });
    await world.clock.pass(5 * MINUTE_MS);
    expect(task.startsAtMs).toEqual([]);

    world.runner.initialize();
    await world.clock.pass(3 * MINUTE_MS);
    const [first = 0] = task.startsAtMs;
    expect(task.startsAtMs.map((atMs) => atMs - first)).toEqual([0, MINUTE_MS, 2 * MINUTE_MS, 3 * MINUTE_MS]);
    expect(task.reasons.every((reason) => reason === 'interval')).toBe(true);
  });

  it('E6 · registered anew while its former function still goes on, as React does it, it begins when that has ended', async () => {
    const world = open();
    world.runner.initialize();
    const order: string[] = [];
    const register = (name: string) =>
      world.runner.registerTask(
        'sync',
        'sync',
        async () => {
          order.push(`${name} begins`);
          await new Promise<void>((resolve) => world.clock.schedule(5_000, resolve));
          order.push(`${name} ends`);
        },
        { intervalMs: MINUTE_MS },
      );
    const unregister = register('first');
    await world.clock.settle();

    unregister();
    register('second');
    await world.clock.pass(20_000);

    expect(order).toEqual(['first begins', 'first ends', 'second begins', 'second ends']);
  });

  it('E6 · a task never overlaps itself: what fell due meanwhile is one run, and the rhythm stays', async () => {
    const world = open();
    const task = counting(world, 'slow', { intervalMs: 10_000, takesMs: 35_000 });
    world.runner.initialize();
    const asked = world.runner.runTask('slow');
    await world.clock.pass(100_000);
    expect(task.runningCountMax).toBe(1);
    expect(task.startsAtMs).toEqual([0, 35_000, 70_000]);
    expect((await asked).startedAtMs).toBe(world.runner.getHistory()[0]?.startedAtMs);
  });

  it('E6 · of tasks that are due at once the urgent ones go first, and no more run than there are places', async () => {
    const world = open({ maxConcurrentCount: 2 });
    const low = counting(world, 'low', { priority: 'low', intervalMs: MINUTE_MS, takesMs: 1_000 });
    const normal = counting(world, 'normal', { intervalMs: MINUTE_MS, takesMs: 1_000 });
    const high = counting(world, 'high', { priority: 'high', intervalMs: MINUTE_MS, takesMs: 1_000 });
    world.runner.initialize();
    await world.clock.pass(MINUTE_MS + 5_000);
    expect([low, normal, high].map((task) => task.startsAtMs.at(-1))).toEqual([
      MINUTE_MS + 1_000,
      MINUTE_MS,
      MINUTE_MS,
    ]);
  });

  it('E6 · 20 tasks of all sorts begin on time in at least 95 % of their runs during a day', async () => {
    const world = open();
    for (let number = 0; number < 20; number += 1) {
      counting(world, `task ${number}`, {
        intervalMs: (1 + (number % 7)) * 30_000,
        takesMs: 100 + 150 * number,
        priority: number % 3 === 0 ? 'high' : 'low',
        fails: () => number === 5 && world.clock.nowMs() % 4 === 1,
      });
    }
    world.runner.initialize();
    await world.clock.pass(24 * 60 * MINUTE_MS);
    const stats = world.runner.getTaskStats();
    expect(stats.runCount).toBeGreaterThan(10_000);
    expect(stats.onTimeRate).toBeGreaterThanOrEqual(0.95);
    expect(world.runner.getHistory()).toHaveLength(100);
  });

  it('E6 · control: with one place and more work than time, being late shows in the figure', async () => {
    const world = open({ maxConcurrentCount: 1 });
    for (const id of ['a', 'b', 'c']) counting(world, id, { intervalMs: 10_000, takesMs: 6_000 });
    world.runner.initialize();
    await world.clock.pass(30 * MINUTE_MS);
    expect(world.runner.getTaskStats().onTimeRate).toBeLessThan(0.5);
  });
});

describe('when they fail', () => {
  it('E6 · a failing run is tried again after 1, 2 and 4 seconds at most, and counts once', async () => {
    const world = open({ random: () => 0.999_999 });
    let left = 3;
    const task = counting(world, 'flaky', { maxRetries: 3, fails: () => left-- > 0 });
    world.runner.initialize();
    const run = await world.clock.until(world.runner.runTask('flaky'));
    expect(run).toMatchObject({ outcome: 'success', attemptCount: 4, error: null, reason: 'request' });
    expect(task.startsAtMs.map(Math.round)).toEqual([0, 1_000, 3_000, 7_000]);
    expect(world.runner.getTaskStats('flaky')).toMatchObject({ runCount: 1, successRate: 1, failuresInARow: 0 });
  });

  it('E6 · after three failed runs in a row it is disabled and says so; a run by hand that succeeds enables it', async () => {
    const world = open();
    let isBroken = true;
    const task = counting(world, 'report', { intervalMs: MINUTE_MS, maxRetries: 0, fails: () => isBroken });
    world.runner.initialize();
    await world.clock.pass(10 * MINUTE_MS);
    expect(task.startsAtMs).toHaveLength(3);
    expect(world.runner.getTaskStats('report')).toMatchObject({
      isEnabled: false,
      nextRunAtMs: null,
      successRate: 0,
      failureCount: 3,
      lastRun: { outcome: 'failure', error: { code: 'UNKNOWN_FAILURE', message: 'no luck' } },
    });
    expect(world.events.filter(({ kind }) => kind === 'disabled')).toHaveLength(1);

    // still broken: it runs because somebody asks, and stays disabled
    await world.clock.until(world.runner.runTask('report'));
    expect(world.runner.getTaskStats('report')?.isEnabled).toBe(false);

    isBroken = false;
    await world.clock.until(world.runner.runTask('report'));
    await world.clock.pass(2 * MINUTE_MS);
    expect(world.runner.getTaskStats('report')).toMatchObject({ isEnabled: true, failuresInARow: 0 });
    expect(task.startsAtMs.length).toBeGreaterThanOrEqual(7);
  });

  it('E6 · one success in between begins the count anew, and enableTask gives another three', async () => {
    const world = open();
    const results = [true, true, false, true, true, true, true, true, true, true];
    counting(world, 'odd', { intervalMs: MINUTE_MS, maxRetries: 0, fails: () => results.shift() ?? false });
    world.runner.initialize();
    await world.clock.pass(20 * MINUTE_MS);
    expect(results).toHaveLength(4);
    world.runner.enableTask('odd');
    await world.clock.pass(20 * MINUTE_MS);
    expect(results).toHaveLength(1);
  });

  it('E6 · one that hangs is told to stop, gives its place to others, and is not started beside itself', async () => {
    const world = open({ maxConcurrentCount: 1 });
    let letGo = (): void => {};
    let wasTold = false;
    world.runner.registerTask(
      'hanging',
      'custom',
      ({ signal }) => {
        signal.addEventListener('abort', () => {
          wasTold = true;
        });
        return new Promise<void>((resolve) => {
          letGo = resolve;
        });
      },
      { runMsMax: 20_000 },
    );
    const other = counting(world, 'other');
    world.runner.initialize();
    const first = world.runner.runTask('hanging');
    const second = world.runner.runTask('other');
    expect(await world.clock.until(first)).toMatchObject({ outcome: 'failure', error: { code: 'TASK_TIMEOUT' } });
    await world.clock.until(second);
    expect([wasTold, other.startsAtMs]).toEqual([true, [20_000]]);

    let hasStarted = false;
    world.runner.on(({ kind }) => {
      if (kind === 'started') hasStarted = true;
    });
    const again = world.runner.runTask('hanging');
    await world.clock.pass(MINUTE_MS);
    expect([hasStarted, world.runner.getTaskStats('hanging')?.isRunning]).toEqual([false, true]);
    letGo();
    await world.clock.settle();
    expect(hasStarted).toBe(true);
    letGo();
    expect(await world.clock.until(again)).toMatchObject({ outcome: 'success' });
  });
});

describe('when the platform wakes the app', () => {
  it('E6 · what fell due while the app slept is one run when it comes to the foreground', async () => {
    const world = open();
    const task = counting(world, 'sweep', { intervalMs: 10 * MINUTE_MS });
    const fresh = counting(world, 'rare', { intervalMs: 24 * 60 * MINUTE_MS });
    world.runner.initialize();
    await world.clock.pass(MINUTE_MS);
    // the device slept for an hour: its monotonic clock stood still, its wall clock did not
    world.clock.wallOffsetMs += 60 * MINUTE_MS;
    world.wake('foreground');
    await world.clock.settle();
    expect(task.reasons).toEqual(['interval', 'catchUp']);
    expect(fresh.reasons).toEqual(['interval']);
    expect(world.runner.getHistory().at(-1)).toMatchObject({ taskId: 'sweep', lateMs: null });
    world.wake('foreground');
    await world.clock.settle();
    expect(task.reasons).toHaveLength(2);
  });

  it('E6 · when the platform says that now is a time to send, the sync tasks run, and no others', async () => {
    const world = open();
    const sync = counting(world, 'push', { type: 'sync' });
    const other = counting(world, 'count', { type: 'analytics' });
    world.runner.initialize();
    world.wake('backgroundSync');
    await world.clock.settle();
    expect([sync.reasons, other.reasons]).toEqual([['backgroundSync'], []]);
  });
});

describe('mistakes and endings', () => {
  it('E6 · wrong options, a taken id and unknown tasks are refused with what to do', async () => {
    const { runner } = open();
    runner.registerTask('one', 'custom', () => {});
    const wrong: readonly (readonly [string, () => unknown])[] = [
      ['There is a task "one" already.', () => runner.registerTask('one', 'custom', () => {})],
      [
        'Task "two": `intervalMs` must be at least 1, or null; it is 0.',
        () => runner.registerTask('two', 'custom', () => {}, { intervalMs: 0 }),
      ],
      [
        'Task "": the id must be a text that is not empty; it is "".',
        () => runner.registerTask('', 'custom', () => {}),
      ],
      [
        'Task "x": the type must be one of sync, cleanup, analytics, notification, custom; it is "job".',
        () => runner.registerTask('x', 'job' as TaskType, () => {}),
      ],
      [
        'Task "x": `maxRetries` must be a whole number of at least 0; it is -1.',
        () => runner.registerTask('x', 'custom', () => {}, { maxRetries: -1 }),
      ],
      ['There is no task "three".', () => runner.enableTask('three')],
      [
        '`maxConcurrentCount` must be a whole number of at least 1; it is 0.',
        () => createTaskRunner({ maxConcurrentCount: 0 }),
      ],
    ];
    for (const [message, call] of wrong) expect(call).toThrow(message);
    await expect(runner.runTask('three')).rejects.toMatchObject({ code: 'UNKNOWN_TASK' });
    expect(runner.getTaskStats('three')).toBeUndefined();
    expect(runner.getTaskStats()).toMatchObject({ taskCount: 1, runCount: 0, successRate: null, onTimeRate: null });
  });

  it('E6 · closing tells what runs, gives up what waits, and nothing starts or listens any more', async () => {
    const world = open({ maxConcurrentCount: 1 });
    let reason: unknown;
    world.runner.registerTask('long', 'custom', ({ signal }) => {
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          reason = signal.reason;
          reject(signal.reason as Error);
        });
      });
    });
    const waiting = counting(world, 'waiting', { intervalMs: MINUTE_MS });
    const running = world.runner.runTask('long');
    world.runner.initialize();
    expect(world.isListening()).toBe(true);

    world.runner.close();
    expect(await world.clock.until(running)).toMatchObject({ outcome: 'aborted' });
    expect(reason).toMatchObject({ code: 'TASK_RUNNER_CLOSED' });
    await world.clock.pass(5 * MINUTE_MS);
    expect([waiting.startsAtMs, world.isListening(), world.clock.waitingCount]).toEqual([[], false, 0]);
    await expect(world.runner.runTask('long')).rejects.toMatchObject({ code: 'TASK_RUNNER_CLOSED' });
  });

  it('E6 · a task that is unregistered does not run again, and its id is free', async () => {
    const world = open();
    const task = counting(world, 'sweep', { intervalMs: MINUTE_MS });
    world.runner.initialize();
    await world.clock.pass(10);
    task.unregister();
    await world.clock.pass(5 * MINUTE_MS);
    expect([task.startsAtMs.length, world.clock.waitingCount]).toEqual([1, 0]);
    counting(world, 'sweep');
  });

  it('E6 · a listener that throws is reported, and harms nothing', async () => {
    const errors: string[] = [];
    const world = open({ onError: ({ code }) => errors.push(code) });
    world.runner.on(() => {
      throw new Error('oops');
    });
    const task = counting(world, 'sweep');
    await world.clock.until(world.runner.runTask('sweep'));
    expect([task.startsAtMs.length, errors]).toEqual([1, ['LISTENER_FAILED', 'LISTENER_FAILED']]);
  });
});
