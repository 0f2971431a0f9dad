import type { DeadLetter, HeaderFields, MutationHeader, RowLeft } from '../mutation/record.ts';
import type { WireError } from '../protocol/wire.ts';
import { KeptHeader, type PackedHeader } from './kept-header.ts';

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

/** What only a few have met: the others share one of these. */
interface Trouble {
  heldUntilMs: number;
  openParents: ReadonlySet<string>;
  lastError: WireError | null;
  deferralCount: number;
  backoffUntilMs: number;
  alarmAtMs: number | null;
  suspicionCount: number;
  suspectedAtAnswer: number;
  rowWaitCount: number;
  awaitsRow: boolean;
  mayAwaitRow: boolean;
  amendId: string | null;
  leftBefore: RowLeft | null;
}

/** Nearly all stand on nothing. */
export const NO_PARENTS: ReadonlySet<string> = new Set();

/** Never changed: whoever meets trouble gets a copy. */
const NO_TROUBLE: Trouble = {
  heldUntilMs: 0,
  openParents: NO_PARENTS,
  lastError: null,
  deferralCount: 0,
  backoffUntilMs: 0,
  alarmAtMs: null,
  suspicionCount: 0,
  suspectedAtAnswer: 0,
  rowWaitCount: 0,
  awaitsRow: false,
  mayAwaitRow: false,
  amendId: null,
  leftBefore: null,
};

/** A mutation that is not yet confirmed, as the engine holds it in memory: its header, and what it has met. */
export class Entry extends KeptHeader {
  phase: Phase = WAITING;
  /** Once true it is never changed: found at open, or sent without a clear "not sent". */
  mayHaveBeenSent: boolean;
  /** Since when it waits, for its lane's turn (monotonic). */
  readonly waitingSinceMs: number;
  /** Where the schedule has listed it among those that are ready, -1 for nowhere; and with which rank: the lower the sooner. */
  listedAt = -1;
  listedRankMs = 0;
  private trouble: Trouble = NO_TROUBLE;

  constructor(header: MutationHeader | PackedHeader, { mayHaveBeenSent, waitingSinceMs, heldUntilMs }: EntryBeginning) {
    super(header);
    this.mayHaveBeenSent = mayHaveBeenSent;
    // Whole numbers, which take no room of their own.
    this.waitingSinceMs = Math.floor(waitingSinceMs);
    this.heldUntilMs = heldUntilMs > waitingSinceMs ? heldUntilMs : 0;
  }

  /** It has met nothing that others have not. */
  get isUntroubled(): boolean {
    return this.trouble === NO_TROUBLE;
  }

  /** Not sent before (monotonic), whatever anyone asks: the undo window of its own. */
  get heldUntilMs(): number {
    return this.trouble.heldUntilMs;
  }
  set heldUntilMs(untilMs: number) {
    this.meet('heldUntilMs', untilMs);
  }

  /** Mutations that must be confirmed first; replaced as a whole. See `addOpenParent`. */
  get openParents(): ReadonlySet<string> {
    return this.trouble.openParents;
  }
  set openParents(ids: ReadonlySet<string>) {
    this.meet('openParents', ids);
  }

  /** What the line or the last answer said, for the one who asks why it waits. */
  get lastError(): WireError | null {
    return this.trouble.lastError;
  }
  set lastError(error: WireError | null) {
    this.meet('lastError', error);
  }

  /** How often in a row the server has put it off. */
  get deferralCount(): number {
    return this.trouble.deferralCount;
  }
  set deferralCount(count: number) {
    this.meet('deferralCount', count);
  }

  /** Not sent before (monotonic), unless someone asks to hurry: a backoff, or a deferral. */
  get backoffUntilMs(): number {
    return this.trouble.backoffUntilMs;
  }
  set backoffUntilMs(untilMs: number) {
    this.meet('backoffUntilMs', untilMs);
  }

  /** When the schedule looks at it again (monotonic), while it is the head of its lanes and not due. */
  get alarmAtMs(): number | null {
    return this.trouble.alarmAtMs;
  }
  set alarmAtMs(atMs: number | null) {
    this.meet('alarmAtMs', atMs);
  }

  /** How often it got no answer alone, with answers to others in between: it may be what kills its server. */
  get suspicionCount(): number {
    return this.trouble.suspicionCount;
  }
  set suspicionCount(count: number) {
    this.meet('suspicionCount', count);
  }

  /** How many batches had been answered when it last got none alone. */
  get suspectedAtAnswer(): number {
    return this.trouble.suspectedAtAnswer;
  }
  set suspectedAtAnswer(count: number) {
    this.meet('suspectedAtAnswer', count);
  }

  /** How often the server has said that a row it refers to is not there, while creations before it were pending. */
  get rowWaitCount(): number {
    return this.trouble.rowWaitCount;
  }
  set rowWaitCount(count: number) {
    this.meet('rowWaitCount', count);
  }

  /** It waits for these creations. */
  get awaitsRow(): boolean {
    return this.trouble.awaitsRow;
  }
  set awaitsRow(awaitsRow: boolean) {
    this.meet('awaitsRow', awaitsRow);
  }

  /** Whether it was last sent as one that may wait so. */
  get mayAwaitRow(): boolean {
    return this.trouble.mayAwaitRow;
  }
  set mayAwaitRow(mayAwaitRow: boolean) {
    this.meet('mayAwaitRow', mayAwaitRow);
  }

  /** Someone is rewriting it, under this id: it is neither sent nor settled meanwhile. Null when nobody is. */
  get amendId(): string | null {
    return this.trouble.amendId;
  }
  set amendId(amendId: string | null) {
    this.meet('amendId', amendId);
  }

  /** What the edit before it of the same row left, while this one has not taken note of it. */
  get leftBefore(): RowLeft | null {
    return this.trouble.leftBefore;
  }
  set leftBefore(left: RowLeft | null) {
    this.meet('leftBefore', left);
  }

  private meet<Part extends keyof Trouble>(part: Part, value: Trouble[Part]): void {
    if (this.trouble[part] === value) return;
    if (this.trouble === NO_TROUBLE) this.trouble = { ...NO_TROUBLE };
    this.trouble[part] = value;
  }
}

/** What can be seen of one; of what is packed, it is made for whoever looks, and thrown away. */
export type EntryView = Readonly<Pick<Entry, keyof HeaderFields | 'header' | 'phase' | 'lastError'>>;

/** How it begins; times are monotonic. */
export interface EntryBeginning {
  readonly mayHaveBeenSent: boolean;
  readonly waitingSinceMs: number;
  readonly heldUntilMs: number;
}

/** Shared by all that wait: a long queue has very many. */
export const WAITING: Phase = { kind: 'waiting' };

export function addOpenParent(entry: Entry, id: string): void {
  entry.openParents = new Set([...entry.openParents, id]);
}

export function removeOpenParent(entry: Entry, id: string): void {
  const left = [...entry.openParents].filter((each) => each !== id);
  entry.openParents = left.length === 0 ? NO_PARENTS : new Set(left);
}

/** Whether it may go as soon as it is the first of its lane. */
export function isDue(entry: Entry, nowMs: number): boolean {
  const { phase, amendId } = entry;
  return (
    phase.kind === 'waiting' &&
    !hasOpenParents(entry) &&
    amendId === null &&
    !isInConflict(entry) &&
    dueAtMs(entry) <= nowMs
  );
}

/** Whether it waits for others to be confirmed, or for what they return. */
export function hasOpenParents({ openParents, slots }: Entry): boolean {
  return openParents.size > 0 || slots.length > 0;
}

/** Whether it waits for a person to choose between two versions. */
export function isInConflict({ edit }: Pick<HeaderFields, 'edit'>): boolean {
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
export function deadLetterOf({ header, phase }: Pick<Entry, 'header' | 'phase'>): readonly DeadLetter[] {
  if (phase.kind !== 'failed') return [];
  const { error, failedAtMs, holdsLane } = phase;
  return [{ header, error, failedAtMs, holdsLane }];
}
