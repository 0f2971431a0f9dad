import type {
  AppState,
  CellularGeneration,
  Connection,
  ConnectionType,
  NetworkSource,
} from '../ports/network-source.ts';
import { probeServer } from './system-probe.ts';

/** As much of a state of `@react-native-community/netinfo` as is used. */
export interface NetInfoStateLike {
  readonly type: string;
  readonly isConnected: boolean | null;
  readonly details?: {
    readonly cellularGeneration?: string | null;
    readonly isConnectionExpensive?: boolean;
  } | null;
}

/** As much of `@react-native-community/netinfo` as is used. */
export interface NetInfoLike {
  addEventListener(listener: (state: NetInfoStateLike) => void): () => void;
}

/** As much of React Native's `AppState` as is used. */
export interface AppStateLike {
  readonly currentState: string | null;
  addEventListener(name: 'change', listener: (state: string) => void): { remove(): void };
}

export interface NetInfoNetworkOptions {
  /** Address of the server's health endpoint. */
  readonly probeUrl: string;
  /** React Native's; without it the app counts as active, and coming to the foreground is not noticed. */
  readonly appState?: AppStateLike;
}

/** A phone's view of the network, by NetInfo. It is a hint, as every platform's: the probe asks the server itself. */
export function netInfoNetwork(netInfo: NetInfoLike, { probeUrl, appState }: NetInfoNetworkOptions): NetworkSource {
  let state: NetInfoStateLike = { type: 'unknown', isConnected: null };
  return {
    isOnline: () => isOnline(state),
    connection: () => connectionOf(state),
    appState: () => appStateOf(appState?.currentState),
    onHint(listener) {
      const stopNetInfo = netInfo.addEventListener((next) => {
        const wasOnline = isOnline(state);
        const before = connectionOf(state);
        state = next;
        const after = connectionOf(next);
        if (isOnline(next) !== wasOnline) listener(wasOnline ? 'offline' : 'online');
        // Told twice by some platforms.
        else if (
          after.type !== before.type ||
          after.generation !== before.generation ||
          after.isMetered !== before.isMetered
        )
          listener('changed');
      });
      const watching = appState?.addEventListener('change', (next) => {
        listener(next === 'active' ? 'foreground' : 'changed');
      });
      return () => {
        stopNetInfo();
        watching?.remove();
      };
    },
    probe: (signal) => probeServer(probeUrl, signal),
  };
}

/** Not known yet counts as online: the probe will tell. */
function isOnline({ isConnected, type }: NetInfoStateLike): boolean {
  return isConnected !== false && type !== 'none';
}

const TYPES: Readonly<Record<string, ConnectionType>> = {
  wifi: 'wifi',
  cellular: 'cellular',
  ethernet: 'ethernet',
  none: 'none',
};
const GENERATIONS: readonly CellularGeneration[] = ['2g', '3g', '4g', '5g'];

function connectionOf({ type, details }: NetInfoStateLike): Connection {
  return {
    type: TYPES[type] ?? 'unknown',
    generation: GENERATIONS.find((generation) => generation === details?.cellularGeneration) ?? null,
    isMetered: details?.isConnectionExpensive ?? (type === 'cellular' ? true : null),
    bandwidthMbps: null,
  };
}

function appStateOf(state: string | null | undefined): AppState {
  return state === 'background' || state === 'inactive' ? state : 'active';
}
