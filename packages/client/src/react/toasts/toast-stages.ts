import type { Settled } from '../../queue/queue-events.ts';
import type { MutationStatus } from '../../queue/mutation-status.ts';
import type { Toast } from './toast-port.ts';
import type { CommonWords, Said } from './toast-texts.ts';

/**
 * What is true of one change, and so what its toast says.
 *   waiting ◀──▶ sending ──completed──▶ confirmed ──undo──▶ undoing ──▶ undone
 *      ▲            ├─────failed──────▶ failed ──discarded──▶ gone        └──▶ notUndone, undoFailed
 *      └──retried───┼───────────────────┘
 *                   └────cancelled────▶ takenBack, or superseded
 * Whatever it was, it is `unheard` when its end was not heard and is not on record any more.
 */
export type Stage =
  /** `detail`: what it waits for. */
  | { readonly kind: 'waiting'; readonly detail: string }
  | { readonly kind: 'sending' | 'confirmed' | 'takenBack' | 'superseded' | 'undone' }
  /** There is nothing to say any more. */
  | { readonly kind: 'gone' }
  /** It is not in the queue any more, nor on record. */
  | { readonly kind: 'unheard' }
  /** It, or what was to undo it, is a dead letter. */
  | { readonly kind: 'failed' | 'undoFailed'; readonly detail: string }
  /** `detail`: what the undoing waits for; null while that is on its way. */
  | { readonly kind: 'undoing'; readonly detail: string | null }
  | { readonly kind: 'notUndone'; readonly detail: string };

/** Stages that have another one behind them. */
export const ONGOING: ReadonlySet<string | undefined> = new Set([
  undefined,
  'waiting',
  'sending',
  'undoing',
  'failed',
  'undoFailed',
]);

/** What an open mutation is doing; null for one that has a verdict. */
export function openStage({ status, waitingFor, sentence }: MutationStatus): Stage | null {
  if (status === 'processing' || (status === 'pending' && waitingFor === 'nothing')) return { kind: 'sending' };
  return status === 'pending' ? { kind: 'waiting', detail: sentence } : null;
}

/** What a verdict makes of a change. */
export function settledStage(settled: Settled, wasFailed: boolean, { refused }: CommonWords): Stage {
  switch (settled.status) {
    case 'completed':
      return { kind: 'confirmed' };
    case 'failed':
      return { kind: 'failed', detail: refused(settled.error) };
    case 'cancelled':
      // A dead letter that was disposed of has been told as what it was; what a sign-out has discarded is told by its answer.
      if (wasFailed || settled.reason === 'unconfirmed') return { kind: 'gone' };
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
    case 'undoFailed':
    case 'notUndone': {
      const text = stage.kind === 'failed' ? by.failed(item) : by.notTakenBack(item);
      const stays = stage.kind !== 'notUndone';
      return { tone: 'error', text, detail: stage.detail, offers: stays ? 'retry' : 'undo', stays };
    }
    case 'takenBack':
    case 'undone':
      return { tone: 'success', text: by.takenBack(item), detail: null, offers: null, stays: false };
    case 'superseded':
    case 'unheard': {
      const { kind } = stage;
      return { tone: 'info', text: by[kind](item), detail: words[kind], offers: null, stays: kind === 'unheard' };
    }
    case 'undoing': {
      const { detail } = stage;
      return { text: by.undoing(item), detail, ...paceOf(detail), offers: null };
    }
  }
}

/** What is on its way turns; what waits has been said. */
function paceOf(waits: string | null): Pick<Telling, 'tone' | 'stays'> {
  return waits === null ? { tone: 'loading', stays: true } : { tone: 'info', stays: false };
}
