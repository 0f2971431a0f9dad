import type { Lead, OpenTabs, Tabs } from '../ports/tabs.ts';
import type { Json } from '../protocol/wire.ts';

interface Request {
  readonly tab: object;
  readonly lead: Lead;
}

interface Circle {
  readonly tabs: Map<object, Set<(message: Json) => void>>;
  /** The first holds the lock; the others wait. */
  requests: Request[];
}

/** The tabs of one simulated browser: one lock, first come first served, and messages that can be lost. */
export class BrowserSimulator {
  /** Tabs do not hear each other; what they know of each other then is in storage. */
  isLosingMessages = false;
  /** False for a browser without a lock manager. */
  hasLock = true;
  private readonly circles = new Map<string, Circle>();

  readonly openTabs: OpenTabs = (name): Tabs => {
    const { hasLock } = this;
    const circle: Circle = this.circles.get(name) ?? { tabs: new Map(), requests: [] };
    this.circles.set(name, circle);
    const tab = {};
    const listeners = new Set<(message: Json) => void>();
    circle.tabs.set(tab, listeners);
    const leave = (): void => {
      const wasLeading = circle.requests[0]?.tab === tab;
      circle.requests = circle.requests.filter((each) => each.tab !== tab);
      if (wasLeading) grantFirst();
    };
    const grantFirst = (): void => {
      const [first] = circle.requests;
      // Granted after the call, as a browser does.
      if (first !== undefined) void Promise.resolve().then(first.lead.onGranted);
    };
    return {
      hasLock,
      lead(lead, { isForced = false } = {}) {
        if (!hasLock) return () => {};
        const [holder, ...others] = circle.requests;
        circle.requests = isForced ? [{ tab, lead }, ...others] : [...circle.requests, { tab, lead }];
        if (circle.requests.length === 1 || isForced) grantFirst();
        if (isForced && holder !== undefined) {
          // Who had it is told, and stands in line again.
          circle.requests.push(holder);
          void Promise.resolve().then(holder.lead.onLost);
        }
        return leave;
      },
      post: (message) => {
        if (this.isLosingMessages) return;
        const copy = structuredClone(message);
        for (const [other, theirs] of circle.tabs) {
          if (other !== tab) for (const listener of theirs) void Promise.resolve().then(() => listener(copy));
        }
      },
      onMessage(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      close() {
        circle.tabs.delete(tab);
        leave();
      },
    };
  };

  /** Puts the page that leads away, as `freeze` and `pagehide` announce it; returns what brings it back. */
  putLeaderAway(): () => void {
    const [circle] = this.circles.values();
    const [holder, next] = circle?.requests ?? [];
    if (circle === undefined || holder === undefined) throw new Error('No page leads.');
    circle.requests.shift();
    holder.lead.onLost();
    if (next !== undefined) void Promise.resolve().then(next.lead.onGranted);
    return () => {
      circle.requests.push(holder);
      if (circle.requests.length === 1) void Promise.resolve().then(holder.lead.onGranted);
    };
  }
}
