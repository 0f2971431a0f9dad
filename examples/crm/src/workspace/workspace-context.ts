import type { MutationStatus } from 'holdfast';
import { createContext, useContext, useSyncExternalStore } from 'react';
import type { SyncSnapshot } from '../accounts/account-sync.ts';
import type { CrmState } from '../accounts/crm-state.ts';
import { type AccountMark, marksOf } from '../accounts/account-marks.ts';
import type { Workspace } from './open-workspace.ts';

export const WorkspaceContext = createContext<Workspace | null>(null);

/** The workspace of whoever is signed in. */
export function useWorkspace(): Workspace {
  const workspace = useContext(WorkspaceContext);
  if (workspace === null)
    throw new Error('useWorkspace: put the component inside <WorkspaceContext value={workspace}>.');
  return workspace;
}

/** Accounts as shown: confirmed, with what is pending on top. */
export function useCrmState(): CrmState {
  const { store } = useWorkspace();
  return useSyncExternalStore(subscribeTo(store), () => store.getSnapshot());
}

export function useSync(): SyncSnapshot {
  const { sync } = useWorkspace();
  return useSyncExternalStore(sync.subscribe, sync.getSnapshot);
}

/** By account: whether something of it waits, is on its way, or was not accepted. */
export function useMarks(): ReadonlyMap<string, AccountMark> {
  const { queue } = useWorkspace();
  return useSyncExternalStore(subscribeTo(queue), () => marksOf(queue));
}

/** Changes of one account that the server has not confirmed, oldest first. */
export function useUnconfirmed(accountId: string): readonly MutationStatus[] {
  const marks = useMarks();
  const { queue } = useWorkspace();
  // a new map of marks comes with every change of the queue
  return marks.has(accountId)
    ? queue.listUnconfirmed(Number.POSITIVE_INFINITY).filter(({ entity }) => entity?.id === accountId)
    : [];
}

interface Subscribable {
  subscribe(listener: () => void): () => void;
}

const subscriptions = new WeakMap<Subscribable, (listener: () => void) => () => void>();

/** The same function for the same store, so that React does not subscribe anew at every rendering. */
export function subscribeTo(store: Subscribable): (listener: () => void) => () => void {
  const known = subscriptions.get(store);
  if (known !== undefined) return known;
  const subscribe = (listener: () => void): (() => void) => store.subscribe(listener);
  subscriptions.set(store, subscribe);
  return subscribe;
}
