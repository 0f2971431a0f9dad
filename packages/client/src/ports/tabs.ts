import type { Json } from '../protocol/wire.ts';

/**
 * The other tabs (windows, workers) of this app that share the store. Leadership is who delivers; messages are hints: they
 * may be lost, doubled or late, and the store is the truth.
 */
export interface Tabs {
  /** Asks once for leadership and waits for it; calls back when it is granted. Returns a function that gives it up or stops waiting. */
  lead(onGranted: () => void): () => void;
  post(message: Json): void;
  /** Messages of the other tabs, never one's own. */
  onMessage(listener: (message: Json) => void): () => void;
  close(): void;
}

/** Opens the circle of tabs that share a store of this name. */
export type OpenTabs = (name: string) => Tabs;
