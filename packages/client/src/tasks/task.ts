import { HoldfastError } from '../mutation/holdfast-error.ts';
import type { RecordPriority } from '../mutation/record.ts';
import type { WireError } from '../protocol/wire.ts';

export const TASK_TYPES = ['sync', 'cleanup', 'analytics', 'notification', 'custom'] as const;
/** What a task is for. A `sync` task also runs when the platform says that now is a time to send. */
export type TaskType = (typeof TASK_TYPES)[number];

/**
 * Why a task ran: its interval was over; it had become due while the app slept (`catchUp`); the platform woke the app to send
 * (`backgroundSync`); somebody called `runTask` (`request`).
 */
export type TaskReason = 'interval' | 'catchUp' | 'backgroundSync' | 'request';

/** What a task is told when it runs. */
export interface TaskContext {
  /** Aborted when the time is up, and when the runner is closed. */
  readonly signal: AbortSignal;
  /** The first is 1. */
  readonly attemptNumber: number;
  readonly reason: TaskReason;
}

/** What a promise of it comes to is not looked at; one that rejects, or a call that throws, is a failure. */
export type TaskFunction = (context: TaskContext) => unknown;

export interface TaskOptions {
  /** Which of those that are due at once goes first. @default 'normal' */
  readonly priority?: RecordPriority;
  /** From one start to the next, in milliseconds; null for a task that only runs when it is asked to. @default null */
  readonly intervalMs?: number | null;
  /** Attempts after the first within one run, after 1, 2, 4 … seconds. @default 3 */
  readonly maxRetries?: number;
  /**
   * Longest time of one run with all its retries, in milliseconds. When it is over, the signal is aborted and the run counts
   * as failed; what does not listen to the signal is not started a second time until it has ended.
   * @default 60_000
   */
  readonly runMsMax?: number;
}

/** One run, with all its attempts. */
export interface TaskRun {
  readonly taskId: string;
  readonly type: TaskType;
  readonly reason: TaskReason;
  /** By the device's clock. */
  readonly startedAtMs: number;
  readonly durationMs: number;
  /** How long after it was due it began. Null for one that was not due by its interval, and after a sleep. */
  readonly lateMs: number | null;
  readonly attemptCount: number;
  /** `aborted`: the runner was closed, or the task unregistered, in the middle of it. */
  readonly outcome: 'success' | 'failure' | 'aborted';
  readonly error: WireError | null;
}

/** How a task does. Rates are 0 to 1, and null where nothing was measured. */
export interface TaskStats {
  readonly id: string;
  readonly type: TaskType;
  readonly priority: RecordPriority;
  readonly intervalMs: number | null;
  /** False after three failed runs in a row, until `enableTask` or a `runTask` that succeeds. */
  readonly isEnabled: boolean;
  readonly isRunning: boolean;
  readonly runCount: number;
  readonly successCount: number;
  readonly failureCount: number;
  readonly failuresInARow: number;
  readonly successRate: number | null;
  /** Of the runs that were due by their interval while the app ran, those that began in time. */
  readonly onTimeRate: number | null;
  readonly averageDurationMs: number | null;
  readonly lastRun: TaskRun | null;
  /** By the device's clock; null when no run is planned. */
  readonly nextRunAtMs: number | null;
}

/** All tasks together, and each. */
export interface AllTaskStats
  extends Pick<TaskStats, 'runCount' | 'successCount' | 'failureCount' | 'successRate' | 'onTimeRate'> {
  readonly taskCount: number;
  readonly disabledCount: number;
  readonly tasks: readonly TaskStats[];
}

/** Options with nothing left open. Throws `INVALID_OPTION`. */
export function resolveTaskOptions(id: string, type: TaskType, options: TaskOptions): Required<TaskOptions> {
  const { priority = 'normal', intervalMs = null, maxRetries = 3, runMsMax = 60_000 } = options;
  const must = (isRight: boolean, name: string, what: string, value: unknown): void => {
    if (isRight) return;
    throw new HoldfastError({
      code: 'INVALID_OPTION',
      message: `Task "${id}": ${name} must be ${what}; it is ${JSON.stringify(value) ?? String(value)}.`,
      hint: `Correct ${name} at \`registerTask\`.`,
    });
  };
  must(id !== '', 'the id', 'a text that is not empty', id);
  must(TASK_TYPES.includes(type), 'the type', `one of ${TASK_TYPES.join(', ')}`, type);
  must(['high', 'normal', 'low'].includes(priority), '`priority`', 'high, normal or low', priority);
  must(
    intervalMs === null || (Number.isFinite(intervalMs) && intervalMs >= 1),
    '`intervalMs`',
    'at least 1, or null',
    intervalMs,
  );
  must(Number.isInteger(maxRetries) && maxRetries >= 0, '`maxRetries`', 'a whole number of at least 0', maxRetries);
  must(runMsMax > 0, '`runMsMax`', 'more than 0', runMsMax);
  return { priority, intervalMs, maxRetries, runMsMax };
}
