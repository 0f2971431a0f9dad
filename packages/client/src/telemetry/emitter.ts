import { HoldfastError, messageOf } from '../mutation/holdfast-error.ts';

/** Calls each listener; one that throws, or promises and does not keep it, harms neither the others nor the caller. */
export class Emitter<Event> {
  private readonly listeners = new Set<(event: Event) => unknown>();
  /** Those of them that hear an event, whoever comes or goes meanwhile; null when they have changed since the last one. */
  private hearing: readonly ((event: Event) => unknown)[] | null = null;
  private readonly onThrow: (error: unknown) => void;

  constructor(onThrow: (error: unknown) => void) {
    this.onThrow = onThrow;
  }

  /** Returns an unsubscribe. The same function may listen more than once. */
  on(listener: (event: Event) => void): () => void {
    const own = (event: Event): unknown => listener(event);
    this.listeners.add(own);
    this.hearing = null;
    return () => {
      this.listeners.delete(own);
      this.hearing = null;
    };
  }

  emit(event: Event): void {
    this.hearing ??= [...this.listeners];
    for (const listener of this.hearing) {
      try {
        const returned = listener(event);
        if (returned instanceof Promise) returned.catch(this.onThrow);
      } catch (error) {
        this.onThrow(error);
      }
    }
  }
}

/** What an app's own callback threw. */
export function listenerFailed(cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'LISTENER_FAILED',
    message: messageOf(cause),
    hint: 'Correct the listener. The queue goes on without it.',
    cause,
  });
}
