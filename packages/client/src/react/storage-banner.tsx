import { type ReactNode, useState } from 'react';
import { type AnyQueue, useQueue } from './queue-context.ts';
import { useMutationQueue } from './use-mutation-queue.ts';
import { useStorageHealth } from './use-storage-health.ts';

export interface StorageBannerProps {
  /** @default the provider's */
  readonly queue?: AnyQueue;
  readonly className?: string;
}

/**
 * Says, for as long as it is so, that this device cannot store changes and that they are kept in this tab only, with a button
 * that tries again; and, until it is dismissed, that changes were lost with the device's storage. Nothing while all is well.
 * Announced to screen readers at once.
 */
export function StorageBanner({ queue, className = '' }: StorageBannerProps): ReactNode {
  const found = useQueue(queue);
  const health = useStorageHealth(found);
  const { pendingCount } = useMutationQueue(found);
  const [isTrying, setIsTrying] = useState(false);
  const { lost } = health;
  if (health.kind === 'well' && lost !== null && lost.unsentCount > 0) {
    return (
      <div role="alert" className={`holdfast-banner ${className}`}>
        <div>
          <strong>{lost.unsentCount === 1 ? '1 change was lost.' : `${lost.unsentCount} changes were lost.`}</strong>
          <p>
            {lost.reason === 'wiped'
              ? 'The storage of this device was cleared'
              : 'The storage of this device was put back'}{' '}
            before they were sent.
          </p>
        </div>
        <button type="button" className="holdfast-button" onClick={() => found.dismissLost()}>
          Dismiss
        </button>
      </div>
    );
  }
  if (health.kind === 'well') return null;
  const tryAgain = (): void => {
    setIsTrying(true);
    void found.retryStorage().finally(() => setIsTrying(false));
  };
  return (
    <div role="alert" className={`holdfast-banner ${className}`}>
      <div>
        <strong>This device cannot store your changes.</strong>
        <p>
          {pendingCount === 0
            ? 'What you change now is kept in this tab only until the server has confirmed it.'
            : `${pendingCount === 1 ? '1 change is' : `${pendingCount} changes are`} kept in this tab only.`}{' '}
          Keep it open, or they are lost.
          {health.error === null ? '' : ` (${health.error.message})`}
        </p>
      </div>
      <button type="button" className="holdfast-button" onClick={tryAgain} disabled={isTrying}>
        {isTrying ? 'Trying…' : 'Try again'}
      </button>
    </div>
  );
}
