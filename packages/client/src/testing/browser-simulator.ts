import type { OpenTabs, Tabs } from '../ports/tabs.ts';
import type { Json } from '../protocol/wire.ts';

interface Waiting {
  readonly tab: object;
  readonly onGranted: () => void;
}

interface Circle {
  readonly tabs: Map<object, Set<(message: Json) => void>>;
  waiting: Waiting[];
}

/** The tabs of one simulated browser: one lock, first come first served, and messages that can be lost. */
export class BrowserSimulator {
  /** Tabs do not hear each other; what they know of each other then is in storage. */
  isLosingMessages = false;
  private readonly circles = new Map<string, Circle>();

  readonly openTabs: OpenTabs = (name): Tabs => {
    const circle: Circle = this.circles.get(name) ?? { tabs: new Map(), waiting: [] };
    this.circles.set(name, circle);
    const tab = {};
    const listeners = new Set<(message: Json) => void>();
    circle.tabs.set(tab, listeners);
    const leave = (): void => {
      const wasLeading = circle.waiting[0]?.tab === tab;
      circle.waiting = circle.waiting.filter((each) => each.tab !== tab);
      if (wasLeading) grantFirst();
    };
    const grantFirst = (): void => {
      const [first] = circle.waiting;
      // Granted after the call, as a browser does.
      if (first !== undefined) void Promise.resolve().then(first.onGranted);
    };
    return {
      lead(onGranted) {
        circle.waiting.push({ tab, onGranted });
        if (circle.waiting.length === 1) grantFirst();
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
}
