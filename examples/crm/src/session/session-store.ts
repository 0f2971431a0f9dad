import { type DemoUser, findDemoUser } from './demo-users.ts';

/** Who is signed in on this device, in every tab of it; kept so that the page opens without a network too. */
export interface SessionStore {
  readonly subscribe: (listener: () => void) => () => void;
  readonly getSnapshot: () => DemoUser | null;
  readonly signIn: (user: DemoUser) => void;
  readonly signOut: () => void;
}

const KEY = 'meridian.user';

export function createSessionStore(storage: Storage = localStorage): SessionStore {
  const listeners = new Set<() => void>();
  let user = findDemoUser(storage.getItem(KEY) ?? '');
  const set = (next: DemoUser | null): void => {
    user = next;
    for (const listener of listeners) listener();
  };
  // another tab signed in or out
  addEventListener('storage', (event) => {
    if (event.key === KEY || event.key === null) set(findDemoUser(storage.getItem(KEY) ?? ''));
  });
  return {
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    getSnapshot: () => user,
    signIn: (next) => {
      storage.setItem(KEY, next.id);
      set(next);
    },
    signOut: () => {
      storage.removeItem(KEY);
      set(null);
    },
  };
}
