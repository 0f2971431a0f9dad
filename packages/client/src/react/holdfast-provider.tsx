import type { ReactNode } from 'react';
import type { AuditSource } from '../ports/audit-source.ts';
import { AuditContext } from './audit-context.ts';
import { type AnyQueue, QueueContext } from './queue-context.ts';

export interface HoldfastProviderProps {
  /** The queue of the current login. The app opens and closes it, for it may outlive any component. */
  readonly queue: AnyQueue;
  /** Where `useAuditLogs` reads, such as `httpAuditLog({ getToken })`. Make it once, outside of the component. */
  readonly audit?: AuditSource;
  readonly children?: ReactNode;
}

/** Hands the queue to the hooks and components below it. */
export function HoldfastProvider({ queue, audit, children }: HoldfastProviderProps): ReactNode {
  return (
    <QueueContext.Provider value={queue}>
      <AuditContext.Provider value={audit ?? null}>{children}</AuditContext.Provider>
    </QueueContext.Provider>
  );
}
