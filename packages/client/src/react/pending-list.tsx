import { type ReactNode, useMemo } from 'react';
import type { MutationStatus } from '../queue/mutation-status.ts';
import { type AnyQueue, useQueue } from './queue-context.ts';
import { describeStage } from './status-text.ts';
import { useQueueVersion } from './use-queue-version.ts';

export interface PendingListProps {
  /** @default the provider's */
  readonly queue?: AnyQueue;
  /** What a mutation is called, such as "Rename Acme". @default its type and entity */
  readonly describe?: (status: MutationStatus) => ReactNode;
  /** Most rows of each kind. @default 50 */
  readonly limit?: number;
  /** Last confirmed ones that are shown below. @default 5 */
  readonly confirmedLimit?: number;
  /** Asked before a dead letter is discarded. @default the platform's confirm dialogue */
  readonly confirmDiscard?: (status: MutationStatus) => boolean | Promise<boolean>;
}

/** What is not confirmed yet, why, and what can be done; and the last confirmed ones. */
export function PendingList({
  queue,
  describe = describeMutation,
  limit = 50,
  confirmedLimit = 5,
  confirmDiscard = askDiscard,
}: PendingListProps): ReactNode {
  const found = useQueue(queue);
  const version = useQueueVersion(found);
  const { rows, moreCount } = useMemo(() => {
    const unconfirmed = found.listUnconfirmed(limit);
    const { pendingCount, failedCount } = found.getSnapshot();
    return {
      rows: [...unconfirmed, ...found.listRecentlyConfirmed(confirmedLimit)],
      moreCount: pendingCount + failedCount - unconfirmed.length,
    };
    // oxlint-disable-next-line react/exhaustive-deps -- the version stands for the queue's state
  }, [found, version, limit, confirmedLimit]);

  const discard = async (status: MutationStatus): Promise<void> => {
    if (await confirmDiscard(status)) await found.discard(status.id, 'Discarded in the pending list');
  };

  if (rows.length === 0) {
    const { isReady } = found.getSnapshot();
    return (
      <p className="holdfast-empty">
        {isReady ? 'Nothing is waiting. All changes are confirmed.' : 'Opening what is stored on this device.'}
      </p>
    );
  }
  const { isVolatile } = found.getSnapshot();
  return (
    <ul className="holdfast-list">
      {rows.map((status) => (
        <li key={status.id} className="holdfast-item" data-status={status.status}>
          <div className="holdfast-item-head">
            <span className="holdfast-item-name">{describe(status)}</span>
            <span className="holdfast-pill" data-tone={describeStage(status, isVolatile).tone}>
              <span className="holdfast-dot" aria-hidden="true" />
              {describeStage(status, isVolatile).text}
            </span>
          </div>
          {status.status === 'completed' ? null : <p className="holdfast-item-reason">{reasonOf(status)}</p>}
          {status.status === 'failed' ? (
            <div className="holdfast-item-actions">
              <button type="button" className="holdfast-button" onClick={() => void found.retry(status.id)}>
                Try again
              </button>
              <button type="button" className="holdfast-button" data-tone="alert" onClick={() => void discard(status)}>
                Discard
              </button>
            </div>
          ) : null}
        </li>
      ))}
      {moreCount > 0 ? <li className="holdfast-more">and {moreCount} more</li> : null}
    </ul>
  );
}

function reasonOf({ status, sentence, waitingFor, lastError }: MutationStatus): string {
  if (status === 'failed') return [sentence, lastError?.hint].filter(Boolean).join(' ');
  // What the server said about this one; what stops all of them is the same for every row, and the pill says it.
  const isSaid = waitingFor === 'backoff' && lastError !== null;
  return isSaid ? [sentence, lastError.message, lastError.hint].filter(Boolean).join(' ') : sentence;
}

function describeMutation({ type, entity }: MutationStatus): string {
  return entity === null ? type : `${type} ${entity.id}`;
}

function askDiscard(): boolean {
  return globalThis.confirm('Discard this change for good?');
}
