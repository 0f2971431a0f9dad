import type { NetworkSource } from '../ports/network-source.ts';
import { probeServer } from './system-probe.ts';

export interface NodeNetworkOptions {
  /** Address of the server's health endpoint. */
  readonly probeUrl: string;
}

/** For Node, which tells of no changes: the queue finds them out by sending, and by the probe. */
export function nodeNetwork({ probeUrl }: NodeNetworkOptions): NetworkSource {
  return {
    isOnline: () => true,
    onHint: () => () => {},
    probe: (signal) => probeServer(probeUrl, signal),
  };
}
