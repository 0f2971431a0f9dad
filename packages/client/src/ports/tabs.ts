import type { Json } from '../protocol/wire.ts';

/**
 * The other tabs (windows, workers) of this app that share the store. Leadership is who delivers; messages are hints: they
 * may be lost, doubled or late, and the store is the truth.
 */
export interface Tabs {
  /** False where the platform has no locks: then `lead` grants nothing, and a tab that hears of no leader takes the lead. */
  readonly hasLock: boolean;
  /**
   * Asks for the lead, once, and waits for it; after a loss that is the platform's doing it is asked for again without
   * another call. Returns a function that gives it up or stops waiting. At most one call stands at a time.
   */
  lead(lead: Lead, options?: LeadOptions): () => void;
  post(message: Json): void;
  /** Messages of the other tabs, never one's own. */
  onMessage(listener: (message: Json) => void): () => void;
  close(): void;
}

/** What becomes of the lead that a tab has asked for; both may happen several times, in turns. */
export interface Lead {
  readonly onGranted: () => void;
  /** It is another's now: taken by force, or given up because the page is put away. Nothing may be sent after this. */
  readonly onLost: () => void;
}

export interface LeadOptions {
  /** Takes it from whoever holds it, since they give no sign of life. @default false */
  readonly isForced?: boolean;
}

/** Opens the circle of tabs that share a store of this name. */
export type OpenTabs = (name: string) => Tabs;
