import { type Context, createContext, useContext } from 'react';
import type { MutationToasts } from './mutation-toasts.ts';

export const ToastContext: Context<MutationToasts | null> = createContext<MutationToasts | null>(null);

/** The provider's toasts; null where it has none. */
export function useToasts(): MutationToasts | null {
  return useContext(ToastContext);
}
