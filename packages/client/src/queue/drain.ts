import type { QueueEvents, Settled } from './queue-events.ts';
import type { QueueSnapshot } from './queue-reader.ts';
import type { Runner } from './runner.ts';

export interface DrainResult {
  readonly succeeded: number;
  readonly failed: number;
  readonly total: number;
}

export interface DrainPorts {
  readonly runner: Runner;
  readonly snapshot: () => QueueSnapshot;
  readonly onSettled: (listener: (settled: Settled) => void) => () => void;
  readonly onChange: (listener: () => void) => () => void;
  readonly progress: (event: QueueEvents['progress']) => void;
}

/** Asks to go on at once, and resolves when all that is pending has settled, or nothing can go on by itself. */
export async function drain({ runner, snapshot, onSettled, onChange, progress }: DrainPorts): Promise<DrainResult> {
  const open = new Set(
    [...runner.engine.mutations.all()].filter(({ phase }) => phase.kind !== 'failed').map(({ header }) => header.id),
  );
  const total = open.size;
  let succeeded = 0;
  let failed = 0;
  if (total === 0) return { succeeded, failed, total };
  return new Promise((resolve) => {
    const stops: (() => void)[] = [];
    const finish = (): void => {
      for (const stop of stops) stop();
      resolve({ succeeded, failed, total });
    };
    stops.push(
      onSettled(({ id, status }) => {
        if (!open.delete(id)) return;
        if (status === 'completed') succeeded += 1;
        else failed += 1;
        progress({ doneCount: total - open.size, totalCount: total });
        if (open.size === 0) finish();
      }),
      onChange(() => {
        // What else this change brings, such as the last verdict, is still counted.
        if (!isDraining(runner, snapshot())) void Promise.resolve().then(finish);
      }),
    );
    runner.post({ kind: 'nudge' });
    runner.dispatch({ kind: 'hint', hint: 'nudge' });
    if (!isDraining(runner, snapshot())) finish();
  });
}

function isDraining(runner: Runner, snapshot: QueueSnapshot): boolean {
  const { engine } = runner;
  const { state } = engine.gates.line;
  const isChecking = (state.kind === 'down' && state.isChecking) || engine.gates.isRefreshing;
  // A tab that does not deliver sees only what the other one tells.
  return engine.isLeader
    ? engine.isBusy(runner.moment().nowMs) || isChecking
    : snapshot.waitingFor === 'nothing' &&
        (snapshot.processingCount > 0 || engine.mutations.schedule.hasReady(runner.moment().nowMs));
}
