import type { Database } from './database.ts';

/** What one round has done. */
export interface MaintenanceReport {
  readonly monthsMade: number;
  readonly auditRowsSealed: number;
  readonly ledgerRowsTrimmed: number;
  /** Names of the months that are gone. */
  readonly monthsDropped: readonly string[];
  /** The log was being read: months that are due are dropped, and made, in a later round. */
  readonly isLogInUse: boolean;
}

export interface MaintenanceOptions {
  readonly database: Database;
  /** How often a round is due, in milliseconds, however many servers there are. @default 300_000 */
  readonly everyMs?: number;
  /** Told of each round that this server has made. */
  readonly onDone?: (report: MaintenanceReport) => void;
  /** Told of a round that failed; the next one comes all the same. */
  readonly onError?: (error: unknown) => void;
  /** Calls back later, once; returns what calls that off. @default `setTimeout`, which keeps no process alive */
  readonly schedule?: (delayMs: number, callback: () => void) => () => void;
  /** From 0 to 1: servers that start together do not ask together. @default `Math.random` */
  readonly random?: () => number;
}

/** Looks after a database until it is closed. */
export interface Maintenance {
  /** Makes no more rounds. Resolves when the one under way has ended. */
  close(): Promise<void>;
}

const MAINTENANCE_MS = 300_000;
/** The first round comes within this, in milliseconds. */
const FIRST_MS_MAX = 30_000;
/** Up to this share is added to each wait. */
const JITTER = 0.2;

/**
 * Calls `holdfast.maintain()` now and then: months ahead, seals of the audit log, old rows, months to drop. Every server may do it: of
 * all that look after one database one makes the round that is due. Never throws.
 */
export function startMaintenance(options: MaintenanceOptions): Maintenance {
  const { database, everyMs = MAINTENANCE_MS, random = Math.random, schedule = later } = options;
  if (!(everyMs > 0)) throw new RangeError(`everyMs must be a number of milliseconds above 0; it is ${everyMs}.`);
  let isClosed = false;
  let round: Promise<void> = Promise.resolve();
  let callOff: () => void = () => undefined;

  const wait = (delayMs: number): void => {
    if (isClosed) return;
    callOff = schedule(delayMs, () => {
      round = maintainIfDue(database, everyMs)
        .then((report) => (report === null ? undefined : options.onDone?.(report)))
        .catch((error: unknown) => options.onError?.(error))
        .then(() => wait(everyMs * (1 + JITTER * random())));
    });
  };
  wait(Math.min(everyMs, FIRST_MS_MAX) * random());
  return {
    async close() {
      isClosed = true;
      callOff();
      await round;
    },
  };
}

/** One round, whoever made the last one and when. */
export async function maintain(database: Database): Promise<MaintenanceReport> {
  const [row] = await database.query<{ done: MaintenanceReport }>('select holdfast.maintain() as done');
  if (row === undefined) throw new Error('maintain gave no answer');
  return row.done;
}

/** Null when another server is at it, or has done it lately. */
async function maintainIfDue(database: Database, everyMs: number): Promise<MaintenanceReport | null> {
  const [row] = await database.query<{ done: MaintenanceReport | null }>(
    `select holdfast.maintain_if_due(make_interval(secs => $1)) as done`,
    [everyMs / 1_000],
  );
  return row?.done ?? null;
}

function later(delayMs: number, callback: () => void): () => void {
  const timer = setTimeout(callback, delayMs);
  timer.unref();
  return () => clearTimeout(timer);
}
