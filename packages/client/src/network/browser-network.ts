import type { ProbeResult } from '../engine/probe-result.ts';
import type { NetworkSource } from '../ports/network-source.ts';

export interface BrowserNetworkOptions {
  /** Address of the server's health endpoint. */
  readonly probeUrl: string;
}

/**
 * The browser's view of the network: `online` and `offline` events and the page becoming visible are hints; the probe
 * asks the server itself and takes only our server's JSON for an answer, since a captive portal answers everything with 200.
 */
export function browserNetwork({ probeUrl }: BrowserNetworkOptions): NetworkSource {
  return {
    isOnline: () => globalThis.navigator?.onLine ?? true,
    onHint(listener) {
      if (typeof window === 'undefined') return () => {};
      const stop = new AbortController();
      const { signal } = stop;
      window.addEventListener('online', () => listener('online'), { signal });
      window.addEventListener('offline', () => listener('offline'), { signal });
      const foreground = (): void => {
        if (document.visibilityState === 'visible') listener('foreground');
      };
      document.addEventListener('visibilitychange', foreground, { signal });
      window.addEventListener('pageshow', foreground, { signal });
      return () => stop.abort();
    },
    async probe(signal): Promise<ProbeResult> {
      const startedAtMs = performance.now();
      try {
        const response = await fetch(probeUrl, { signal, cache: 'no-store', redirect: 'error', credentials: 'omit' });
        const body: unknown = await response.json();
        if (isHealth(body)) return { kind: 'reached', latencyMs: performance.now() - startedAtMs };
        return { kind: 'notReached', reason: 'something else than the server answered' };
      } catch (error) {
        return { kind: 'notReached', reason: signal.aborted ? 'no answer in time' : describe(error) };
      }
    },
  };
}

function isHealth(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'service' in body && body.service === 'holdfast';
}

function describe(error: unknown): string {
  return error instanceof SyntaxError ? 'something else than the server answered' : 'no connection';
}
