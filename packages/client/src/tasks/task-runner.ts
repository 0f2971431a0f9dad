import { executeWithRetry } from '../delivery/execute-with-retry.ts';
import { HoldfastError, isHoldfastError, messageOf } from '../mutation/holdfast-error.ts';
import type { Clock, Random } from '../ports/clock.ts';
import { systemClock, systemRandom } from '../ports/system-clock.ts';
import type { WakeReason, Wakeups } from '../ports/wakeups.ts';
import type { WireError } from '../protocol/wire.ts';
import { Emitter, listenerFailed } from '../telemetry/emitter.ts';
import {
  type AllTaskStats,
  resolveTaskOptions,
  type TaskFunction,
  type TaskOptions,
  type TaskReason,
  type TaskRun,
  type TaskStats,
  type TaskType,
} from './task.ts';
import { TaskBook } from './task-book.ts';

export interface TaskRunnerOptions {
  /** What tells that the app is before its user again, or may send: `pageWakeups()` in a browser. @default none */
  readonly wakeups?: readonly Wakeups[];
  /** Tasks that run at once; more that are due wait, the urgent ones in front. @default 3 */
  readonly maxConcurrentCount?: number;
  /** Told of listeners that fail. */
  readonly onError?: (error: HoldfastError) => void;
  /** @default the platform's */
  readonly clock?: Clock;
  /** @default the platform's */
  readonly random?: Random;
}

export type TaskEvent =
  | { readonly kind: 'started'; readonly taskId: string; readonly reason: TaskReason }
  | { readonly kind: 'ended'; readonly run: TaskRun }
  | { readonly kind: 'disabled'; readonly taskId: string; readonly error: WireError };

const HISTORY_COUNT = 100;
const FAILURES_IN_A_ROW_MAX = 3;
/** An alarm that rings later than this, in milliseconds, was held back by the platform: the app slept. */
const SLEEP_MS = 5_000;
const RANK = { high: 0, normal: 1, low: 2 } as const;

interface Task {
  readonly id: string;
  readonly type: TaskType;
  readonly run: TaskFunction;
  readonly options: Required<TaskOptions>;
  readonly book: TaskBook;
  failuresInARow: number;
  isEnabled: boolean;
  /** By the monotonic clock; null when it is not planned. */
  dueAtMs: number | null;
  /** By the device's clock, which goes on while the device sleeps: the last start, or when it was first planned. */
  sinceWallMs: number;
  /** Waits for a place, or for its own last run to end. */
  ready: PlannedRun | null;
  /** From the start until its function has really ended, however long after its time was up that is. */
  running: RunningTask | null;
}

interface PlannedRun {
  readonly reason: TaskReason;
  /** By the monotonic clock; null where being late says nothing about the runner. */
  readonly dueAtMs: number | null;
  readonly ended: Promise<TaskRun>;
  readonly resolve: (run: TaskRun) => void;
  readonly reject: (error: HoldfastError) => void;
}

interface RunningTask {
  readonly abort: AbortController;
  /** Null once it was recorded, though its function still goes on. */
  ended: Promise<TaskRun> | null;
}

/**
 * Runs an app's background tasks while the app runs.
 *
 *   planned ──due, woken, asked for──▶ ready ──a place is free──▶ running ──success──▶ planned
 *      ▲                                                             └─failure (all retries)──▶ planned; disabled after three in a row
 *      └── enableTask, or a runTask that succeeds ── disabled
 *
 * Runs are planned from start to start, so that nothing drifts. A task never overlaps itself: what falls due while it runs
 * is one run as soon as it has ended. What fell due while the app slept is one run when it wakes.
 */
export class TaskRunner {
  private readonly tasks = new Map<string, Task>();
  /** Of tasks that were taken out while their function was running, until that has ended. */
  private readonly ending = new Map<string, AbortController>();
  private readonly history: TaskRun[] = [];
  private readonly total = new TaskBook();
  private readonly events: Emitter<TaskEvent>;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly wakeups: readonly Wakeups[];
  private freePlaceCount: number;
  private phase: 'new' | 'started' | 'closed' = 'new';
  private stops: readonly (() => void)[] = [];
  private alarm: { readonly atMs: number; readonly cancel: () => void } | null = null;

  constructor(options: TaskRunnerOptions = {}) {
    const { wakeups = [], maxConcurrentCount = 3, onError } = options;
    if (!Number.isInteger(maxConcurrentCount) || maxConcurrentCount < 1) {
      throw new HoldfastError({
        code: 'INVALID_OPTION',
        message: `\`maxConcurrentCount\` must be a whole number of at least 1; it is ${maxConcurrentCount}.`,
        hint: 'Correct it at `createTaskRunner`.',
      });
    }
    this.clock = options.clock ?? systemClock;
    this.random = options.random ?? systemRandom;
    this.wakeups = wakeups;
    this.freePlaceCount = maxConcurrentCount;
    this.events = new Emitter((error) => onError?.(listenerFailed(error)));
  }

  /**
   * Adds a task; returns what takes it out again, and ends a run of it. With an interval it is due at once when the runner
   * starts, or now if it has started. Throws `INVALID_OPTION`, also for an id that is taken.
   */
  registerTask(id: string, type: TaskType, run: TaskFunction, options: TaskOptions = {}): () => void {
    this.expectOpen();
    if (this.tasks.has(id)) {
      throw new HoldfastError({
        code: 'INVALID_OPTION',
        message: `There is a task "${id}" already.`,
        hint: 'Give this one another id, or unregister the first by what its `registerTask` returned.',
      });
    }
    const former = this.ending.get(id);
    const task: Task = {
      id,
      type,
      run,
      options: resolveTaskOptions(id, type, options),
      book: new TaskBook(),
      failuresInARow: 0,
      isEnabled: true,
      dueAtMs: null,
      sinceWallMs: this.clock.wallMs(),
      ready: null,
      running: former === undefined ? null : { abort: former, ended: null },
    };
    this.tasks.set(id, task);
    this.plan(task);
    this.startDue(false);
    return () => {
      if (this.tasks.get(id) !== task) return;
      this.tasks.delete(id);
      if (task.running !== null) this.ending.set(id, task.running.abort);
      this.give(task, closedError(`Task "${id}" was unregistered.`));
    };
  }

  /** Begins to run what is registered, and to listen to the platform. A second call does nothing. */
  initialize(): void {
    this.expectOpen();
    if (this.phase === 'started') return;
    this.phase = 'started';
    this.stops = this.wakeups.map((listen) => listen((reason) => this.wake(reason)));
    for (const task of this.tasks.values()) this.plan(task);
    this.startDue(false);
  }

  /**
   * Runs it now, or as soon as a place is free, whatever its interval, also while it is disabled or the runner was not started.
   * Resolves with what it came to, failure included; while it runs already, with that run. Rejects with `UNKNOWN_TASK` and
   * `TASK_RUNNER_CLOSED`.
   */
  async runTask(id: string): Promise<TaskRun> {
    this.expectOpen();
    const task = this.taskOf(id);
    const ended = task.running?.ended ?? task.ready?.ended ?? this.makeReady(task, 'request', null);
    this.fillPlaces();
    return ended;
  }

  /** Lets a task that was disabled run again. Throws `UNKNOWN_TASK`. */
  enableTask(id: string): void {
    this.enable(this.taskOf(id));
  }

  /** The last 100 runs of all tasks, oldest first. */
  getHistory(): readonly TaskRun[] {
    return [...this.history];
  }

  /** Of one task, or undefined when there is none of that id; without an id, of all together and each. */
  getTaskStats(): AllTaskStats;
  getTaskStats(id: string): TaskStats | undefined;
  getTaskStats(id?: string): AllTaskStats | TaskStats | undefined {
    if (id !== undefined) {
      const task = this.tasks.get(id);
      return task === undefined ? undefined : this.statsOf(task);
    }
    const tasks = [...this.tasks.values()].map((task) => this.statsOf(task));
    const { runCount, successCount, failureCount, successRate, onTimeRate } = this.total;
    const disabledCount = tasks.filter(({ isEnabled }) => !isEnabled).length;
    return {
      taskCount: tasks.length,
      disabledCount,
      runCount,
      successCount,
      failureCount,
      successRate,
      onTimeRate,
      tasks,
    };
  }

  /** Told of each start and end, and of a task that is disabled. Returns an unsubscribe. */
  on(listener: (event: TaskEvent) => void): () => void {
    return this.events.on(listener);
  }

  /** Ends everything: nothing starts any more, and what runs is told by its signal. A second call does nothing. */
  close(): void {
    if (this.phase === 'closed') return;
    this.phase = 'closed';
    for (const stop of this.stops) stop();
    this.alarm?.cancel();
    for (const task of this.tasks.values()) this.give(task, closedError('The task runner was closed.'));
  }

  private expectOpen(): void {
    if (this.phase === 'closed') throw closedError('The task runner is closed.');
  }

  private taskOf(id: string): Task {
    const task = this.tasks.get(id);
    if (task !== undefined) return task;
    throw new HoldfastError({
      code: 'UNKNOWN_TASK',
      message: `There is no task "${id}".`,
      hint: 'Register it first, or correct the id.',
    });
  }

  /** Nobody waits for it any more. */
  private give(task: Task, error: HoldfastError): void {
    task.ready?.reject(error);
    task.ready = null;
    task.running?.abort.abort(error);
  }

  private enable(task: Task): void {
    task.failuresInARow = 0;
    task.isEnabled = true;
    if (task.dueAtMs === null) this.plan(task);
    this.startDue(false);
  }

  private plan(task: Task): void {
    if (task.options.intervalMs === null || this.phase !== 'started') return;
    task.dueAtMs = this.clock.nowMs();
    task.sinceWallMs = this.clock.wallMs();
  }

  private wake(reason: WakeReason): void {
    const wallMs = this.clock.wallMs();
    for (const task of this.tasks.values()) {
      if (!isIdle(task)) continue;
      const { intervalMs } = task.options;
      if (reason === 'backgroundSync' && task.type === 'sync') void this.makeReady(task, 'backgroundSync', null);
      // The monotonic clock may have stood still in the meantime.
      else if (intervalMs !== null && wallMs - task.sinceWallMs >= intervalMs)
        void this.makeReady(task, 'catchUp', null);
    }
    this.startDue(true);
  }

  /** Everything whose time has come. */
  private startDue(hasSlept: boolean): void {
    if (this.phase !== 'started') return;
    const nowMs = this.clock.nowMs();
    for (const task of this.tasks.values()) {
      if (!isIdle(task)) continue;
      if (task.dueAtMs === null || task.dueAtMs > nowMs) continue;
      void this.makeReady(task, hasSlept ? 'catchUp' : 'interval', hasSlept ? null : task.dueAtMs);
    }
    this.fillPlaces();
    this.setAlarm();
  }

  private setAlarm(): void {
    let atMs = Number.POSITIVE_INFINITY;
    for (const task of this.tasks.values()) if (isIdle(task)) atMs = Math.min(atMs, task.dueAtMs ?? atMs);
    if (this.alarm?.atMs === atMs) return;
    this.alarm?.cancel();
    this.alarm = null;
    if (atMs === Number.POSITIVE_INFINITY) return;
    const ring = (): void => {
      this.alarm = null;
      this.startDue(this.clock.nowMs() - atMs > SLEEP_MS);
    };
    this.alarm = { atMs, cancel: this.clock.schedule(Math.max(0, atMs - this.clock.nowMs()), ring) };
  }

  /** Resolves with what the run comes to. */
  private makeReady(task: Task, reason: TaskReason, dueAtMs: number | null): Promise<TaskRun> {
    let settle!: Pick<PlannedRun, 'resolve' | 'reject'>;
    const ended = new Promise<TaskRun>((resolve, reject) => {
      settle = { resolve, reject };
    });
    // Who did not ask for it need not hear that it was given up.
    ended.catch(() => {});
    task.ready = { reason, dueAtMs, ended, ...settle };
    return ended;
  }

  /** The most urgent first; among equals the one that was registered first. */
  private fillPlaces(): void {
    while (this.freePlaceCount > 0) {
      let next: Task | undefined;
      for (const task of this.tasks.values()) {
        if (task.ready === null || task.running !== null) continue;
        if (next === undefined || RANK[task.options.priority] < RANK[next.options.priority]) next = task;
      }
      if (next?.ready == null) return;
      void this.start(next, next.ready);
    }
  }

  private async start(task: Task, planned: PlannedRun): Promise<void> {
    const running: RunningTask = { abort: new AbortController(), ended: planned.ended };
    task.ready = null;
    task.running = running;
    task.sinceWallMs = this.clock.wallMs();
    this.planNext(task);
    this.freePlaceCount -= 1;
    this.events.emit({ kind: 'started', taskId: task.id, reason: planned.reason });

    const { run, hasEnded } = await this.execute(task, planned, running.abort);
    running.ended = null;
    this.record(task, run);
    this.freePlaceCount += 1;
    planned.resolve(run);
    this.fillPlaces();

    await hasEnded;
    task.running = null;
    this.endFormer(task.id, running.abort);
    this.fillPlaces();
    this.startDue(false);
  }

  /** Whoever was registered in its place meanwhile may begin. */
  private endFormer(id: string, abort: AbortController): void {
    if (this.ending.get(id) !== abort) return;
    this.ending.delete(id);
    const task = this.tasks.get(id);
    if (task !== undefined) task.running = null;
  }

  /** The next moment of its rhythm that is not over yet. */
  private planNext(task: Task): void {
    const { intervalMs } = task.options;
    if (this.phase !== 'started' || intervalMs === null) return;
    const nowMs = this.clock.nowMs();
    const fromMs = task.dueAtMs === null || task.dueAtMs > nowMs ? nowMs : task.dueAtMs;
    task.dueAtMs = fromMs + intervalMs * (Math.floor((nowMs - fromMs) / intervalMs) + 1);
  }

  private async execute(
    task: Task,
    { reason, dueAtMs }: PlannedRun,
    abort: AbortController,
  ): Promise<{ readonly run: TaskRun; readonly hasEnded: Promise<unknown> }> {
    const { clock, random } = this;
    const { signal } = abort;
    const startedAtMs = clock.wallMs();
    const fromMs = clock.nowMs();
    let attemptCount = 0;
    const isOver = new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
    const timeUp = clock.schedule(task.options.runMsMax, () => {
      const message = `Task "${task.id}" has not ended within ${task.options.runMsMax} ms.`;
      const hint = 'Do less in one run, listen to its signal, or raise `runMsMax`.';
      abort.abort(new HoldfastError({ code: 'TASK_TIMEOUT', message, hint }));
    });
    const attempt = async (attemptNumber: number): Promise<void> => {
      attemptCount = attemptNumber;
      await task.run({ signal, attemptNumber, reason });
    };
    const work = executeWithRetry(({ attemptNumber }) => attempt(attemptNumber), {
      maxRetries: task.options.maxRetries,
      // Whatever an app's own function throws may pass.
      isRetryable: () => true,
      signal,
      clock,
      random,
    });
    let failure: unknown = null;
    try {
      await Promise.race([work, isOver]);
    } catch (error) {
      failure = error;
    }
    timeUp();
    const error = failure === null ? null : toWire(failure);
    const wasGivenUp = error?.code === 'TASK_RUNNER_CLOSED';
    const outcome = error === null ? 'success' : wasGivenUp ? 'aborted' : 'failure';
    const durationMs = clock.nowMs() - fromMs;
    const lateMs = dueAtMs === null ? null : fromMs - dueAtMs;
    const { id: taskId, type } = task;
    const run = { taskId, type, reason, startedAtMs, durationMs, lateMs, attemptCount, outcome, error } as const;
    return { run, hasEnded: work.catch(() => {}) };
  }

  private record(task: Task, run: TaskRun): void {
    for (const book of [task.book, this.total]) book.note(run, task.options.intervalMs);
    this.history.push(run);
    if (this.history.length > HISTORY_COUNT) this.history.shift();
    this.events.emit({ kind: 'ended', run });
    if (run.outcome === 'success') {
      if (task.isEnabled) task.failuresInARow = 0;
      else this.enable(task);
    }
    if (run.outcome !== 'failure' || run.error === null) return;
    task.failuresInARow += 1;
    if (task.failuresInARow < FAILURES_IN_A_ROW_MAX || !task.isEnabled) return;
    task.isEnabled = false;
    task.dueAtMs = null;
    this.events.emit({ kind: 'disabled', taskId: task.id, error: run.error });
  }

  private statsOf(task: Task): TaskStats {
    const { id, type, book, options, isEnabled, failuresInARow, dueAtMs } = task;
    const { runCount, successCount, failureCount, successRate, onTimeRate, averageDurationMs, lastRun } = book;
    const isPlanned = isEnabled && dueAtMs !== null && this.phase === 'started';
    return {
      id,
      type,
      priority: options.priority,
      intervalMs: options.intervalMs,
      isEnabled,
      isRunning: task.running !== null,
      runCount,
      successCount,
      failureCount,
      failuresInARow,
      successRate,
      onTimeRate,
      averageDurationMs,
      lastRun,
      nextRunAtMs: isPlanned ? this.clock.wallMs() + Math.max(0, dueAtMs - this.clock.nowMs()) : null,
    };
  }
}

/** A runner of background tasks. Nothing runs before `initialize`. Throws `INVALID_OPTION`. */
export function createTaskRunner(options: TaskRunnerOptions = {}): TaskRunner {
  return new TaskRunner(options);
}

function isIdle(task: Task): boolean {
  return task.isEnabled && task.ready === null && task.running === null;
}

function closedError(message: string): HoldfastError {
  return new HoldfastError({ code: 'TASK_RUNNER_CLOSED', message, hint: 'Create another runner to go on.' });
}

function toWire(failure: unknown): WireError {
  if (isHoldfastError(failure)) return failure.toWire();
  const message = messageOf(failure);
  return { category: 'UNKNOWN_ERROR', code: 'UNKNOWN_FAILURE', message };
}
