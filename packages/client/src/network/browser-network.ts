import type { CellularGeneration, Connection, ConnectionType, NetworkSource } from '../ports/network-source.ts';
import { probeServer } from './system-probe.ts';

export interface BrowserNetworkOptions {
  /** Address of the server's health endpoint. */
  readonly probeUrl: string;
}

/**
 * The browser's view of the network: `online` and `offline` events, the page becoming visible and, where there is one, the
 * Network Information API are hints; the probe asks the server itself.
 */
export function browserNetwork({ probeUrl }: BrowserNetworkOptions): NetworkSource {
  return {
    isOnline: () => globalThis.navigator?.onLine ?? true,
    connection: () => connectionOf(information(), globalThis.navigator?.onLine ?? true),
    appState: () =>
      typeof document === 'undefined' || document.visibilityState === 'visible' ? 'active' : 'background',
    onHint(listener) {
      if (typeof window === 'undefined') return () => {};
      const stop = new AbortController();
      const { signal } = stop;
      window.addEventListener('online', () => listener('online'), { signal });
      window.addEventListener('offline', () => listener('offline'), { signal });
      const foreground = (): void => listener(document.visibilityState === 'visible' ? 'foreground' : 'changed');
      document.addEventListener('visibilitychange', foreground, { signal });
      window.addEventListener('pageshow', foreground, { signal });
      information()?.addEventListener?.('change', () => listener('changed'), { signal });
      return () => stop.abort();
    },
    probe: (signal) => probeServer(probeUrl, signal),
  };
}

/** As much of the Network Information API as is used; only some browsers have it, and none has all. */
export interface NetworkInformationLike {
  readonly type?: string;
  readonly effectiveType?: string;
  readonly downlink?: number;
  readonly saveData?: boolean;
  addEventListener?(name: 'change', listener: () => void, options: { readonly signal: AbortSignal }): void;
}

function information(): NetworkInformationLike | undefined {
  return (globalThis.navigator as { readonly connection?: NetworkInformationLike } | undefined)?.connection;
}

const TYPES: Readonly<Record<string, ConnectionType>> = {
  wifi: 'wifi',
  wimax: 'wifi',
  cellular: 'cellular',
  ethernet: 'ethernet',
  none: 'none',
};
const GENERATIONS: Readonly<Record<string, CellularGeneration>> = {
  'slow-2g': '2g',
  '2g': '2g',
  '3g': '3g',
  '4g': '4g',
  '5g': '5g',
};

/** What the API says, in our words. */
export function connectionOf(information: NetworkInformationLike | undefined, isOnline: boolean): Connection {
  const type = isOnline ? (TYPES[information?.type ?? ''] ?? 'unknown') : 'none';
  const isRadio = type === 'cellular' || type === 'unknown';
  const isSparing = information?.saveData === true || type === 'cellular';
  return {
    type,
    generation: (isRadio ? GENERATIONS[information?.effectiveType ?? ''] : undefined) ?? null,
    isMetered: isSparing ? true : type === 'wifi' || type === 'ethernet' ? false : null,
    bandwidthMbps: information?.downlink ?? null,
  };
}
