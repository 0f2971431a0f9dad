import { type ReactNode, useState } from 'react';
import { type AnyQueue, useQueue } from './queue-context.ts';
import { useMutationQueue } from './use-mutation-queue.ts';
import { useStorageHealth } from './use-storage-health.ts';
import { type StorageRoom, useStorageRoom } from './use-storage-room.ts';

export interface StorageBannerProps {
  /** @default the provider's */
  readonly queue?: AnyQueue;
  readonly className?: string;
}

/**
 * Says, for as long as it is so, that this device cannot store changes and that they are kept in this tab only, with a button
 * that tries again; until it is dismissed, that changes were lost with the device's storage; and that its storage is full or nearly so,
 * with a button that frees some. Nothing while all is well. Announced to screen readers at once, what is only nearly full when they pause.
 */
export function StorageBanner({ queue, className = '' }: StorageBannerProps): ReactNode {
  const found = useQueue(queue);
  const health = useStorageHealth(found);
  const { pendingCount } = useMutationQueue(found);
  const [isTrying, setIsTrying] = useState(false);
  const room = useStorageRoom(found);
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
  if (health.durability !== 'volatile') {
    const { percent } = room;
    return percent === null ? null : <RoomBanner key={percent} percent={percent} room={room} className={className} />;
  }
  const tryAgain = (): void => {
    setIsTrying(true);
    void found.retryStorage().finally(() => setIsTrying(false));
  };
  return (
    <div className={`holdfast-banner ${className}`}>
      <div>
        <div role="alert">
          <strong>This device cannot store your changes.</strong>
          <p>
            What you change is kept in this tab only until the server has confirmed it. Keep it open, or that is lost.
            {health.error === null ? '' : ` (${health.error.message})`}
          </p>
        </div>
        {pendingCount === 0 ? null : (
          <p>{pendingCount === 1 ? '1 change is kept so now.' : `${pendingCount} changes are kept so now.`}</p>
        )}
      </div>
      {health.kind === 'degraded' && (
        <button type="button" className="holdfast-button" onClick={tryAgain} disabled={isTrying}>
          {isTrying ? 'Trying…' : 'Try again'}
        </button>
      )}
    </div>
  );
}

function RoomBanner({
  percent,
  room: { free, dismiss },
  className,
}: {
  readonly percent: NonNullable<StorageRoom['percent']>;
  readonly room: StorageRoom;
  readonly className: string;
}): ReactNode {
  const [state, setState] = useState<'idle' | 'freeing' | 'tried'>('idle');
  const freeSome = (): void => {
    setState('freeing');
    void free()
      // What cannot be looked at says nothing about room.
      .catch(() => {})
      .finally(() => setState('tried'));
  };
  const isFull = percent === 100;
  return (
    <div role={isFull ? 'alert' : 'status'} className={`holdfast-banner ${className}`}>
      <div>
        <strong>{isFull ? 'The storage of this device is full.' : 'The storage of this device is almost full.'}</strong>
        <p>
          {isFull ? 'New changes may not be saved until there is room.' : 'What waits to be sent is safe.'}{' '}
          {state === 'tried'
            ? 'There is nothing more to free here: delete files or the data of other sites on this device.'
            : ''}
        </p>
      </div>
      <button type="button" className="holdfast-button" onClick={freeSome} disabled={state === 'freeing'}>
        {state === 'freeing' ? 'Freeing…' : 'Free some room'}
      </button>
      <button type="button" className="holdfast-button" onClick={dismiss}>
        Dismiss
      </button>
    </div>
  );
}
