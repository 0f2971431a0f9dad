import type { Lead, OpenTabs } from '../ports/tabs.ts';
import type { Json } from '../protocol/wire.ts';

/**
 * Tabs of one browser: Web Locks for leadership, BroadcastChannel for hints. The lock is asked for once and waited for
 * (asking whether it is free, and then asking for it, would let two tabs win).
 */
export const browserTabs: OpenTabs = (name) => {
  const channel = typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel(`holdfast:${name}`);
  const locks = globalThis.navigator?.locks;
  return {
    hasLock: locks !== undefined,
    lead(lead, { isForced = false } = {}) {
      if (locks === undefined) return () => {};
      const claim = new LockClaim(locks, `holdfast:${name}`, lead);
      claim.ask(isForced);
      const stopWatching = onPageLife({ away: () => claim.giveUp(), back: () => claim.ask(false) });
      return () => {
        stopWatching();
        claim.drop();
      };
    },
    post(message) {
      channel?.postMessage(message);
    },
    onMessage(listener) {
      if (channel === null) return () => {};
      const receive = (event: MessageEvent): void => listener(event.data as Json);
      channel.addEventListener('message', receive);
      return () => channel.removeEventListener('message', receive);
    },
    close() {
      channel?.close();
    },
  };
};

/** One lock, asked for and given back any number of times. */
class LockClaim {
  private readonly locks: LockManager;
  private readonly name: string;
  private readonly lead: Lead;
  private isHeld = false;
  /** Stops waiting, or gives back; does nothing twice. */
  private end: () => void = () => {};

  constructor(locks: LockManager, name: string, lead: Lead) {
    this.locks = locks;
    this.name = name;
    this.lead = lead;
  }

  ask(isForced: boolean): void {
    let isOver = false;
    const waiting = new AbortController();
    let release = (): void => {};
    const end = (): void => {
      isOver = true;
      waiting.abort();
      release();
    };
    this.end = end;
    this.locks
      // What is taken by force is not waited for, and the platform refuses a signal with it.
      .request(this.name, isForced ? { steal: true } : { signal: waiting.signal }, () => {
        if (isOver) return undefined;
        const held = new Promise<void>((resolve) => {
          release = resolve;
        });
        this.isHeld = true;
        this.lead.onGranted();
        return held;
      })
      .catch(() => {
        // Given up while waiting; or taken by force from this tab, whose code runs on; or a lock manager that is broken, and
        // then whoever hears of no leader takes the lead.
        if (isOver || !this.isHeld) return;
        this.giveUp();
        this.ask(false);
      });
  }

  /** The lead is not this tab's any more, whoever wanted it so. */
  giveUp(): void {
    const wasHeld = this.isHeld;
    this.drop();
    if (wasHeld) this.lead.onLost();
  }

  drop(): void {
    this.isHeld = false;
    this.end();
  }
}

/**
 * A page that is frozen or kept in the back/forward cache can neither deliver nor, while it holds the lock, let others.
 * These events are the last it hears before, and the first after. A discarded page starts anew, and needs nothing here.
 */
function onPageLife(listener: { readonly away: () => void; readonly back: () => void }): () => void {
  if (typeof window === 'undefined' || typeof document === 'undefined') return () => {};
  const stop = new AbortController();
  const { signal } = stop;
  let isAway = false;
  const goAway = (): void => {
    if (isAway) return;
    isAway = true;
    listener.away();
  };
  const comeBack = (): void => {
    if (!isAway) return;
    isAway = false;
    listener.back();
  };
  window.addEventListener('pagehide', goAway, { signal });
  document.addEventListener('freeze', goAway, { signal });
  window.addEventListener('pageshow', comeBack, { signal });
  document.addEventListener('resume', comeBack, { signal });
  return () => stop.abort();
}
