import * as v from 'valibot';
import type { ProbeResult } from '../../engine/probe-result.ts';
import { type AnyMutationDefinition, defineMutation } from '../../mutation/definition.ts';
import type { NetworkHint, NetworkSource } from '../../ports/network-source.ts';
import type { OpenStorage, Storage, StorageBatch } from '../../ports/storage.ts';
import type { OpenTabs } from '../../ports/tabs.ts';
import { BrowserSimulator } from '../../testing/browser-simulator.ts';
import { StorageSimulator } from '../../testing/storage-simulator.ts';
import { createQueue } from '../create-queue.ts';
import type { MutationQueue } from '../mutation-queue.ts';
import type { QueueOptions } from '../options.ts';
import { FakeClock } from './fake-clock.ts';
import { FakeServer } from './fake-server.ts';

export interface Notes {
  readonly notes: Record<string, string>;
}

export const saveNote = defineMutation({
  type: 'note.save',
  payload: v.object({ id: v.string(), text: v.string() }),
  operation: 'update',
  entity: ({ id }) => ({ table: 'notes', id }),
  retry: { jitter: 'none' },
  optimistic: (draft: Notes, { id, text }) => {
    if (text === 'throw') throw new Error('This effect does not fit.');
    draft.notes[id] = `${draft.notes[id] ?? ''}${text}`;
  },
});

export const writeLog = defineMutation({
  type: 'log.write',
  payload: v.object({ line: v.string() }),
  operation: 'custom',
});

const MUTATIONS = [saveNote, writeLog] as const;

export type TestQueue = MutationQueue<typeof MUTATIONS>;

/** A device with its storage, its browser, its network and its clock, and a server beyond; nothing of it is real. */
export class TestDevice {
  readonly clock = new FakeClock();
  readonly server = new FakeServer();
  readonly browser = new BrowserSimulator();
  readonly network = new FakeNetwork();
  readonly storage = new LoginStorage(this.clock);
  token: string | null = 'fresh';
  readonly tokenRequests: boolean[] = [];
  private idCount = 0;

  /** Opens a queue (a tab), and waits until nothing more happens by itself. */
  async open(options: Partial<QueueOptions<typeof MUTATIONS>> = {}): Promise<TestQueue> {
    const queue = this.create(options);
    await this.clock.settle();
    return queue;
  }

  create(options: Partial<QueueOptions<typeof MUTATIONS>> = {}): TestQueue {
    return createQueue({ ...this.ports, mutations: MUTATIONS, ...options });
  }

  /** The same with other types of mutations. */
  async openWith<const Definitions extends readonly AnyMutationDefinition[]>(
    mutations: Definitions,
    options: { readonly storage?: OpenStorage; readonly tabs?: OpenTabs } = {},
  ): Promise<MutationQueue<Definitions>> {
    const queue = this.createWith(mutations, options);
    await this.clock.settle();
    return queue;
  }

  createWith<const Definitions extends readonly AnyMutationDefinition[]>(
    mutations: Definitions,
    options: { readonly storage?: OpenStorage; readonly tabs?: OpenTabs } = {},
  ): MutationQueue<Definitions> {
    return createQueue({ ...this.ports, mutations, ...options });
  }

  /** All that a queue on this device needs but its mutations. */
  get ports(): Omit<QueueOptions<readonly []>, 'mutations'> {
    return {
      name: 'notes',
      identity: { userId: 'ann', workspaceId: 'home' },
      transport: this.server.transport,
      storage: this.storage.open,
      network: this.network,
      tabs: this.browser.openTabs,
      auth: {
        getToken: async ({ refresh }) => {
          this.tokenRequests.push(refresh);
          return this.token;
        },
      },
      clock: this.clock,
      random: () => 0,
      newId: () => {
        this.idCount += 1;
        return `id-${this.idCount}`;
      },
    };
  }

  async goOffline(): Promise<void> {
    this.network.isReachable = false;
    this.server.judge = () => 'unreachable';
    this.network.say('offline');
    await this.clock.settle();
  }

  /** Back again, and a second later: signs ask the server at most once a second. */
  async goOnline(judge: FakeServer['judge'] = () => 'applied'): Promise<void> {
    this.network.isReachable = true;
    this.server.judge = judge;
    this.network.say('online');
    await this.clock.pass(1_000);
  }
}

class FakeNetwork implements NetworkSource {
  isReachable = true;
  probeCount = 0;
  private readonly listeners = new Set<(hint: NetworkHint) => void>();

  isOnline(): boolean {
    return this.isReachable;
  }

  onHint(listener: (hint: NetworkHint) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  async probe(): Promise<ProbeResult> {
    this.probeCount += 1;
    return this.isReachable ? { kind: 'reached', latencyMs: 20 } : { kind: 'notReached', reason: 'no connection' };
  }

  say(hint: NetworkHint): void {
    for (const listener of this.listeners) listener(hint);
  }
}

/** The disk of `holdfast/testing`, with a look at one login's store. */
class LoginStorage {
  readonly simulator: StorageSimulator;
  readonly open: OpenStorage;

  constructor(clock: FakeClock) {
    this.simulator = new StorageSimulator({ clock, durability: 'strict' });
    this.open = this.simulator.open;
  }

  get commits(): readonly StorageBatch[] {
    return this.simulator.commits;
  }

  /** Counts anew. */
  set commits(commits: readonly []) {
    this.simulator.commits.length = commits.length;
  }

  /** Refuses the commits it says true for. */
  set isFull(isFull: (batch: StorageBatch) => boolean) {
    this.simulator.isFull = isFull;
  }

  /** Refuses to read the keys it says true for. */
  set isUnreadable(isUnreadable: (key: string) => boolean) {
    this.simulator.isUnreadable = isUnreadable;
  }

  /** The store of a login, beside every queue. */
  async peek(userId = 'ann'): Promise<Storage> {
    return this.open(`holdfast/notes/home/${userId}`);
  }

  /** Every record of a login, as it stands. */
  async dump(userId = 'ann'): Promise<Record<string, string>> {
    return (await this.simulator.dump())[`holdfast/notes/home/${userId}`] ?? {};
  }
}

export const note = (id: string, text = 'x') => ({ type: 'note.save', payload: { id, text } }) as const;
