import { expect, test } from 'vitest';
import { DEMO_USERS, type DemoUser } from '../session/demo-users.ts';
import type { SessionStore } from '../session/session-store.ts';
import type { Workspace } from './open-workspace.ts';
import { holdWorkspace } from './workspace-holder.ts';

const [ann, ben] = DEMO_USERS as readonly [DemoUser, DemoUser, ...DemoUser[]];

/** Whoever signs in, in this page or in another tab of it. */
function signedOut(): SessionStore {
  let user: DemoUser | null = null;
  const listeners = new Set<() => void>();
  const set = (next: DemoUser | null): void => {
    user = next;
    for (const listener of listeners) listener();
  };
  return {
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    getSnapshot: () => user,
    signIn: set,
    signOut: () => set(null),
  };
}

/** Workspaces that open when the test says so. */
function openings() {
  const most = new Map<DemoUser, number>();
  const waiting: (() => void)[] = [];
  const counts = new Map<DemoUser, number>();
  return {
    open: async (user: DemoUser): Promise<Workspace> => {
      await new Promise<void>((resolve) => waiting.push(resolve));
      counts.set(user, (counts.get(user) ?? 0) + 1);
      most.set(user, Math.max(most.get(user) ?? 0, counts.get(user) ?? 0));
      const close = async (): Promise<void> => {
        counts.set(user, (counts.get(user) ?? 0) - 1);
      };
      return { user, close } as unknown as Workspace;
    },
    /** Lets all of them open, the last that was asked for first. */
    finish: async (): Promise<void> => {
      for (let turn = 0; turn < 20; turn += 1) {
        waiting.pop()?.();
        await Promise.resolve();
      }
    },
    counts,
    most,
  };
}

test('K5 · who signs in, changes to another and comes back in quick succession has one workspace, and the other none', async () => {
  const session = signedOut();
  const { open, finish, counts, most } = openings();
  const holder = holdWorkspace(session, open);
  session.signIn(ann);
  await Promise.resolve();
  session.signIn(ben);
  session.signIn(ann);
  await finish();

  expect(holder.getSnapshot()).toMatchObject({ kind: 'open', workspace: { user: ann } });
  expect([counts.get(ann), most.get(ann), counts.get(ben) ?? 0]).toEqual([1, 1, 0]);

  session.signIn(ben);
  expect(holder.getSnapshot()).toEqual({ kind: 'opening', user: ben });
  session.signOut();
  await finish();
  expect(holder.getSnapshot()).toEqual({ kind: 'signedOut' });
  expect([counts.get(ann), counts.get(ben) ?? 0]).toEqual([0, 0]);
});
