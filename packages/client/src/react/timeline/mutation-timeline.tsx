import { type ReactNode, useState } from 'react';
import type { MutationStatus } from '../../queue/mutation-status.ts';
import type { AnyQueue } from '../queue-context.ts';
import { timeText } from '../time-text.ts';
import { useMutationLookup } from '../use-mutation-status.ts';
import { type TimelineStep, timelineOf } from './timeline-steps.ts';

export interface MutationTimelineProps {
  /** Of the mutation. */
  readonly id: string;
  /** @default the provider's */
  readonly queue?: AnyQueue;
  /** What the steps are of. @default 'Steps of this change' */
  readonly title?: string;
  /** @default date and time, as people here write them */
  readonly describeTime?: (atMs: number) => ReactNode;
  /** Words of one's own for a step. @default the step's `text` */
  readonly describeStep?: (step: TimelineStep) => ReactNode;
}

const NO_ATTEMPTS: MutationStatus['attempts'] = [];

/** The steps of one mutation, live: stored, each answer that was no, sent, confirmed, seen in fresh data, with times and reasons. */
export function MutationTimeline({
  id,
  queue,
  title = 'Steps of this change',
  describeTime = timeText,
  describeStep = ({ text }) => text,
}: MutationTimelineProps): ReactNode {
  const { status, isLooking } = useMutationLookup(id, queue);
  const [seen, setSeen] = useState({ id, attempts: NO_ATTEMPTS });
  // Once it is confirmed the queue keeps only how many there were; what was shown before stays.
  const known = seen.id === id ? seen.attempts : NO_ATTEMPTS;
  const attempts = status !== undefined && status.attempts.length > 0 ? status.attempts : known;
  if (seen.id !== id || attempts !== seen.attempts) setSeen({ id, attempts });

  if (status === undefined)
    return (
      <p className="holdfast-empty">
        {isLooking ? 'Looking for this change…' : 'This device knows nothing of this change (any more).'}
      </p>
    );
  return (
    <ol className="holdfast-timeline" aria-label={title}>
      {timelineOf(status, attempts.length <= status.attemptCount ? attempts : status.attempts).map((step, index) => (
        <li
          // oxlint-disable-next-line react/no-array-index-key -- steps come behind one another, and never between
          key={`${index} ${step.kind}`}
          className="holdfast-step"
          data-state={step.state}
          data-tone={step.tone}
          aria-current={step.state === 'current' ? 'step' : undefined}
        >
          <div className="holdfast-item-head">
            <span className="holdfast-step-text">
              {describeStep(step)}
              {step.state === 'ahead' ? <span className="holdfast-unseen"> (not yet)</span> : null}
            </span>
            {step.atMs === null ? null : (
              <time className="holdfast-step-time" dateTime={new Date(step.atMs).toISOString()}>
                {step.kind === 'waiting' ? 'Next try: ' : ''}
                {describeTime(step.atMs)}
              </time>
            )}
          </div>
          {step.detail === null ? null : <p className="holdfast-item-reason">{step.detail}</p>}
        </li>
      ))}
    </ol>
  );
}
