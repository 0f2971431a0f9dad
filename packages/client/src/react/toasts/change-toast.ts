import type { Clock } from '../../ports/clock.ts';
import type { Settled } from '../../queue/queue-events.ts';
import type { AnyQueue } from '../queue-context.ts';
import type { ToastAction } from './toast-port.ts';
import type { ToastChange } from './mutation-toasts.ts';
import { openStage, settledStage, type Stage, tell } from './toast-stages.ts';
import type { CommonWords, Said } from './toast-texts.ts';

/** How long something good is said, in milliseconds. */
export const DONE_MS = 4_000;

export interface ChangeToastParts {
  readonly queue: AnyQueue;
  readonly clock: Clock;
  readonly words: CommonWords;
  readonly show: (toastId: string, change: ToastChange) => void;
  readonly dismiss: (toastId: string) => void;
  readonly retry: (toastId: string, id: string) => void;
}

/** A toast, what it calls the change, and what takes that back; null where that is not offered. */
export interface ToastFace {
  readonly toastId: string;
  readonly said: Said;
  readonly undo: (() => void) | null;
}

/** The toast of one change, from when it is stored until nothing more can become of it; of what undoes it, too. */
export class ChangeToast {
  private readonly parts: ChangeToastParts;
  private readonly id: string;
  private toastId: string;
  private said: Said;
  private stage: Stage | null = null;
  private undo: (() => void) | null = null;
  private undoUntilMs = 0;
  /** What is added to undo it; null before that. */
  private undoingId: string | null = null;
  /** What is shown, so that nothing is shown twice. */
  private shown = '';

  constructor(id: string, { toastId, said }: ToastFace, parts: ChangeToastParts) {
    this.id = id;
    this.toastId = toastId;
    this.said = said;
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

  /** Nothing more is to be said of it. */
  get isOver(): boolean {
    switch (this.stage?.kind) {
      case 'confirmed':
        return this.undo === null;
      case 'takenBack':
      case 'superseded':
      case 'unconfirmed':
      case 'undone':
      case 'gone':
        return true;
      case 'notUndone':
        return this.stage.offers === null;
      default:
        return false;
    }
  }

  /** Goes on on another toast, if it is another one: what was changed again is told again. */
  take({ toastId, said, undo }: ToastFace, undoMs: number): void {
    if (toastId !== this.toastId) this.parts.dismiss(this.toastId);
    this.toastId = toastId;
    this.said = said;
    this.shown = '';
    this.undo = undo;
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
      else this.become({ kind: 'failed', detail: status.sentence });
    } else if (id === this.undoingId || (this.stage?.kind === 'undoing' && this.undoingId === null))
      this.become({ kind: 'undoing', detail: open.kind === 'waiting' ? open.detail : null });
    else if (id === this.id && this.stage?.kind !== 'undoing' && this.stage?.kind !== 'notUndone') this.become(open);
  }

  settled(settled: Settled): void {
    if (settled.id === this.undoingId) this.undoingSettled(settled);
    // What becomes of its undoing is told by that.
    else if (settled.status !== 'completed' || this.stage === null || this.isOpen || this.stage.kind === 'failed')
      this.become(settledStage(settled, this.stage));
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
    this.become({ kind: 'notUndone', detail, offers: again === null ? null : 'undo' });
  }

  private undoingSettled(settled: Settled): void {
    const { words } = this.parts;
    const stage = settledStage(settled, this.stage?.kind === 'notUndone' ? { kind: 'failed', detail: '' } : null);
    if (stage.kind === 'confirmed') this.become({ kind: 'undone' });
    else if (stage.kind === 'gone') this.become(stage);
    else if (this.stage?.kind !== 'undoing') return;
    else if (stage.kind === 'failed') this.become({ kind: 'notUndone', detail: stage.detail, offers: 'retry' });
    else {
      const detail = stage.kind === 'superseded' ? words.superseded : words.undoDiscarded;
      this.become({ kind: 'notUndone', detail, offers: null });
    }
  }

  private become(stage: Stage): void {
    this.stage = stage;
    this.say();
  }

  private say(): void {
    const { stage, parts } = this;
    if (stage === null) return;
    if (stage.kind === 'gone') {
      parts.dismiss(this.toastId);
      return;
    }
    const { offers, stays, ...said } = tell(stage, this.said, parts.words, parts.queue.getSnapshot().isVolatile);
    const action = offers === 'undo' ? this.undoAction() : offers === 'retry' ? this.retryAction() : null;
    const words = [said.tone, said.text, said.detail, action?.label].join('\n');
    if (words === this.shown) return;
    this.shown = words;
    const undoLeftMs = this.undo === null ? 0 : this.undoUntilMs - parts.clock.nowMs();
    parts.show(this.toastId, { ...said, action, durationMs: stays ? null : Math.max(DONE_MS, undoLeftMs) });
  }

  /** Chosen once, it is not offered any more: the next word on the toast says what came of it. */
  private undoAction(): ToastAction | null {
    if (this.undo === null) return null;
    const onSelect = (): void => {
      const { undo } = this;
      this.undo = null;
      undo?.();
    };
    return { label: this.parts.words.undo, onSelect };
  }

  private retryAction(): ToastAction {
    const id = this.stage?.kind === 'notUndone' ? (this.undoingId ?? this.id) : this.id;
    return { label: this.parts.words.retry, onSelect: () => this.parts.retry(this.toastId, id) };
  }
}
