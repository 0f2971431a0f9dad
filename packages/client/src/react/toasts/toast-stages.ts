import type { Settled } from '../../queue/queue-events.ts';
import type { MutationStatus } from '../../queue/mutation-status.ts';
import type { WireError } from '../../protocol/wire.ts';
import type { Toast } from './toast-port.ts';
import type { CommonWords, Said } from './toast-texts.ts';

/**
 * What is true of one change, and so what its toast says.
 *   waiting ◀──▶ sending ──completed──▶ confirmed ──undo──▶ undoing ──▶ undone
 *      ▲            ├─────failed──────▶ failed ──discarded──▶ gone        └──▶ notUndone
 *      └──retried───┼───────────────────┘
 *                   └────cancelled────▶ takenBack, superseded, or unconfirmed
 */
export type Stage =
  /** `detail`: what it waits for. */
  | { readonly kind: 'waiting'; readonly detail: string }
  | { readonly kind: 'sending' | 'confirmed' | 'takenBack' | 'superseded' | 'unconfirmed' | 'undone' }
  /** There is nothing to say any more. */
  | { readonly kind: 'gone' }
  | { readonly kind: 'failed'; readonly detail: string }
  /** `detail`: what the undoing waits for; null while that is on its way. */
  | { readonly kind: 'undoing'; readonly detail: string | null }
  /** `offers`: what may help; null where nothing does. */
  | { readonly kind: 'notUndone'; readonly detail: string; readonly offers: 'undo' | 'retry' | null };

/** What an open mutation is doing; null for one that has a verdict. */
export function openStage({ status, waitingFor, sentence }: MutationStatus): Stage | null {
  if (status === 'processing' || (status === 'pending' && waitingFor === 'nothing')) return { kind: 'sending' };
  return status === 'pending' ? { kind: 'waiting', detail: sentence } : null;
}

/** What a verdict makes of a change. */
export function settledStage(settled: Settled, before: Stage | null): Stage {
  switch (settled.status) {
    case 'completed':
      return { kind: 'confirmed' };
    case 'failed':
      return { kind: 'failed', detail: sentencesOf(settled.error) };
    case 'cancelled':
      // A dead letter that was disposed of has been told as what it was.
      if (before?.kind === 'failed') return { kind: 'gone' };
      return { kind: settled.reason ?? 'takenBack' };
  }
}

type ToldStage = Exclude<Stage, { readonly kind: 'gone' }>;

export interface Telling extends Pick<Toast, 'tone' | 'text' | 'detail'> {
  readonly offers: 'undo' | 'retry' | null;
  /** Until something else is to be said. */
  readonly stays: boolean;
}

/** What a toast says of a change. `isVolatile`: this device cannot store it. */
export function tell(stage: ToldStage, { item, words: by }: Said, words: CommonWords, isVolatile: boolean): Telling {
  switch (stage.kind) {
    case 'waiting':
    case 'sending': {
      const waits = stage.kind === 'waiting' ? stage.detail : null;
      const said = isVolatile
        ? { text: by.inTab(item), detail: words.keepTabOpen }
        : { text: by.stored(item), detail: waits };
      return { ...said, ...paceOf(waits), offers: 'undo', ...(isVolatile ? { stays: true } : {}) };
    }
    case 'confirmed':
      return { tone: 'success', text: by.confirmed(item), detail: null, offers: 'undo', stays: false };
    case 'failed':
      return { tone: 'error', text: by.failed(item), detail: stage.detail, offers: 'retry', stays: true };
    case 'takenBack':
    case 'undone':
      return { tone: 'success', text: by.takenBack(item), detail: null, offers: null, stays: false };
    case 'superseded':
    case 'unconfirmed':
      return { tone: 'info', text: by[stage.kind](item), detail: words[stage.kind], offers: null, stays: false };
    case 'undoing': {
      const { detail } = stage;
      return { text: by.undoing(item), detail, ...paceOf(detail), offers: null };
    }
    case 'notUndone': {
      const { detail, offers } = stage;
      return { tone: 'error', text: by.notTakenBack(item), detail, offers, stays: offers !== null };
    }
  }
}

/** What is on its way turns; what waits has been said. */
function paceOf(waits: string | null): Pick<Telling, 'tone' | 'stays'> {
  return waits === null ? { tone: 'loading', stays: true } : { tone: 'info', stays: false };
}

export function sentencesOf({ message, hint }: Pick<WireError, 'message' | 'hint'>): string {
  return [message, hint].filter(Boolean).join(' ');
}
