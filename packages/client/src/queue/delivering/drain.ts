import { isDraining } from '../tabs/leader-answers.ts';
import type { QueueEvents, Settled } from '../queue-events.ts';
import type { QueueSnapshot } from '../queue-snapshot.ts';
import type { Runner } from '../runner.ts';

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

/** Another tab, which delivers, is asked again after this whether it goes on, in milliseconds. */
const ASK_AGAIN_MS = 500;

/** Asks to go on at once, and resolves when all that is pending has settled, or nothing can go on by itself. */
export async function drain({ runner, snapshot, onSettled, onChange, progress }: DrainPorts): Promise<DrainResult> {
  const open = new Set(
    [...runner.engine.mutations.all()].filter(({ phase }) => phase.kind !== 'failed').map(({ id }) => id),
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
    let isAsking = false;
    const look = (): void => {
      const { engine, isEnded } = runner;
      if (engine.isLeader || isEnded) {
        // What else this change brings, such as the last verdict, is still counted.
        if (isEnded || !isDraining(engine, runner.moment().nowMs)) void Promise.resolve().then(finish);
        return;
      }
      if (isAsking) return;
      isAsking = true;
      void runner.askLeader.ask({ kind: 'isDraining' }).then((answer) => {
        const goesOn = answer ?? seemsToDrain(runner, snapshot());
        if (!goesOn) finish();
        else
          stops.push(
            runner.alarms.after(ASK_AGAIN_MS, () => {
              isAsking = false;
              look();
            }),
          );
      });
    };
    stops.push(
      onSettled(({ id, status }) => {
        if (!open.delete(id)) return;
        if (status === 'completed') succeeded += 1;
        else failed += 1;
        progress({ doneCount: total - open.size, totalCount: total });
        if (open.size === 0) finish();
      }),
      onChange(look),
    );
    runner.post({ kind: 'nudge' });
    runner.dispatch({ kind: 'hint', hint: 'nudge' });
    look();
  });
}

/** What a tab sees that does not deliver, while nobody does: someone is about to take over. */
function seemsToDrain(runner: Runner, { waitingFor, processingCount }: QueueSnapshot): boolean {
  return (
    waitingFor === 'nothing' &&
    (processingCount > 0 || runner.engine.mutations.schedule.hasReady(runner.moment().nowMs))
  );
}
