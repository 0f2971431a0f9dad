import type { ReactNode } from 'react';
import { useMutationQueue } from './use-mutation-queue.ts';
import { type LongOfflineOptions, useLongOffline } from './use-long-offline.ts';

export interface LongOfflineNoticeProps extends LongOfflineOptions {
  /** Words of one's own. */
  readonly describe?: (figures: { readonly pendingCount: number }) => ReactNode;
}

/** A line that appears after a long time without the server, says what is safe, and lets the user try at once. */
export function LongOfflineNotice({ describe = describeSpell, ...options }: LongOfflineNoticeProps): ReactNode {
  const isLong = useLongOffline(options);
  const { pendingCount, queue } = useMutationQueue(options.queue);
  return (
    // There all the time: what comes into a page together with its region is not announced everywhere.
    <div role="status">
      {isLong ? (
        <div className="holdfast-notice" data-tone="waiting">
          <p className="holdfast-notice-text">{describe({ pendingCount })}</p>
          <button type="button" className="holdfast-button" onClick={() => void queue.network.probe()}>
            Try to connect
          </button>
        </div>
      ) : null}
    </div>
  );
}

function describeSpell({ pendingCount }: { readonly pendingCount: number }): string {
  if (pendingCount === 0) return 'You have been offline for a while. What you see may be out of date.';
  const changes = pendingCount === 1 ? 'Your change is' : `Your ${pendingCount} changes are`;
  return `You have been offline for a while. ${changes} safe on this device and will be sent when you are back.`;
}
