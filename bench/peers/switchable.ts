/** Tells a library that the network is away, until it is told that it is there. */
export class Network {
  isOnline = false;
  private readonly listeners = new Set<() => void>();

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  comeBack(): void {
    this.isOnline = true;
    for (const listener of this.listeners) listener();
  }
}

/** Finds out when a library that does not tell has stored: the first write that begins after a call, and ends. */
export class Writes {
  private waiting: (() => void)[] = [];

  /** Does one write of the library. */
  async do(write: () => Promise<unknown>): Promise<void> {
    const waiting = this.waiting;
    this.waiting = [];
    await write();
    for (const done of waiting) done();
  }

  next(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }
}
