import {
  type AuditSource,
  browserPointer,
  createOptimisticStore,
  createQueue,
  httpAuditLog,
  httpTransport,
  type MutationQueue,
  type OptimisticStore,
} from 'holdfast';
import { createToasts, type MutationToasts, sonnerToasts } from 'holdfast/react';
import { toast } from 'sonner';
import { createAccountCache } from '../accounts/account-cache.ts';
import { type AccountSync, startAccountSync } from '../accounts/account-sync.ts';
import { type CrmState, EMPTY_STATE } from '../accounts/crm-state.ts';
import type { DemoUser } from '../session/demo-users.ts';
import { createTokenSource, type GetToken } from '../session/token-source.ts';
import { createSimulation, type Simulation } from '../simulate/simulation.ts';
import { MUTATIONS, nameOfRow } from './mutations.ts';
import { refusalText } from './refusal-words.ts';

/** All that belongs to one login. Another login opens another one and sees nothing of this. */
export interface Workspace {
  readonly user: DemoUser;
  readonly queue: MutationQueue<typeof MUTATIONS>;
  readonly store: OptimisticStore<CrmState>;
  readonly sync: AccountSync;
  readonly audit: AuditSource;
  readonly toasts: MutationToasts;
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
  const audit = httpAuditLog({ getToken, fetch: simulation.fetch, onNews: sync.subscribe });
  const toasts = createToasts({
    queue,
    port: sonnerToasts(toast),
    texts: textsOf(store),
    words: { refused: refusalText },
  });
  return {
    user,
    queue,
    store,
    sync,
    audit,
    toasts,
    getToken,
    simulation,
    close: async () => {
      sync.stop();
      store.close();
      await queue.close();
    },
  };
}

/** Names that are remembered. */
const CALLED_COUNT = 200;

/** What toasts call the rows: what is deleted is still among what is confirmed for a while, what is new is not yet. */
function textsOf(
  store: OptimisticStore<CrmState>,
): NonNullable<Parameters<typeof createToasts<typeof MUTATIONS>>[0]['texts']> {
  // What is brought back is nowhere until the server has answered: its toast calls it as the one of its deletion did.
  const called = new Map<string, string>();
  const of = (table: string) => ({
    item: ({ id }: { readonly id: string }): string => {
      const entity = { table, id };
      const kind = nameOfRow(EMPTY_STATE, entity);
      const names = [store.getSnapshot(), store.getBase()].map((state) => nameOfRow(state, entity));
      const name = names.find((each) => each !== kind) ?? called.get(id) ?? kind;
      called.delete(id);
      called.set(id, name);
      const [oldest = id] = called.keys();
      if (called.size > CALLED_COUNT) called.delete(oldest);
      return name;
    },
  });
  const [account, contact, deal] = [of('accounts'), of('contacts'), of('deals')];
  return {
    'account.create': account,
    'account.update': account,
    'account.delete': account,
    'account.restore': account,
    'contact.create': contact,
    'contact.update': contact,
    'contact.delete': contact,
    'contact.restore': contact,
    'deal.create': deal,
    'deal.update': deal,
    'deal.delete': deal,
    'deal.restore': deal,
  };
}
