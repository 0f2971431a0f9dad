import type { LogEntry } from './debug-log.ts';

/** Shows an entry where developers look. */
export function printLogEntry({ category, event, data }: LogEntry): void {
  console.debug(`[holdfast:${category}] ${event}`, data);
}
