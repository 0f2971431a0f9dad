import { keepLatest } from '../../engine/keep-latest.ts';
import type { Act, MutationHeader } from '../../mutation/record.ts';
import type { RecoveryCounts } from '../store/recovery.ts';
import type { TabMessage } from './tab-message.ts';
import type { PartPorts } from '../part-ports.ts';

/** `tooLate`: it may have been sent, or is settled. `unknown`: nobody who knows has answered; it may be sent, or not. */
export type CancelAnswer = 'cancelled' | 'tooLate' | 'unknown';

/** Why nothing is to be sent any more. */
export type StopReason = 'paused' | 'signedOut';

/** What a tab may ask the one that delivers, which alone knows what surely was never sent; by kind. */
export interface Questions {
  /** Take these back, if they cannot have been sent, or at a sign-out `evenIfSent`; an answer for each. */
  readonly cancel: {
    readonly asked: { readonly ids: readonly string[]; readonly act: Act; readonly evenIfSent?: true };
    readonly answer: readonly CancelAnswer[];
  };
  /** Nothing is to be sent any more: answered once nothing is on its way. */
  readonly stop: { readonly asked: { readonly reason: StopReason }; readonly answer: 'stopped' };
  /** Forget the backoffs of these, and ask the server at once if the line was down; the answer is which waited for that. */
  readonly hurry: { readonly asked: { readonly ids: readonly string[] }; readonly answer: readonly string[] };
  /** Call off and send again what is stuck; the answer is which that was. */
  readonly unstick: { readonly asked: object; readonly answer: readonly string[] };
  /** Make this much room at the cost of those of low priority; whether it was made. */
  readonly evict: { readonly asked: { readonly count: number; readonly bytes: number }; readonly answer: boolean };
  /** Do not send these while I rewrite them, as far as they were never sent. */
  readonly keepBack: { readonly asked: { readonly ids: readonly string[] }; readonly answer: KeptBack };
  /** Look through all that is stored, and set aside what is damaged. */
  readonly recover: { readonly asked: object; readonly answer: RecoveryCounts };
  /** Whether anything goes on without something else happening. */
  readonly isDraining: { readonly asked: object; readonly answer: boolean };
  /** In how many milliseconds you send or ask the server again; null when that is not a matter of time. */
  readonly nextAttempt: { readonly asked: object; readonly answer: number | null };
}

/** What is not sent until it is rewritten under this epoch, let go under this id, or its time is over. */
export interface KeptBack {
  readonly amendId: string;
  readonly epoch: string;
  readonly headers: readonly MutationHeader[];
}

export type Question = {
  readonly [Kind in keyof Questions]: { readonly kind: Kind } & Questions[Kind]['asked'];
}[keyof Questions];
type QuestionOf<Kind extends keyof Questions> = Question & { readonly kind: Kind };

export type Answers = {
  readonly [Kind in keyof Questions]: (asked: QuestionOf<Kind>) => Promise<Questions[Kind]['answer']>;
};

export interface AskLeaderPorts extends Pick<PartPorts, 'post' | 'alarms' | 'newId' | 'report'> {
  readonly isLeader: () => boolean;
  /** How this tab answers while it delivers. */
  readonly answers: Answers;
}

/** Longest wait for the tab that delivers to answer, in milliseconds. */
const ASK_TIMEOUT_MS = 2_000;
/** How long after that an answer may still come, to be undone, in milliseconds. */
const LATE_MS = 60_000;
/** Questions that are remembered, so that one that arrives twice is not acted on twice. */
const REMEMBERED_COUNT = 100;

/**
 * Questions from any tab to the one that delivers. Messages may be lost, late or doubled: whoever hears nothing in time
 * takes it that nobody knows, and whatever is done upon a question must be safe when its answer does not arrive.
 */
export class AskLeader {
  private readonly ports: AskLeaderPorts;
  private readonly waiting = new Map<string, (answer: unknown) => void>();
  /** Those of this tab that nobody has answered, by their ids. */
  private readonly open = new Map<string, Question>();
  private readonly remembered = new Set<string>();
  private isEnded = false;

  constructor(ports: AskLeaderPorts) {
    this.ports = ports;
  }

  /** The answer of the tab that delivers, which may be this one; null when there is none in time, and then it may still come `late`. */
  ask<Kind extends keyof Questions>(
    question: QuestionOf<Kind>,
    timeoutMs: number = ASK_TIMEOUT_MS,
    late: (answer: Questions[Kind]['answer']) => void = () => {},
  ): Promise<Questions[Kind]['answer'] | null> {
    const { isLeader, alarms, post, newId } = this.ports;
    if (isLeader()) return this.answer(question);
    if (this.isEnded) return Promise.resolve(null);
    const askId = newId();
    this.open.set(askId, question);
    return new Promise((resolve) => {
      const stopWaiting = alarms.after(timeoutMs, () => {
        this.open.delete(askId);
        resolve(null);
        const stop = alarms.after(LATE_MS, () => this.waiting.delete(askId));
        this.waiting.set(askId, (answer) => {
          stop();
          if (answer !== null) late(answer as Questions[Kind]['answer']);
        });
      });
      this.waiting.set(askId, (answer) => {
        stopWaiting();
        this.open.delete(askId);
        // What comes back under the id of this question is its answer.
        resolve(answer as Questions[Kind]['answer']);
      });
      post({ kind: 'ask', askId, question });
    });
  }

  /** A question of another tab: answered by the one that delivers, ignored by the rest. */
  asked({ askId, question }: Extract<TabMessage, { kind: 'ask' }>): void {
    if (!this.ports.isLeader() || this.remembered.has(askId)) return;
    this.remembered.add(askId);
    keepLatest(this.remembered, REMEMBERED_COUNT);
    this.answer(question).then(
      (answer) => this.ports.post({ kind: 'answer', askId, answer }),
      (error: unknown) => this.ports.report(error),
    );
  }

  /** This tab delivers from now on: what it had asked, it knows itself. */
  leads(): void {
    for (const [askId, question] of this.open) {
      this.answer(question).then(
        (answer) => this.hear(askId, answer),
        (error: unknown) => this.ports.report(error),
      );
    }
  }

  hear(askId: string, answer: unknown): void {
    this.waiting.get(askId)?.(answer);
    this.waiting.delete(askId);
  }

  /** Whoever still waits, or asks from now on, is told that nobody knows. */
  end(): void {
    this.isEnded = true;
    for (const askId of [...this.waiting.keys()]) this.hear(askId, null);
  }

  private answer<Kind extends keyof Questions>(question: QuestionOf<Kind>): Promise<Questions[Kind]['answer']> {
    const answerOf: (asked: QuestionOf<Kind>) => Promise<Questions[Kind]['answer']> = this.ports.answers[question.kind];
    return answerOf(question);
  }
}
