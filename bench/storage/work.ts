// The work that is measured: CRM-like mutations of about 300 bytes, the same for everybody.
import {
  createQueue,
  defineMutation,
  type MutationQueue,
  type NetworkSource,
  type OpenKeys,
  type OpenStorage,
  packPending,
  soloTabs,
  type Transport,
} from 'holdfast';

export interface Contact {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly phone: string;
  readonly tags: readonly string[];
  readonly note: string;
}

/** Takes what it gets: checking is the app's choice of schema, and not measured. */
const anyContact: {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => { readonly value: Contact };
    readonly types?: { readonly input: Contact; readonly output: Contact };
  };
} = { '~standard': { version: 1, vendor: 'bench', validate: (value) => ({ value: value as Contact }) } };

const saveContact = defineMutation({
  type: 'contact.save',
  payload: anyContact,
  operation: 'update',
  entity: ({ id }) => ({ table: 'contacts', id }),
  dedupe: false,
});

export type BenchQueue = MutationQueue<readonly [typeof saveContact]>;

export function contact(index: number): Contact {
  const number = String((index * 7_919) % 1_000_000).padStart(6, '0');
  return {
    id: `0192f0c0-7b1a-7000-8000-${String(index).padStart(12, '0')}`,
    name: `Customer ${number} of the North`,
    email: `customer.${number}@example.com`,
    phone: `+49 30 ${number}`,
    tags: ['customer', index % 2 === 0 ? 'newsletter' : 'trial'],
    note: `Called back about order ${number}, wants an offer for the spring, and to be called again.`,
  };
}

export interface QueueSetup {
  readonly storage: OpenStorage;
  readonly keys?: OpenKeys | undefined;
  /** Null while nothing shall be sent. */
  readonly transport: Transport | null;
  readonly cacheBytes?: number;
  /** Whether what waits far from the front is packed. */
  readonly isPacked?: boolean;
}

export function openQueue({ storage, keys, transport, cacheBytes, isPacked = false }: QueueSetup): BenchQueue {
  const isOnline = transport !== null;
  const network: NetworkSource = {
    isOnline: () => isOnline,
    onHint: () => () => {},
    probe: async () => (isOnline ? { kind: 'reached', latencyMs: 1 } : { kind: 'notReached', reason: 'offline' }),
  };
  return createQueue({
    name: 'bench',
    identity: { userId: 'ann', workspaceId: 'home' },
    mutations: [saveContact],
    transport: transport ?? { send: () => new Promise(() => {}) },
    network,
    tabs: soloTabs,
    ...(isPacked ? { packing: packPending() } : {}),
    storage,
    queueCapCount: Number.POSITIVE_INFINITY,
    queueCapBytes: Number.POSITIVE_INFINITY,
    ...(keys === undefined ? {} : { encryption: { keys } }),
    ...(cacheBytes === undefined ? {} : { cacheBytes }),
  });
}

/** A server next door: takes everything at once. */
export const instantTransport: Transport = {
  send: async ({ mutations }) => ({
    kind: 'answered',
    outcomes: mutations.map(({ id, seq }) => ({ id, seq, kind: 'applied' as const, result: null })),
  }),
};
