import type { LogEntry } from './debug-log.ts';

/** Shows an entry where developers look. */
export function printLogEntry({ category, event, data }: LogEntry): void {
  console.debug(`[holdfast:${category}] ${event}`, data);
}

/** Tells developers of a mistake of theirs that no call could refuse. Whoever calls it tells each only once. */
export function warnDeveloper(message: string): void {
  console.warn(`[holdfast] ${message}`);
}
