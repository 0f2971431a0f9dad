import type { TaskRun } from './task.ts';

/** A run counts as on time when it began within this part of its interval after it was due, or within a second if that is more. */
const LATE_SHARE_MAX = 0.1;
const LATE_MS_MAX = 1_000;

/** What the runs of one task, or of all, came to; of constant size. */
export class TaskBook {
  runCount = 0;
  successCount = 0;
  failureCount = 0;
  private durationMs = 0;
  private plannedCount = 0;
  private onTimeCount = 0;
  lastRun: TaskRun | null = null;

  note(run: TaskRun, intervalMs: number | null): void {
    this.runCount += 1;
    if (run.outcome === 'success') this.successCount += 1;
    if (run.outcome === 'failure') this.failureCount += 1;
    this.durationMs += run.durationMs;
    this.lastRun = run;
    if (run.lateMs === null || intervalMs === null) return;
    this.plannedCount += 1;
    if (run.lateMs <= Math.max(LATE_MS_MAX, intervalMs * LATE_SHARE_MAX)) this.onTimeCount += 1;
  }

  /** Of the runs that ended by themselves. */
  get successRate(): number | null {
    return share(this.successCount, this.successCount + this.failureCount);
  }

  get onTimeRate(): number | null {
    return share(this.onTimeCount, this.plannedCount);
  }

  get averageDurationMs(): number | null {
    return share(this.durationMs, this.runCount);
  }
}

function share(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole;
}
