import {
  browserPointer,
  createOptimisticStore,
  createQueue,
  httpTransport,
  type MutationQueue,
  type OptimisticStore,
} from 'holdfast';
import { createAccountCache } from '../accounts/account-cache.ts';
import { createAccount, deleteAccount, updateAccount } from '../accounts/account-mutations.ts';
import { type AccountSync, startAccountSync } from '../accounts/account-sync.ts';
import { type CrmState, EMPTY_STATE } from '../accounts/crm-state.ts';
import type { DemoUser } from '../session/demo-users.ts';
import { createTokenSource, type GetToken } from '../session/token-source.ts';
import { createSimulation, type Simulation } from '../simulate/simulation.ts';

const MUTATIONS = [createAccount, updateAccount, deleteAccount] as const;

/** All that belongs to one login. Another login opens another one and sees nothing of this. */
export interface Workspace {
  readonly user: DemoUser;
  readonly queue: MutationQueue<typeof MUTATIONS>;
  readonly store: OptimisticStore<CrmState>;
  readonly sync: AccountSync;
  readonly getToken: GetToken;
  readonly simulation: Simulation;
  readonly close: () => Promise<void>;
}

/** Opens the queue of this user and the list kept on this device, and begins to bring both up to date. */
export async function openWorkspace(user: DemoUser): Promise<Workspace> {
  const simulation = createSimulation();
  const getToken = createTokenSource(user.id, simulation.fetch);
  const queue = createQueue({
    name: 'meridian',
    identity: { userId: user.id, workspaceId: user.workspaceId },
    mutations: MUTATIONS,
    transport: httpTransport({ url: '/v1/apply', fetch: simulation.fetch }),
    network: simulation.network,
    storage: simulation.openStorage,
    whenStorageFails: 'memory',
    storagePointer: browserPointer(),
    auth: { getToken },
  });
  const cache = createAccountCache(`${user.workspaceId}/${user.id}`, (error) => {
    console.warn('The list of accounts could not be kept on this device:', error);
  });
  const kept = await cache.load();
  const store = createOptimisticStore<CrmState>({ queue, base: kept ?? EMPTY_STATE });
  const sync = startAccountSync({ queue, store, cache, getToken, fetch: simulation.fetch, hasList: kept !== null });
  return {
    user,
    queue,
    store,
    sync,
    getToken,
    simulation,
    close: async () => {
      sync.stop();
      store.close();
      await queue.close();
    },
  };
}
