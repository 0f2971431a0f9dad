import type { DemoUser } from '../session/demo-users.ts';
import type { SessionStore } from '../session/session-store.ts';
import { openWorkspace, type Workspace } from './open-workspace.ts';

export type WorkspaceState =
  | { readonly kind: 'signedOut' }
  | { readonly kind: 'opening'; readonly user: DemoUser }
  | { readonly kind: 'open'; readonly workspace: Workspace };

export interface WorkspaceHolder {
  readonly subscribe: (listener: () => void) => () => void;
  readonly getSnapshot: () => WorkspaceState;
}

/**
 * Opens the workspace of whoever is signed in, and closes it when that changes. One after the other: however quickly people change, each
 * store is open once.
 */
export function holdWorkspace(session: SessionStore, open = openWorkspace): WorkspaceHolder {
  const listeners = new Set<() => void>();
  let state: WorkspaceState = { kind: 'signedOut' };
  const set = (next: WorkspaceState): void => {
    state = next;
    for (const listener of listeners) listener();
  };
  let current: Workspace | null = null;
  const takeTurn = async (): Promise<void> => {
    const user = session.getSnapshot();
    if (current !== null && current.user !== user) {
      const former = current;
      current = null;
      await former.close();
    }
    if (user === null || session.getSnapshot() !== user) return;
    current ??= await open(user);
    // Somebody else by now: the next turn closes it.
    if (session.getSnapshot() === user) set({ kind: 'open', workspace: current });
  };
  let last: Promise<void> = Promise.resolve();
  let wanted: DemoUser | null = null;
  const follow = (): void => {
    const user = session.getSnapshot();
    if (user === wanted) return;
    wanted = user;
    set(user === null ? { kind: 'signedOut' } : { kind: 'opening', user });
    last = last.then(takeTurn).catch((error: unknown) => reportError(error));
  };
  session.subscribe(follow);
  follow();
  return {
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    getSnapshot: () => state,
  };
}
