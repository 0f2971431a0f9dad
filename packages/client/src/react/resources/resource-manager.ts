/** Things that must be given back: connections, object URLs, subscriptions. */
export interface ResourceManager {
  /** Takes charge of a resource and returns it. One that is added after everything was disposed of is disposed of at once. */
  readonly add: <Resource>(resource: Resource, dispose: (resource: Resource) => void) => Resource;
  /** Gives this one back now. True if it was there. */
  readonly release: (resource: unknown) => boolean;
  /** Gives back all, the newest first. One that throws is reported and does not keep the others. */
  readonly disposeAll: () => void;
  readonly count: () => number;
}

/** `onThrow` hears of a `dispose` that throws. */
export function createResourceManager(
  onThrow: (error: unknown) => void,
): ResourceManager & { readonly reopen: () => void } {
  let held: { readonly resource: unknown; readonly dispose: () => void }[] = [];
  let isOpen = true;
  const safely = (dispose: () => void): void => {
    try {
      dispose();
    } catch (error) {
      onThrow(error);
    }
  };
  return {
    add(resource, dispose) {
      const give = (): void => dispose(resource);
      if (isOpen) held.push({ resource, dispose: give });
      else safely(give);
      return resource;
    },
    release(resource) {
      const index = held.findIndex((entry) => entry.resource === resource);
      const [entry] = index < 0 ? [] : held.splice(index, 1);
      if (entry === undefined) return false;
      safely(entry.dispose);
      return true;
    },
    disposeAll() {
      const all = held.reverse();
      held = [];
      isOpen = false;
      for (const { dispose } of all) safely(dispose);
    },
    reopen() {
      isOpen = true;
    },
    count: () => held.length,
  };
}
