import { type ReactNode, useState } from 'react';
import type { ActResult } from '../../queue/acts.ts';
import type { ResumeResult } from '../../queue/mutation-queue.ts';
import { adviceOf } from '../advice-of.ts';
import { type AnyQueue, useQueue } from '../queue-context.ts';
import { describeQueue } from '../status-text.ts';
import { useAdminQueueControls } from '../use-admin-queue-controls.ts';
import { useMutationQueue } from '../use-mutation-queue.ts';
import { canTryNow } from './can-try-now.ts';
import { type Question, useConfirm } from './confirm-dialog.tsx';

export interface QueueControlsProps {
  /** @default the provider's */
  readonly queue?: AnyQueue;
  /** Who acts; it is recorded with what was done. @default the queue's user */
  readonly actor?: string;
  /** Why; recorded too. @default 'Queue controls' */
  readonly reason?: string;
  /** Asked before anything is deleted. @default a dialogue of the page's own */
  readonly confirm?: (question: Question) => boolean | Promise<boolean>;
  /** @default 'Queue' */
  readonly title?: string;
  readonly className?: string;
}

/** Most that are sent at once by "Force retry". */
const FORCE_COUNT_MAX = 500;

/**
 * The acts of an operator on the queue of this device, each with what it came to: pause, resume, retry, force retry, clear, clear stuck,
 * restart. What deletes says how much, and asks first.
 */
export function QueueControls({
  queue,
  actor,
  reason = 'Queue controls',
  confirm,
  title = 'Queue',
  className = '',
}: QueueControlsProps): ReactNode {
  const found = useQueue(queue);
  const controls = useAdminQueueControls(found);
  const snapshot = useMutationQueue(found);
  const { ask, dialog } = useConfirm();
  const [isActing, setIsActing] = useState(false);
  const [said, setSaid] = useState<{ readonly isProblem: boolean; readonly text: string } | null>(null);
  const { pendingCount, processingCount, failedCount, isPaused, isReady } = snapshot;
  const { tone, text } = describeQueue(snapshot);
  const by = actor === undefined ? { reason } : { actor, reason };

  const act = async (work: () => Promise<string>): Promise<void> => {
    setIsActing(true);
    setSaid(null);
    try {
      setSaid({ isProblem: false, text: await work() });
    } catch (error) {
      setSaid({ isProblem: true, text: adviceOf(error) });
    } finally {
      setIsActing(false);
    }
  };
  const retryFailed = async (): Promise<string> => {
    const overtaken = found.listOvertaken();
    const { touchedCount } = await controls.retryFailed({ where: ({ id }) => !overtaken.has(id) }, by);
    if (overtaken.size === 0) return touched(touchedCount, 'sent again', 'None was left.');
    return `${touched(touchedCount, 'sent again', 'None was sent again.')} ${overtaken.size} would overwrite a later change: try them one by one.`;
  };
  const forceRetry = async (): Promise<string> => {
    const overtaken = found.listOvertaken();
    const ids = found.listUnconfirmed(FORCE_COUNT_MAX).filter((each) => canTryNow(each) && !overtaken.has(each.id));
    const results = await Promise.all(ids.map(({ id }) => controls.forceRetry(id, by)));
    return touched(sum(results), 'sent now', 'None of them can be sent sooner.');
  };
  const clear = async (): Promise<void> => {
    const isConfirmed = await (confirm ?? ask)(questionOf(pendingCount, failedCount));
    if (isConfirmed)
      await act(async () => {
        const { touchedCount } = await controls.clearQueue({}, by);
        return touched(touchedCount, 'deleted', 'Nothing could be deleted: what may have been sent stays.');
      });
  };

  return (
    <section className={`holdfast-panel ${className}`} aria-label={title}>
      <header className="holdfast-panel-head">
        <h2 className="holdfast-panel-title">{title}</h2>
        <span className="holdfast-pill" data-tone={tone}>
          <span className="holdfast-dot" aria-hidden="true" />
          <span>{text}</span>
        </span>
      </header>
      <div className="holdfast-item-actions" role="group" aria-label={`${title}: controls`} aria-busy={isActing}>
        {isPaused ? (
          <Control
            label="Resume"
            tone="busy"
            isDisabled={isActing}
            onPress={() => act(async () => resumed(await controls.resumeQueue()))}
          />
        ) : (
          <Control
            label="Pause"
            isDisabled={isActing || !isReady}
            onPress={() =>
              act(async () => {
                await controls.pauseQueue(by);
                return 'Paused, in every tab and after a restart too. Changes are still saved on this device.';
              })
            }
          />
        )}
        <Control
          label={`Retry failed (${failedCount})`}
          isDisabled={isActing || failedCount === 0}
          onPress={() => act(retryFailed)}
        />
        <Control
          label="Force retry"
          isDisabled={isActing || pendingCount + failedCount === 0}
          onPress={() => act(forceRetry)}
        />
        <Control
          label={`Clear stuck (${processingCount} on the way)`}
          isDisabled={isActing || pendingCount === 0}
          onPress={() =>
            act(async () =>
              touched(
                (await controls.clearStuckMutations(by)).touchedCount,
                'called off and sent again',
                'None is stuck.',
              ),
            )
          }
        />
        <Control
          label="Restart"
          isDisabled={isActing}
          onPress={() =>
            act(async () => {
              await controls.restartQueue();
              return 'Built anew from what is stored on this device.';
            })
          }
        />
        <Control
          label={`Clear (${pendingCount + failedCount})`}
          tone="alert"
          isDisabled={isActing || pendingCount + failedCount === 0}
          onPress={clear}
        />
      </div>
      <p className="holdfast-item-reason" role={said?.isProblem === true ? 'alert' : 'status'}>
        {isActing ? 'Working…' : said?.text}
      </p>
      {dialog}
    </section>
  );
}

interface ControlProps {
  readonly label: string;
  readonly tone?: 'busy' | 'alert';
  readonly isDisabled: boolean;
  readonly onPress: () => Promise<void>;
}

function Control({ label, tone, isDisabled, onPress }: ControlProps): ReactNode {
  return (
    <button
      type="button"
      className="holdfast-button"
      data-tone={tone}
      // Not `disabled`: a button that loses the focus while it works throws people with a keyboard back to the top.
      aria-disabled={isDisabled}
      onClick={() => {
        if (!isDisabled) void onPress();
      }}
    >
      {label}
    </button>
  );
}

function questionOf(pendingCount: number, failedCount: number): Question {
  const parts = [
    failedCount > 0 ? `${failedCount} not accepted` : '',
    pendingCount > 0 ? `${pendingCount} not confirmed` : '',
  ].filter(Boolean);
  const count = pendingCount + failedCount;
  return {
    title: `Delete ${count} ${count === 1 ? 'change' : 'changes'} from this device?`,
    text: `${parts.join(' and ')}. They are gone for good, and nobody else has them. What may have been sent already stays, and settles by itself.`,
    confirmLabel: `Delete ${count}`,
  };
}

function touched(count: number, done: string, nothing: string): string {
  return count === 0 ? nothing : `${count} ${count === 1 ? 'change' : 'changes'} ${done}.`;
}

function sum(results: readonly ActResult[]): number {
  return results.reduce((total, { touchedCount }) => total + touchedCount, 0);
}

function resumed(result: ResumeResult): string {
  if (result.kind === 'processing') return 'Sending again.';
  return result.kind === 'nothingDue' ? 'Resumed; nothing waits.' : 'Resumed; what waits is sent as soon as it can be.';
}
