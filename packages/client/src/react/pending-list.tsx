import { type ReactNode, useCallback, useRef, useState } from 'react';
import type { MutationStatus } from '../queue/mutation-status.ts';
import { adviceOf } from './advice-of.ts';
import { canTryNow } from './controls/can-try-now.ts';
import { useConfirm } from './controls/confirm-dialog.tsx';
import { type AnyQueue, useQueue } from './queue-context.ts';
import { areSameStatuses } from './same-status.ts';
import { describeStage } from './status-text.ts';
import { timeText } from './time-text.ts';
import { useReading } from './use-reading.ts';

export interface PendingListProps {
  /** @default the provider's */
  readonly queue?: AnyQueue;
  /** What a mutation is called, such as "Rename Acme". @default its type and entity */
  readonly describe?: (status: MutationStatus) => ReactNode;
  /** Most rows of each kind. @default 50 */
  readonly limit?: number;
  /** Last confirmed ones that are shown below. @default 5 */
  readonly confirmedLimit?: number;
  /** Asked before a dead letter is discarded. @default a dialogue of the page's own */
  readonly confirmDiscard?: (status: MutationStatus) => boolean | Promise<boolean>;
  /** Makes the name of each a button, for instance to show its `MutationTimeline`. */
  readonly onChoose?: (status: MutationStatus) => void;
  /** Gives an edit that somebody else's has come in conflict with a button, for instance to show a `ConflictChooser`. */
  readonly onDecide?: (status: MutationStatus) => void;
}

/**
 * What is not confirmed yet, why, and what can be done about it: cancel, try now, try again, discard; and the last confirmed ones. What
 * cannot be taken back any more says so when it is tried.
 */
export function PendingList({
  queue,
  describe = describeMutation,
  limit = 50,
  confirmedLimit = 5,
  confirmDiscard,
  onChoose,
  onDecide,
}: PendingListProps): ReactNode {
  const found = useQueue(queue);
  const { ask, dialog } = useConfirm();
  const [said, setSaid] = useState('');
  const list = useRef<HTMLUListElement>(null);
  const read = useCallback(
    (from: AnyQueue): Listed => {
      const unconfirmed = from.listUnconfirmed(limit);
      const { pendingCount, failedCount, isReady, isVolatile } = from.getSnapshot();
      return {
        rows: [...unconfirmed, ...from.listRecentlyConfirmed(confirmedLimit)],
        moreCount: pendingCount + failedCount - unconfirmed.length,
        isReady,
        isVolatile,
      };
    },
    [limit, confirmedLimit],
  );
  const { rows, moreCount, isReady, isVolatile } = useReading(found, read, isSameList, NOTHING_YET);

  const act = async (work: () => Promise<string>): Promise<void> => {
    try {
      setSaid(await work());
    } catch (error) {
      setSaid(adviceOf(error));
    }
    // The row may be gone, and its buttons with it.
    if (document.activeElement === document.body) list.current?.focus();
  };
  const cancel = (status: MutationStatus): Promise<void> =>
    act(async () => {
      const answer = await found.cancel(status.id, { reason: 'Cancelled in the pending list' });
      if (answer === 'cancelled') return 'Cancelled: it was never sent.';
      return answer === 'tooLate'
        ? 'Too late to cancel: it may have been sent already.'
        : 'It cannot be told now whether it was sent: try again shortly.';
    });
  const tryNow = (status: MutationStatus): Promise<void> =>
    act(async () => {
      if (found.listOvertaken().has(status.id) && !(await ask(OVERWRITE))) return '';
      const { touchedCount } = await found.forceRetry(status.id, { reason: 'Tried now in the pending list' });
      return touchedCount > 0 ? 'It is sent as soon as the server can be asked.' : 'It is on its way already.';
    });
  const discard = (status: MutationStatus): Promise<void> =>
    act(async () => {
      const isConfirmed = await (confirmDiscard?.(status) ?? ask(DISCARD));
      if (isConfirmed) await found.discard(status.id, 'Discarded in the pending list');
      return isConfirmed ? 'Discarded.' : '';
    });

  return (
    <>
      <p className="holdfast-item-reason" aria-live="polite">
        {said}
      </p>
      {rows.length === 0 ? (
        <p className="holdfast-empty">
          {isReady ? 'Nothing is waiting. All changes are confirmed.' : 'Opening what is stored on this device.'}
        </p>
      ) : (
        <ul className="holdfast-list" ref={list} tabIndex={-1} aria-label="Changes">
          {rows.map((status) => (
            <li key={status.id} className="holdfast-item" data-status={status.status}>
              <div className="holdfast-item-head">
                {onChoose === undefined ? (
                  <span className="holdfast-item-name">{describe(status)}</span>
                ) : (
                  <button type="button" className="holdfast-item-name holdfast-link" onClick={() => onChoose(status)}>
                    {describe(status)}
                  </button>
                )}
                <span className="holdfast-pill" data-tone={describeStage(status, isVolatile).tone}>
                  <span className="holdfast-dot" aria-hidden="true" />
                  {describeStage(status, isVolatile).text}
                </span>
              </div>
              {status.status === 'completed' ? null : <p className="holdfast-item-reason">{reasonOf(status)}</p>}
              <Actions status={status} onDecide={onDecide} onCancel={cancel} onTryNow={tryNow} onDiscard={discard} />
            </li>
          ))}
          {moreCount > 0 ? <li className="holdfast-more">and {moreCount} more</li> : null}
        </ul>
      )}
      {dialog}
    </>
  );
}

/** What the list shows. */
interface Listed {
  readonly rows: readonly MutationStatus[];
  readonly moreCount: number;
  readonly isReady: boolean;
  readonly isVolatile: boolean;
}

const NOTHING_YET: Listed = { rows: [], moreCount: 0, isReady: false, isVolatile: false };

function isSameList(one: Listed, other: Listed): boolean {
  return (
    one.moreCount === other.moreCount &&
    one.isReady === other.isReady &&
    one.isVolatile === other.isVolatile &&
    areSameStatuses(one.rows, other.rows)
  );
}

type Act = (status: MutationStatus) => Promise<void>;

interface ActionsProps {
  readonly status: MutationStatus;
  readonly onDecide: PendingListProps['onDecide'];
  readonly onCancel: Act;
  readonly onTryNow: Act;
  readonly onDiscard: Act;
}

function Actions({ status, onDecide, onCancel, onTryNow, onDiscard }: ActionsProps): ReactNode {
  const isFailed = status.status === 'failed';
  if (!isFailed && status.status !== 'pending') return null;
  return (
    <div className="holdfast-item-actions">
      {status.waitingFor === 'conflict' && onDecide !== undefined ? (
        <button type="button" className="holdfast-button" onClick={() => onDecide(status)}>
          Choose what stands
        </button>
      ) : null}
      {canTryNow(status) ? (
        <button type="button" className="holdfast-button" onClick={() => void onTryNow(status)}>
          {isFailed ? 'Try again' : 'Try now'}
        </button>
      ) : null}
      {isFailed ? (
        <button type="button" className="holdfast-button" data-tone="alert" onClick={() => void onDiscard(status)}>
          Discard
        </button>
      ) : (
        <button type="button" className="holdfast-button" onClick={() => void onCancel(status)}>
          Cancel
        </button>
      )}
    </div>
  );
}

const OVERWRITE = {
  title: 'Overwrite a later change?',
  text: 'The same was changed again since. Tried again, this earlier change is sent behind that, and overwrites it.',
  confirmLabel: 'Overwrite',
};

const DISCARD = {
  title: 'Discard this change?',
  text: 'It was not accepted, and is deleted from this device for good.',
  confirmLabel: 'Discard',
};

function reasonOf({ status, sentence, waitingFor, lastError, nextAttemptAtMs }: MutationStatus): string {
  if (status === 'failed') return [sentence, lastError?.hint].filter(Boolean).join(' ');
  // What the server said about this one; what stops all of them is the same for every row, and the pill says it.
  const isSaid = waitingFor === 'backoff' && lastError !== null;
  const next = nextAttemptAtMs === null ? '' : `Next try: ${timeText(nextAttemptAtMs)}.`;
  return [sentence, ...(isSaid ? [lastError.message, lastError.hint] : []), next].filter(Boolean).join(' ');
}

function describeMutation({ type, entity }: MutationStatus): string {
  return entity === null ? type : `${type} ${entity.id}`;
}
