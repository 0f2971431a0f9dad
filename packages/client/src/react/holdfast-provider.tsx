import type { ReactNode } from 'react';
import { type AnyQueue, QueueContext } from './queue-context.ts';

export interface HoldfastProviderProps {
  /** The queue of the current login. The app opens and closes it, for it may outlive any component. */
  readonly queue: AnyQueue;
  readonly children?: ReactNode;
}

/** Hands the queue to the hooks and components below it. */
export function HoldfastProvider({ queue, children }: HoldfastProviderProps): ReactNode {
  return <QueueContext.Provider value={queue}>{children}</QueueContext.Provider>;
}
