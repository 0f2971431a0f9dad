import { Button, CloseButton, Progress, Text } from '@mantine/core';
import type { BulkFailure } from 'holdfast';
import { type ReactNode, useSyncExternalStore } from 'react';
import { nameOfRow } from '../workspace/mutations.ts';
import { refusalText } from '../workspace/refusal-words.ts';
import { subscribeTo, useCrmState, useWorkspace } from '../workspace/workspace-context.ts';
import { type ChangeInput, useBulk } from './bulk-context.ts';
import classes from './bulk.module.css';

const SHOWN_COUNT = 20;
const numbers = new Intl.NumberFormat('en');

/** How far a bulk change is, with a way to stop it; and then what became of each that did not work. */
export function BulkStatus(): ReactNode {
  const { title, progress, isRunning, report, stop, retryFailed, dismiss } = useBulk();
  const retryableCount = useRetryableCount(report?.failures ?? []);
  if (title === null || progress === null) return null;
  const { confirmedCount, failedCount, cancelledCount, totalCount, storedCount, state } = progress;
  const isStoring = state === 'storing' || state === 'waitingForRoom';
  return (
    <section className={classes.status} aria-label="Bulk change">
      <div className={classes.line}>
        <Text size="sm" fw={600} role="status">
          {title}:{' '}
          {isRunning
            ? isStoring
              ? 'saving on this device'
              : 'waiting to be confirmed'
            : report === null
              ? 'ending'
              : endOf(progress)}
        </Text>
        <div className={classes.acts}>
          {isRunning ? (
            <Button size="compact-sm" variant="default" onClick={stop}>
              Stop
            </Button>
          ) : (
            <>
              {retryableCount > 0 ? (
                <Button size="compact-sm" variant="light" onClick={() => void retryFailed()}>
                  Try failed ones again
                </Button>
              ) : null}
              <CloseButton aria-label="Dismiss the report" onClick={dismiss} />
            </>
          )}
        </div>
      </div>
      {isRunning ? (
        <Progress.Root size="sm">
          <Progress.Section value={(100 * confirmedCount) / totalCount} aria-label="Confirmed" />
          <Progress.Section value={(100 * failedCount) / totalCount} color="red" aria-label="Not accepted" />
          <Progress.Section
            value={(100 * Math.max(0, storedCount - confirmedCount - failedCount)) / totalCount}
            color="gray.5"
            aria-label="Saved on this device"
          />
        </Progress.Root>
      ) : null}
      <Text size="sm" className="soft">
        {numbers.format(confirmedCount)} of {numbers.format(totalCount)} confirmed
        {isRunning ? `, ${numbers.format(storedCount)} saved on this device` : ''}
        {failedCount > 0 ? `, ${numbers.format(failedCount)} not accepted` : ''}
        {cancelledCount > 0 ? `, ${numbers.format(cancelledCount)} not made` : ''}
        {report !== null && report.underWayCount > 0
          ? `, ${numbers.format(report.underWayCount)} still on their way`
          : ''}
      </Text>
      {report !== null && report.failures.length > 0 ? <Failures failures={report.failures} /> : null}
    </section>
  );
}

/** How many of them can be tried again: neither settled elsewhere meanwhile, nor of rows that were changed again since. */
function useRetryableCount(failures: readonly BulkFailure<ChangeInput>[]): number {
  const { queue } = useWorkspace();
  return useSyncExternalStore(subscribeTo(queue), () => {
    if (failures.length === 0) return 0;
    const overtaken = queue.listOvertaken();
    return failures.filter(({ id }) => id !== null && queue.peekStatus(id)?.status === 'failed' && !overtaken.has(id))
      .length;
  });
}

function Failures({ failures }: { readonly failures: readonly BulkFailure<ChangeInput>[] }): ReactNode {
  const state = useCrmState();
  const { queue } = useWorkspace();
  return (
    <details>
      <summary>What was not accepted, and why</summary>
      <ul className={classes.failures}>
        {failures.slice(0, SHOWN_COUNT).map(({ index, input, error }) => {
          const entity = queue.definitions.get(input.type)?.entity?.(input.payload as never) ?? null;
          return (
            <li key={index}>
              <b>{nameOfRow(state, entity)}</b>: {refusalText(error)}
            </li>
          );
        })}
        {failures.length > SHOWN_COUNT ? <li>and {failures.length - SHOWN_COUNT} more</li> : null}
      </ul>
    </details>
  );
}

function endOf({ state, failedCount, totalCount }: { state: string; failedCount: number; totalCount: number }): string {
  if (state === 'cancelled') return 'stopped';
  if (failedCount === 0) return 'done';
  return failedCount === totalCount ? 'none was accepted' : 'done, but for some';
}
