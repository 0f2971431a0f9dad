import { type ReactNode, useCallback, useId, useLayoutEffect, useRef, useState } from 'react';

/** What is asked before something is done that cannot be taken back. */
export interface Question {
  readonly title: string;
  /** What becomes of what. */
  readonly text: string;
  /** What the button does, in a word or two. */
  readonly confirmLabel: string;
}

export interface Confirm {
  /** Resolves to whether it was confirmed. */
  readonly ask: (question: Question) => Promise<boolean>;
  /** Put it anywhere among what is rendered. */
  readonly dialog: ReactNode;
}

/** A dialogue of the page's own. The safe answer has the focus, Escape gives it too, and the focus goes back afterwards. */
export function useConfirm(): Confirm {
  const [open, setOpen] = useState<{ question: Question; answer: (isConfirmed: boolean) => void } | null>(null);
  const ask = useCallback((question: Question) => new Promise<boolean>((answer) => setOpen({ question, answer })), []);
  const answer = (isConfirmed: boolean): void => {
    open?.answer(isConfirmed);
    setOpen(null);
  };
  return { ask, dialog: open === null ? null : <ConfirmDialog question={open.question} onAnswer={answer} /> };
}

interface ConfirmDialogProps {
  readonly question: Question;
  readonly onAnswer: (isConfirmed: boolean) => void;
}

function ConfirmDialog({ question, onAnswer }: ConfirmDialogProps): ReactNode {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  // Closed before it is taken out of the page: only then does the focus go back to where it was.
  useLayoutEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      className="holdfast-dialog"
      aria-labelledby={`${id}-title`}
      aria-describedby={`${id}-text`}
      onCancel={(event) => {
        event.preventDefault();
        onAnswer(false);
      }}
    >
      <h2 className="holdfast-panel-title" id={`${id}-title`}>
        {question.title}
      </h2>
      <p className="holdfast-dialog-text" id={`${id}-text`}>
        {question.text}
      </p>
      <div className="holdfast-item-actions">
        <button type="button" className="holdfast-button" onClick={() => onAnswer(false)}>
          Keep
        </button>
        <button type="button" className="holdfast-button" data-tone="alert" onClick={() => onAnswer(true)}>
          {question.confirmLabel}
        </button>
      </div>
    </dialog>
  );
}
