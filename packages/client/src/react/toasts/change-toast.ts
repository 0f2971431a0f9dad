import type { Settled } from '../../queue/queue-events.ts';
import type { ToastAction } from './toast-port.ts';
import type { ToastParts } from './toast-parts.ts';
import { ONGOING, openStage, settledStage, type Stage, tell, type Telling } from './toast-stages.ts';
import type { Said } from './toast-texts.ts';

/** How long something good is said, in milliseconds. */
export const DONE_MS = 4_000;

/** A toast, what it calls the change, and what takes that back; null where that is not offered. */
export interface ToastFace {
  readonly toastId: string;
  readonly said: Said;
  readonly undo: (() => void) | null;
}

/** The toast of one change, from when it is stored until nothing more can become of it; of what undoes it, too. */
export class ChangeToast {
  private readonly parts: ToastParts;
  private readonly id: string;
  private face: ToastFace;
  private stage: Stage | null = null;
  private undo: (() => void) | null = null;
  private undoUntilMs = 0;
  /** What is added to undo it; null before that. */
  private undoingId: string | null = null;
  /** What is shown, so that nothing is shown twice. */
  private shown = '';

  constructor(id: string, face: ToastFace, parts: ToastParts) {
    this.id = id;
    this.face = face;
    this.parts = parts;
  }

  /** Its own, and that of what undoes it. */
  get ids(): readonly string[] {
    return this.undoingId === null ? [this.id] : [this.id, this.undoingId];
  }

  /** It has no verdict. */
  get isOpen(): boolean {
    return this.stage?.kind === 'waiting' || this.stage?.kind === 'sending';
  }

  /** The verdict on this one (its own, or of what undoes it) is still to be told. */
  awaits(id: string): boolean {
    return id === this.undoingId ? this.stage?.kind === 'undoing' : this.stage === null || this.isOpen;
  }

  /** Nothing more is to be said of it. */
  get isOver(): boolean {
    return this.undo === null && !ONGOING.has(this.stage?.kind);
  }

  /** Goes on on another toast, if it is another one: what was changed again is told again. */
  take(face: ToastFace, undoMs: number): void {
    if (face.toastId !== this.face.toastId) this.parts.dismiss(this.face.toastId);
    this.face = face;
    this.shown = '';
    this.undo = face.undo;
    this.undoUntilMs = this.parts.clock.nowMs() + undoMs;
    this.say();
  }

  /** Undoing is offered no longer. */
  endUndo(): void {
    if (this.undo === null || this.undoUntilMs > this.parts.clock.nowMs()) return;
    this.undo = null;
    if (this.isOpen) this.say();
  }

  /** The truth about one that has no verdict (any more), or about what undoes it. */
  look(id: string = this.id): void {
    const status = this.parts.queue.peekStatus(id);
    const open = status === undefined ? null : openStage(status);
    if (open === null) {
      // It may have been settled before anybody looked.
      if (this.stage !== null || status === undefined) return;
      if (status.status === 'completed') this.become({ kind: 'confirmed' });
      else {
        const { lastError, sentence } = status;
        this.become({ kind: 'failed', detail: lastError === null ? sentence : this.parts.words.refused(lastError) });
      }
    } else if (id === this.undoingId || (this.stage?.kind === 'undoing' && this.undoingId === null))
      this.become({ kind: 'undoing', detail: open.kind === 'waiting' ? open.detail : null });
    else if (id === this.id && this.stage?.kind !== 'undoing' && this.stage?.kind !== 'notUndone') this.become(open);
  }

  settled(settled: Settled): void {
    if (settled.id === this.undoingId) this.undoingSettled(settled);
    // What becomes of its undoing is told by that.
    else if (settled.status !== 'completed' || this.stage === null || this.isOpen || this.stage.kind === 'failed')
      this.become(settledStage(settled, this.stage?.kind === 'failed', this.parts.words));
  }

  /** How it ended, or what undoes it, nobody knows any more. */
  unheard(): void {
    this.undo = null;
    this.become({ kind: 'unheard' });
  }

  /** Someone wants it back. */
  undoing(): void {
    if (!this.isOpen && this.stage?.kind !== 'confirmed' && this.stage?.kind !== 'notUndone') return;
    this.undo = null;
    this.become({ kind: 'undoing', detail: null });
    this.look();
  }

  /** This undoes it, and is stored. */
  undoneBy(id: string): void {
    this.undoingId = id;
    this.look(id);
  }

  undone(): void {
    this.become({ kind: 'undone' });
  }

  /** It stands; `again` tries once more to undo it. */
  notUndone(detail: string, again: (() => void) | null): void {
    // That it has failed says more.
    if (this.stage?.kind !== 'undoing') return;
    this.undo = again;
    this.undoUntilMs = Number.POSITIVE_INFINITY;
    this.become({ kind: 'notUndone', detail });
  }

  private undoingSettled(settled: Settled): void {
    const stage = settledStage(settled, this.stage?.kind === 'undoFailed', this.parts.words);
    if (stage.kind === 'confirmed') this.undone();
    else if (stage.kind === 'gone') this.become(stage);
    else if (this.stage?.kind !== 'undoing') return;
    else if (stage.kind === 'failed') this.become({ kind: 'undoFailed', detail: stage.detail });
    else if (stage.kind === 'superseded') this.notUndone(this.parts.words.superseded, null);
    else {
      // What was to undo it was taken back: it is what it was.
      this.stage = null;
      this.look();
    }
  }

  private become(stage: Stage): void {
    this.stage = stage;
    this.say();
  }

  private say(): void {
    const { stage, parts, face } = this;
    if (stage === null) return;
    if (stage.kind === 'gone') {
      parts.dismiss(face.toastId);
      return;
    }
    const { offers, stays, ...said } = tell(stage, face.said, parts.words, parts.queue.getSnapshot().isVolatile);
    const action = this.actionOf(offers, said.text);
    const words = [said.tone, said.text, said.detail, action?.label].join('\n');
    if (words === this.shown) return;
    this.shown = words;
    const leftMs = this.undo === null ? DONE_MS : Math.max(DONE_MS, this.undoUntilMs - parts.clock.nowMs());
    parts.show(face.toastId, {
      ...said,
      action,
      durationMs: stays || leftMs === Number.POSITIVE_INFINITY ? null : leftMs,
    });
  }

  private actionOf(offers: Telling['offers'], text: string): ToastAction | null {
    const { words, retry } = this.parts;
    if (offers === 'retry') {
      const id = (this.stage?.kind === 'undoFailed' ? this.undoingId : null) ?? this.id;
      return { label: words.retry, onSelect: () => retry(this.face.toastId, text, [id]) };
    }
    if (offers === null || this.undo === null) return null;
    // Chosen once, it is not offered any more: the next word on the toast says what came of it.
    const onSelect = (): void => {
      const { undo } = this;
      this.undo = null;
      undo?.();
    };
    return { label: words.undo, onSelect };
  }
}
