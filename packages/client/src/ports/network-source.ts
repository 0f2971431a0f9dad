import type { ProbeResult } from '../engine/probe-result.ts';

/** `none` is a device without any connection; `unknown` one that does not say. */
export type ConnectionType = 'wifi' | 'cellular' | 'ethernet' | 'unknown' | 'none';
export type CellularGeneration = '2g' | '3g' | '4g' | '5g';
/** Whether the user has the app before them. */
export type AppState = 'active' | 'background' | 'inactive';

/** How the device is connected, as far as the platform says. */
export interface Connection {
  readonly type: ConnectionType;
  /** Also what a platform without a word on the type calls its speed. */
  readonly generation: CellularGeneration | null;
  /** Whether the user pays by volume, or asks to be sparing; null when unknown. */
  readonly isMetered: boolean | null;
  /** Megabits a second, as the platform estimates; null when it does not. */
  readonly bandwidthMbps: number | null;
}

/** `changed`: the connection or the state of the app is another one. */
export type NetworkHint = 'online' | 'offline' | 'foreground' | 'changed';

/** What the platform knows of the network. `isOnline` is a hint (a cable may be in and lead nowhere); only the probe decides. */
export interface NetworkSource {
  isOnline(): boolean;
  /** Left out where the platform knows nothing of it. */
  connection?(): Connection;
  /** Left out where there is nothing to look at; then the line is measured only by what is sent. */
  appState?(): AppState;
  /** Tells of each change of the hint, and of the app coming to the foreground; returns an unsubscribe. */
  onHint(listener: (hint: NetworkHint) => void): () => void;
  /** Asks our server whether it is there. Never rejects; ends at the signal. */
  probe(signal: AbortSignal): Promise<ProbeResult>;
}
