/** What the platform had before anyone replaced it: fake timers of a test runner must not stop the kit. */
const { setTimeout: later, MessageChannel: Channel } = globalThis;
const { setImmediate: immediately } = globalThis as { readonly setImmediate?: (callback: () => void) => void };

/** Lets everything run that waits for nothing but its turn: promises first, then whatever the platform has queued. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    if (immediately !== undefined) {
      immediately(resolve);
    } else if (Channel !== undefined) {
      const { port1, port2 } = new Channel();
      port1.onmessage = () => {
        port1.close();
        resolve();
      };
      port2.postMessage(null);
    } else {
      later(resolve, 0);
    }
  });
}
