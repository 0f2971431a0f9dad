import type { DeadLetter, MutationHeader } from '../mutation/record.ts';
import type { WireError } from '../protocol/wire.ts';

/**
 * One mutation, from `add` until it rests.
 *
 *   waiting ──batch──▶ sending ──applied──▶ completed
 *      ▲                  ├─refused────────▶ waiting with backoff, or failed when attempts are spent
 *      └─no answer, deferred──┴─rejected──▶ failed (a dead letter)
 */
export type Phase =
  | { readonly kind: 'waiting' }
  | { readonly kind: 'sending'; readonly batchId: number | null } // null: another tab is sending it
  | { readonly kind: 'failed'; readonly error: WireError; readonly failedAtMs: number; readonly holdsLane: boolean };

/** A mutation that is not yet confirmed, as the engine holds it in memory. */
export interface Entry {
  header: MutationHeader;
  phase: Phase;
  /** Once true it is never changed: found at open, or sent without a clear "not sent". */
  mayHaveBeenSent: boolean;
  /** What the line or the last answer said, for the one who asks why it waits. */
  lastError: WireError | null;
  /** How often in a row the server has put it off. */
  deferralCount: number;
  /** Since when it waits, for its lane's turn (monotonic). */
  readonly waitingSinceMs: number;
  /** Not sent before (monotonic), whatever anyone asks: the undo window of its own. */
  heldUntilMs: number;
  /** Not sent before (monotonic), unless someone asks to hurry: a backoff, or a deferral. */
  backoffUntilMs: number;
  /** How often it got no answer alone, with answers to others in between: it may be what kills its server. */
  suspicionCount: number;
  /** How many batches had been answered when it last got none alone. */
  suspectedAtAnswer: number;
  /** How often the server has said that a row it refers to is not there, while creations before it were pending. */
  rowWaitCount: number;
  /** It waits for these creations. */
  awaitsRow: boolean;
  /** Whether it was last sent as one that may wait so. */
  mayAwaitRow: boolean;
  /** Mutations that must be confirmed first. See `addOpenParent`. */
  openParents: ReadonlySet<string>;
  /** Someone is rewriting it, under this id: it is neither sent nor settled meanwhile. Null when nobody is. */
  amendId: string | null;
  /** What the edit before it of the same row left, while this one has not taken note of it. */
  leftBefore: RowLeft | null;
}

/** What an edit left of its row: made on `untilVersion`, it left `rowVersion`, and since `sinceVersion` nobody else has changed the row. */
export interface RowLeft {
  readonly sinceVersion: number;
  readonly untilVersion: number;
  readonly rowVersion: number;
}

/** Shared by all that wait: a long queue has very many. */
export const WAITING: Phase = { kind: 'waiting' };
/** Nearly all stand on nothing. */
export const NO_PARENTS: ReadonlySet<string> = new Set();

export function addOpenParent(entry: Entry, id: string): void {
  entry.openParents = new Set([...entry.openParents, id]);
}

export function removeOpenParent(entry: Entry, id: string): void {
  const left = [...entry.openParents].filter((each) => each !== id);
  entry.openParents = left.length === 0 ? NO_PARENTS : new Set(left);
}

/** Whether it may go as soon as it is the first of its lane. */
export function isDue(entry: Entry, nowMs: number): boolean {
  const { header, phase, amendId } = entry;
  return (
    phase.kind === 'waiting' &&
    !hasOpenParents(entry) &&
    amendId === null &&
    !isInConflict(header) &&
    dueAtMs(entry) <= nowMs
  );
}

/** Whether it waits for others to be confirmed, or for what they return. */
export function hasOpenParents({ openParents, header }: Entry): boolean {
  return openParents.size > 0 || header.slots.length > 0;
}

/** Whether it waits for a person to choose between two versions. */
export function isInConflict({ edit }: MutationHeader): boolean {
  return edit !== undefined && edit.conflict !== null;
}

/** What to keep an edit back under while its conflict is decided. */
export function conflictAmendId(id: string): string {
  return `conflict ${id}`;
}

export function dueAtMs(entry: Entry): number {
  return Math.max(entry.heldUntilMs, entry.backoffUntilMs);
}

/** As it stands in the store; nothing for one that has not failed. */
export function deadLetterOf({ header, phase }: Entry): readonly DeadLetter[] {
  if (phase.kind !== 'failed') return [];
  const { error, failedAtMs, holdsLane } = phase;
  return [{ header, error, failedAtMs, holdsLane }];
}
