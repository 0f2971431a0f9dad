import { browserNetwork, indexedDbStorage, type NetworkSource, type OpenStorage } from 'holdfast';
import { FaultyServer, NetworkSimulator, realTime, type RequestErrorMode, StorageSimulator } from 'holdfast/testing';

/** What may be wrong with the answers of the server. */
export const FAULTS = ['none', 'login', 'rateLimit', 'serverError', 'lostAnswers', 'captivePortal'] as const;
export type Fault = (typeof FAULTS)[number];

export interface SimulationSettings {
  readonly isOffline: boolean;
  /** Of a request and its answer together, in milliseconds. */
  readonly latencyMs: number;
  /** Of requests, and of answers, that get lost: 0 to 100. */
  readonly lossPercent: number;
  readonly fault: Fault;
  /** Nothing can be stored on this device. */
  readonly isDiskFull: boolean;
}

export const NOTHING_WRONG: SimulationSettings = {
  isOffline: false,
  latencyMs: 0,
  lossPercent: 0,
  fault: 'none',
  isDiskFull: false,
};

const MODES: Readonly<Record<Fault, RequestErrorMode | null>> = {
  none: null,
  login: 'unauthorized',
  rateLimit: { status: 429, headers: { 'retry-after': '10' } },
  serverError: 'serverError',
  lostAnswers: 'failsAfterCommit',
  captivePortal: null,
};

/** What everything of this page that leaves it goes through. With nothing wrong it is the platform itself. */
export interface Simulation {
  readonly fetch: typeof fetch;
  readonly network: NetworkSource;
  readonly openStorage: OpenStorage;
  readonly subscribe: (listener: () => void) => () => void;
  readonly getSnapshot: () => SimulationSettings;
  readonly set: (settings: Partial<SimulationSettings>) => void;
}

/** The faults of a bad day, before the real server and the real store of this page: the kit that tests use, on real time. */
export function createSimulation(): Simulation {
  const server = new FaultyServer({ fetch: (input, init) => fetch(input, init) });
  const line = new NetworkSimulator({ clock: realTime, random: Math.random, server });
  const disk = new StorageSimulator({ clock: realTime, open: indexedDbStorage() });
  const platform = browserNetwork({ probeUrl: '/v1/health' });
  const listeners = new Set<() => void>();
  let settings = NOTHING_WRONG;

  const set = (change: Partial<SimulationSettings>): void => {
    const before = settings;
    settings = { ...settings, ...change };
    const share = settings.lossPercent / 100;
    line.setLatency(settings.latencyMs);
    line.setLoss({ requests: share, answers: share });
    line.setCaptivePortal(settings.fault === 'captivePortal');
    server.setErrorMode(MODES[settings.fault], {
      when: ({ path }) => !path.endsWith('/health') && path !== '/api/sign-in',
    });
    disk.setFull(settings.isDiskFull);
    if (settings.isOffline !== before.isOffline) {
      if (settings.isOffline) line.setOffline();
      else line.setOnline();
    }
    for (const listener of listeners) listener();
  };

  return {
    fetch: (input, init) => (isAtRest(settings) ? fetch(input, init) : line.fetch(input, init)),
    network: {
      isOnline: () => line.isOnline() && platform.isOnline(),
      connection: () => platform.connection?.() ?? line.connection(),
      appState: () => platform.appState?.() ?? 'active',
      onHint: (listener) => {
        const stops = [line.onHint(listener), platform.onHint(listener)];
        return () => {
          for (const stop of stops) stop();
        };
      },
      probe: (signal) => (isAtRest(settings) ? platform.probe(signal) : line.probe(signal)),
    },
    openStorage: disk.open,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    getSnapshot: () => settings,
    set,
  };
}

export function isAtRest({ isOffline, latencyMs, lossPercent, fault, isDiskFull }: SimulationSettings): boolean {
  return !isOffline && latencyMs === 0 && lossPercent === 0 && fault === 'none' && !isDiskFull;
}
