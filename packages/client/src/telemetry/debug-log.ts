import { HoldfastError, isHoldfastError } from '../mutation/holdfast-error.ts';
import type { Clock } from '../ports/clock.ts';
import { printLogEntry } from './system-console.ts';

/** Where in the queue something happened. */
export const LOG_CATEGORIES = ['queue', 'engine', 'delivery', 'storage', 'network', 'tabs', 'auth'] as const;
export type LogCategory = (typeof LOG_CATEGORIES)[number];

/** Numbers, words of Holdfast's own, ids and codes. Never a payload, a token, an address, or a message of anybody. */
export type LogData = Readonly<Record<string, string | number | boolean | null | readonly (string | number)[]>>;

/** One thing that happened. */
export interface LogEntry {
  /** By the device's clock. */
  readonly atMs: number;
  readonly category: LogCategory;
  readonly event: string;
  readonly data: LogData;
}

/**
 * What is shown as it happens: all of it, some categories, or handed to a function instead of the console. The log itself
 * is kept in any case.
 */
export type DebugOption =
  | boolean
  | readonly LogCategory[]
  | { readonly categories?: readonly LogCategory[]; readonly log: (entry: LogEntry) => void };

interface Viewer {
  readonly categories: ReadonlySet<LogCategory>;
  readonly show: (entry: LogEntry) => void;
}

/** Entries that are kept. */
export const LOG_ENTRY_COUNT = 1_000;

const NO_DATA: LogData = {};

/** The last entries, in a ring of fixed size, and whoever watches them come. */
export class DebugLog {
  private readonly clock: Clock;
  private readonly ring: LogEntry[] = [];
  private noteCount = 0;
  private viewers: readonly Viewer[] = [];

  constructor(clock: Clock) {
    this.clock = clock;
  }

  note(category: LogCategory, event: string, data: LogData = NO_DATA): void {
    const entry: LogEntry = { atMs: this.clock.wallMs(), category, event, data };
    this.ring[this.noteCount % LOG_ENTRY_COUNT] = entry;
    this.noteCount += 1;
    for (const { categories, show } of this.viewers) {
      if (!categories.has(category)) continue;
      try {
        show(entry);
      } catch {
        // Whoever watches must not disturb what is watched.
      }
    }
  }

  /** Shows what happens from now on; returns what ends that. */
  watch(option: DebugOption): () => void {
    const viewer = viewerOf(option);
    if (viewer === null) return () => {};
    this.viewers = [...this.viewers, viewer];
    return () => {
      this.viewers = this.viewers.filter((each) => each !== viewer);
    };
  }

  /** Oldest first. */
  get entries(): readonly LogEntry[] {
    const start = this.noteCount % LOG_ENTRY_COUNT;
    return this.noteCount <= LOG_ENTRY_COUNT
      ? [...this.ring]
      : [...this.ring.slice(start), ...this.ring.slice(0, start)];
  }

  /** Entries that the ring has let go. */
  get droppedCount(): number {
    return Math.max(0, this.noteCount - LOG_ENTRY_COUNT);
  }
}

function viewerOf(option: DebugOption): Viewer | null {
  if (option === false) return null;
  const isOwn = typeof option === 'object' && 'log' in option;
  const named = isOwn ? option.categories : option === true ? undefined : (option as readonly LogCategory[]);
  const categories = new Set<LogCategory>(named ?? LOG_CATEGORIES);
  for (const category of categories) if (!LOG_CATEGORIES.includes(category)) throw unknownCategory(category);
  return { categories, show: isOwn ? option.log : printLogEntry };
}

/** What may be told of an error: its code and category. Its message may quote what a user wrote. */
export function errorData(error: unknown): LogData {
  if (!isHoldfastError(error) && !isWireError(error)) return { code: 'UNKNOWN' };
  return { code: safeCode(error.code), category: error.category };
}

/** Codes are words; anything else might be a message. */
export function safeCode(code: string): string {
  return /^[\w.-]{1,40}$/.test(code) ? code : 'OTHER';
}

function isWireError(error: unknown): error is { readonly code: string; readonly category: string } {
  return typeof error === 'object' && error !== null && 'code' in error && 'category' in error;
}

function unknownCategory(category: unknown): HoldfastError {
  return new HoldfastError({
    code: 'INVALID_OPTION',
    message: `\`debug\` names the category ${JSON.stringify(category)}, which there is not.`,
    hint: `Use true, or some of ${LOG_CATEGORIES.join(', ')}.`,
  });
}
