import type { ProbeResult } from '../engine/probe-result.ts';

/** What the platform knows of the network. `isOnline` is a hint (a cable may be in and lead nowhere); only the probe decides. */
export interface NetworkSource {
  isOnline(): boolean;
  /** Tells of each change of the hint, and of the app coming to the foreground; returns an unsubscribe. */
  onHint(listener: (hint: 'online' | 'offline' | 'foreground') => void): () => void;
  /** Asks our server whether it is there. Never rejects; ends at the signal. */
  probe(signal: AbortSignal): Promise<ProbeResult>;
}
