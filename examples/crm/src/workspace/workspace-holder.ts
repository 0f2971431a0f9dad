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

/** Opens the workspace of whoever is signed in, and closes it when that changes. */
export function holdWorkspace(session: SessionStore): WorkspaceHolder {
  const listeners = new Set<() => void>();
  let state: WorkspaceState = { kind: 'signedOut' };
  const set = (next: WorkspaceState): void => {
    state = next;
    for (const listener of listeners) listener();
  };
  const follow = async (): Promise<void> => {
    const user = session.getSnapshot();
    const current = state.kind === 'open' ? state.workspace.user : state.kind === 'opening' ? state.user : null;
    if (user === current) return;
    const former = state.kind === 'open' ? state.workspace : null;
    set(user === null ? { kind: 'signedOut' } : { kind: 'opening', user });
    await former?.close();
    if (user === null || session.getSnapshot() !== user) return;
    const workspace = await openWorkspace(user);
    if (session.getSnapshot() === user) set({ kind: 'open', workspace });
    else await workspace.close();
  };
  session.subscribe(() => void follow());
  void follow();
  return {
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    getSnapshot: () => state,
  };
}
