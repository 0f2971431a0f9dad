import type { Entry } from './entry.ts';

/** How long everything waits for values to be filled in, in milliseconds: normally one commit. */
const HOLD_BACK_MS = 10_000;

/**
 * Those that lack a value which another is to return. Once that one is confirmed, and what it returned is stored, the value
 * can be filled in; only then is it known which row, and which lane, it is about.
 *
 * Until it is in its lane nothing is sent: what the app adds to the same row, now that it knows the row's id, has a higher
 * number, and must not overtake it. Should storage fail for long, the rest goes on.
 */
export class SlotWaiters {
  private readonly isOpen: (id: string) => boolean;
  private readonly mustWait: (entry: Entry) => boolean;
  /** Those whose value may be known. */
  private readonly fillable = new Set<Entry>();
  private holdsUntilMs = 0;

  /**
   * `isOpen`: whether the mutation of this id may still come to return something, or to fail. `mustWait`: whether this one is
   * not of this version of the app, so that nobody could say which row it is about.
   */
  constructor({
    isOpen,
    mustWait,
  }: {
    readonly isOpen: (id: string) => boolean;
    readonly mustWait: (entry: Entry) => boolean;
  }) {
    this.isOpen = isOpen;
    this.mustWait = mustWait;
  }

  /** It came, was rewritten, or one of its parents was confirmed. */
  watch(entry: Entry, nowMs: number): void {
    const { slots } = entry;
    if (this.mustWait(entry) || slots.every(({ parentId }) => entry.openParents.has(parentId))) {
      this.fillable.delete(entry);
      return;
    }
    if (this.fillable.size === 0) this.holdBack(nowMs);
    this.fillable.add(entry);
  }

  /** This tab delivers from now on. */
  holdBack(nowMs: number): void {
    this.holdsUntilMs = nowMs + HOLD_BACK_MS;
  }

  forget(entry: Entry): void {
    this.fillable.delete(entry);
  }

  /** Those of `isFree` whose value stands in the store now. */
  takeFillable(isFree: (entry: Entry) => boolean): Entry[] {
    if (this.fillable.size === 0) return [];
    return [...this.fillable].filter(
      (entry) => isFree(entry) && entry.slots.some(({ parentId }) => !this.isOpen(parentId)),
    );
  }

  /** Until when nothing is sent (monotonic); null when nothing stands in the way. */
  holdsBackUntilMs(nowMs: number): number | null {
    return this.fillable.size > 0 && nowMs < this.holdsUntilMs ? this.holdsUntilMs : null;
  }
}
