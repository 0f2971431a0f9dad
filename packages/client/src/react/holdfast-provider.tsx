import { type ReactNode, useEffect } from 'react';
import type { AuditSource } from '../ports/audit-source.ts';
import { AuditContext } from './audit-context.ts';
import { type AnyQueue, QueueContext } from './queue-context.ts';
import type { MutationToasts } from './toasts/mutation-toasts.ts';
import { ToastContext } from './toasts/toast-context.ts';

export interface HoldfastProviderProps {
  /** The queue of the current login. The app opens and closes it, for it may outlive any component. */
  readonly queue: AnyQueue;
  /** Where `useAuditLogs` reads, such as `httpAuditLog({ getToken })`. Make it once, outside of the component. */
  readonly audit?: AuditSource;
  /** What tells people how far their changes are, made by `createToasts`. Make it once, beside the queue. */
  readonly toasts?: MutationToasts;
  readonly children?: ReactNode;
}

/** Hands the queue to the hooks and components below it. */
export function HoldfastProvider({ queue, audit, toasts, children }: HoldfastProviderProps): ReactNode {
  useEffect(() => toasts?.start(), [toasts]);
  return (
    <QueueContext.Provider value={queue}>
      <AuditContext.Provider value={audit ?? null}>
        <ToastContext.Provider value={toasts ?? null}>{children}</ToastContext.Provider>
      </AuditContext.Provider>
    </QueueContext.Provider>
  );
}
