import type { ReactNode } from 'react';
import type { QueueSnapshot } from '../queue/queue-snapshot.ts';
import { type AnyQueue } from './queue-context.ts';
import { describeQueue, type PillState } from './status-text.ts';
import { useAnnounced } from './use-announced.ts';
import { useMutationQueue } from './use-mutation-queue.ts';

export interface StatusPillProps {
  /** @default the provider's */
  readonly queue?: AnyQueue;
  /** Makes the pill a button, for instance to open a pending list. */
  readonly onClick?: () => void;
  /** Words of one's own. */
  readonly describe?: (snapshot: QueueSnapshot) => PillState;
  readonly className?: string;
}

/**
 * Says where the user's changes are: on this device, on their way, confirmed, or not accepted. Announced to screen readers once it stays
 * so; beside the button, for within one nothing is announced.
 */
export function StatusPill({ queue, onClick, describe = describeQueue, className = '' }: StatusPillProps): ReactNode {
  const snapshot = useMutationQueue(queue);
  const { tone, text } = describe(snapshot);
  const announced = useAnnounced(text);
  const content = (
    <>
      <span className="holdfast-dot" aria-hidden="true" />
      <span>{text}</span>
    </>
  );
  const classes = `holdfast-pill ${className}`;
  return (
    <>
      {onClick === undefined ? (
        <span className={classes} data-tone={tone}>
          {content}
        </span>
      ) : (
        <button type="button" className={classes} data-tone={tone} onClick={onClick}>
          {content}
        </button>
      )}
      <span className="holdfast-unseen" role="status">
        {announced}
      </span>
    </>
  );
}
