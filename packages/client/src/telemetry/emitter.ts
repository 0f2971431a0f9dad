/** Calls each listener; one that throws harms neither the others nor the caller. */
export class Emitter<Event> {
  private readonly listeners = new Set<(event: Event) => void>();
  private readonly onThrow: (error: unknown) => void;

  constructor(onThrow: (error: unknown) => void) {
    this.onThrow = onThrow;
  }

  /** Returns an unsubscribe. The same function may listen more than once. */
  on(listener: (event: Event) => void): () => void {
    const own = (event: Event): void => listener(event);
    this.listeners.add(own);
    return () => {
      this.listeners.delete(own);
    };
  }

  emit(event: Event): void {
    for (const listener of [...this.listeners]) {
      try {
        listener(event);
      } catch (error) {
        this.onThrow(error);
      }
    }
  }
}
