import type { Clock } from '../../ports/clock.ts';
import type { AnyQueue } from '../queue-context.ts';
import type { Toast } from './toast-port.ts';
import type { CommonWords } from './toast-texts.ts';

/** What is to be said; the rest as it is most of the time. */
export type ToastChange = Partial<Omit<Toast, 'id'>> & Pick<Toast, 'tone' | 'text'>;

/** What the toasts of changes work with. */
export interface ToastParts {
  readonly queue: AnyQueue;
  readonly clock: Clock;
  readonly words: CommonWords;
  readonly show: (toastId: string, change: ToastChange) => void;
  readonly dismiss: (toastId: string) => void;
  /** `text`: what the toast says. */
  readonly retry: (toastId: string, text: string, ids: readonly string[]) => void;
}
