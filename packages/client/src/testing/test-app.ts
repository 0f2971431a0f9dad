import { v7 } from 'uuid';
import { httpTransport } from '../delivery/http-transport.ts';
import type { AnyMutationDefinition } from '../mutation/definition.ts';
import { HoldfastError } from '../mutation/holdfast-error.ts';
import type { NetworkSource } from '../ports/network-source.ts';
import type { OpenStorage, Storage } from '../ports/storage.ts';
import type { OpenTabs } from '../ports/tabs.ts';
import type { Transport } from '../ports/transport.ts';
import { createQueue } from '../queue/create-queue.ts';
import type { MutationQueue } from '../queue/mutation-queue.ts';
import type { Identity, QueueOptions } from '../queue/options.ts';
import { AppRun } from './app-run.ts';
import { BrowserSimulator } from './browser-simulator.ts';
import type { FakeClock } from './fake-clock.ts';
import { NetworkSimulator, type SimulatedFetch } from './network-simulator.ts';
import { ServerSimulator, type ServerSimulatorOptions } from './server-simulator.ts';
import { StorageSimulator } from './storage-simulator.ts';

/** Options of `createQueue` that a test may set beside those that the kit gives. */
export type TestQueueOptions<Definitions extends readonly AnyMutationDefinition[]> = Partial<
  Omit<
    QueueOptions<Definitions>,
    'mutations' | 'identity' | 'transport' | 'storage' | 'network' | 'tabs' | 'clock' | 'random'
  >
>;

export interface TestAppOptions<Definitions extends readonly AnyMutationDefinition[]>
  extends Pick<ServerSimulatorOptions, 'tables' | 'handlers' | 'routes' | 'seed'> {
  /** What the app declares. */
  readonly mutations: Definitions;
  /** Who is signed in. @default `test-user` in `test-workspace` */
  readonly identity?: Identity;
  /** Another device's server, so that both talk to the same one and live in the same time. @default one of its own */
  readonly server?: ServerSimulator;
  /** The app's transport over the simulated line. @default `httpTransport` */
  readonly transport?: (ports: { readonly fetch: SimulatedFetch }) => Transport;
  /** More options of the queue. */
  readonly queue?: TestQueueOptions<Definitions>;
}

export interface RestartOptions<Definitions extends readonly AnyMutationDefinition[]> {
  /** Another version of the app: what it declares. @default as before */
  readonly mutations?: Definitions;
  /** Closes every tab in good order first, instead of ending them like a crash. @default false */
  readonly isGraceful?: boolean;
}

/** One tab: a queue, and the run of the app that it lives in. */
interface Tab<Definitions extends readonly AnyMutationDefinition[]> {
  readonly queue: MutationQueue<Definitions>;
  readonly run: AppRun;
}

/**
 * One device with an app on it: the real queue and the real transport, on a disk, a line, a browser and a clock that do
 * what the test says. Made by `createTestApp`.
 */
export class TestApp<Definitions extends readonly AnyMutationDefinition[]> {
  readonly clock: FakeClock;
  readonly server: ServerSimulator;
  readonly network: NetworkSimulator;
  readonly storage: StorageSimulator;
  readonly browser: BrowserSimulator = new BrowserSimulator();
  private readonly options: TestAppOptions<Definitions>;
  private readonly identity: Identity;
  private mutations: Definitions;
  private open: readonly Tab<Definitions>[] = [];
  private token: string | null;

  constructor(options: TestAppOptions<Definitions>) {
    this.options = options;
    this.mutations = options.mutations;
    this.identity = options.identity ?? { userId: 'test-user', workspaceId: 'test-workspace' };
    this.server = options.server ?? new ServerSimulator(options);
    const { clock, random } = this.server;
    this.clock = clock;
    this.network = new NetworkSimulator({ clock, random, server: this.server });
    this.storage = new StorageSimulator({ clock });
    this.clock.explainBy(() => this.explain());
    this.storage.onCrash = () => this.crash();
    this.token = this.server.issueToken(this.identity);
  }

  /** The queue of the first tab that is open. Throws when none is. */
  get queue(): MutationQueue<Definitions> {
    const [first] = this.open;
    if (first === undefined) throw new Error('No tab is open: call `restartApp()` or `openTab()`.');
    return first.queue;
  }

  /** The queues of all tabs that are open, oldest first. */
  get tabs(): readonly MutationQueue<Definitions>[] {
    return this.open.map(({ queue }) => queue);
  }

  /** Opens the app once more in the same browser, and waits until nothing more happens by itself. */
  async openTab(): Promise<MutationQueue<Definitions>> {
    const run = new AppRun();
    const queue = this.createQueue(run);
    this.open = [...this.open, { queue, run }];
    await this.clock.settle();
    return queue;
  }

  /** Closes a tab in good order. */
  async closeTab(queue: MutationQueue<Definitions>): Promise<void> {
    await this.clock.until(queue.close());
    this.take(queue)?.run.end();
    await this.clock.settle();
  }

  /** Ends a tab without a word, as the browser or the system does when memory is short. */
  async killTab(queue: MutationQueue<Definitions>): Promise<void> {
    const tab = this.take(queue);
    if (tab !== undefined) endTab(tab);
    await this.clock.settle();
  }

  /** Ends every tab like a crash (or in good order), and starts the app anew on what is stored. `queue` is the new one then. */
  async restartApp(options: RestartOptions<Definitions> = {}): Promise<MutationQueue<Definitions>> {
    if (options.isGraceful === true) for (const queue of this.tabs) await this.closeTab(queue);
    this.crash();
    this.mutations = options.mutations ?? this.mutations;
    return this.openTab();
  }

  /** Nobody is signed in: `getToken` gives null. */
  signOut(): void {
    this.token = null;
  }

  /** The same user signs in (again), and the app tells its queues. */
  async signIn(): Promise<void> {
    this.token = this.server.issueToken(this.identity);
    for (const queue of this.tabs) queue.loginChanged();
    await this.clock.settle();
  }

  /** The token of this login runs out; a fresh one is there for the asking. */
  expireToken(): void {
    this.server.expireTokens();
  }

  /** Lets everything happen that needs no time. */
  settle(): Promise<void> {
    return this.clock.settle();
  }

  /**
   * Lets time pass until every mutation has a verdict. Rejects, saying what each one waits for, when that has not
   * happened after `limitMs` of virtual time (a day).
   */
  async drain({ limitMs = 24 * 3_600_000 }: { readonly limitMs?: number } = {}): Promise<void> {
    const isDrained = (): boolean => this.tabs.every((queue) => queue.getSnapshot().pendingCount === 0);
    await this.clock.until(isDrained, { limitMs }).catch(() => {
      throw new Error(
        `Not everything was sent within ${limitMs} ms of virtual time:\n${[...new Set(this.explain())].join('\n')}`,
      );
    });
    await this.clock.settle();
  }

  /** Closes every tab. Nothing has to be closed, but a test that looks for what is left over will want it. */
  async close(): Promise<void> {
    for (const queue of this.tabs) await this.closeTab(queue);
  }

  /** What each mutation waits for, a line each. */
  private explain(): readonly string[] {
    return this.tabs
      .flatMap((queue) => queue.listUnconfirmed())
      .filter(({ status }) => status !== 'failed')
      .map(({ type, id, sentence }) => `- ${type} ${id}: ${sentence}`);
  }

  private crash(): void {
    for (const tab of this.open) endTab(tab);
    this.open = [];
  }

  private take(queue: MutationQueue<Definitions>): Tab<Definitions> | undefined {
    const tab = this.open.find((each) => each.queue === queue);
    this.open = this.open.filter((each) => each !== tab);
    return tab;
  }

  private createQueue(run: AppRun): MutationQueue<Definitions> {
    const { random } = this.server;
    const { transport = ({ fetch }) => httpTransport({ url: '/v1/apply', fetch }), queue } = this.options;
    return createQueue<Definitions>({
      name: 'test-app',
      auth: { getToken: ({ refresh }) => run.guard(this.getToken(refresh)) },
      newId: (wallMs) =>
        v7({ msecs: wallMs, random: Uint8Array.from({ length: 16 }, () => Math.floor(random() * 256)) }),
      ...queue,
      identity: this.identity,
      mutations: this.mutations,
      transport: transport({ fetch: (input, init) => run.guard(this.network.fetch(input, init)) }),
      storage: storageOf(run, this.storage.open),
      network: networkOf(run, this.network),
      tabs: tabsOf(run, this.browser.openTabs),
      clock: run.clockOf(this.clock),
      random,
    });
  }

  private async getToken(isFresh: boolean): Promise<string | null> {
    if (isFresh && this.token !== null) this.token = this.server.issueToken(this.identity);
    return this.token;
  }
}

/**
 * Starts an app on a simulated device, with a simulated server behind it, and waits until nothing more happens by itself.
 *
 * ```ts
 * const app = await createTestApp({ mutations: [saveNote] });
 * app.network.setOffline();
 * await app.queue.add({ type: 'note.save', payload: { id: '1', text: 'Buy milk' } });
 * await app.restartApp();
 * app.network.setOnline();
 * await app.drain();
 * expect(app.server.row('notes', '1')).toEqual({ id: '1', text: 'Buy milk' });
 * ```
 */
export async function createTestApp<const Definitions extends readonly AnyMutationDefinition[]>(
  options: TestAppOptions<Definitions>,
): Promise<TestApp<Definitions>> {
  const app = new TestApp(options);
  await app.openTab();
  return app;
}

/** Nothing comes back to a queue whose run is over: a test that had kept it would wait for ever. */
function endTab({ queue, run }: { readonly queue: object; readonly run: AppRun }): void {
  run.end();
  const refuse = (): Promise<never> =>
    Promise.reject(
      new HoldfastError({
        code: 'QUEUE_CLOSED',
        message: 'This queue ended with its tab (`restartApp()`, `killTab()` or a crash).',
        hint: 'Use `app.queue`, which is the new one.',
      }),
    );
  for (const method of ACTS) Object.defineProperty(queue, method, { value: refuse });
}

/** What a test asks a queue for that is answered later. */
const ACTS: readonly (keyof MutationQueue<readonly AnyMutationDefinition[]>)[] = [
  'add',
  'addAtomic',
  'edit',
  'cancel',
  'retry',
  'discard',
  'pause',
  'resume',
  'process',
  'sync',
  'settled',
  'explain',
  'getMutationStatus',
  'getStatus',
  'listMutations',
];

function storageOf(run: AppRun, open: OpenStorage): OpenStorage {
  return async (name) => {
    const storage: Storage = await run.guard(open(name));
    return {
      durability: storage.durability,
      // What a run that is over had not handed over yet is not stored.
      commit: (batch) => run.guard(run.isAlive ? storage.commit(batch) : new Promise(() => {})),
      read: (keys) => run.guard(storage.read(keys)),
      scan: (query) => run.guard(storage.scan(query)),
      estimate: () => run.guard(storage.estimate()),
      close: () => run.guard(storage.close()),
    };
  };
}

function networkOf(run: AppRun, network: NetworkSimulator): NetworkSource {
  return {
    isOnline: () => network.isOnline(),
    onHint: (listener) => {
      const stop = network.onHint(listener);
      run.onEnd(stop);
      return stop;
    },
    probe: (signal) => run.guard(network.probe(signal)),
  };
}

function tabsOf(run: AppRun, openTabs: OpenTabs): OpenTabs {
  return (name) => {
    const tabs = openTabs(name);
    run.onEnd(() => tabs.close());
    return {
      hasLock: tabs.hasLock,
      lead: ({ onGranted, onLost }, options) => {
        const whileAlive = (tell: () => void) => (): void => {
          if (run.isAlive) tell();
        };
        return tabs.lead({ onGranted: whileAlive(onGranted), onLost: whileAlive(onLost) }, options);
      },
      post: (message) => {
        if (run.isAlive) tabs.post(message);
      },
      onMessage: (listener) => tabs.onMessage(listener),
      close: () => tabs.close(),
    };
  };
}
