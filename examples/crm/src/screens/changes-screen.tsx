import { HealthPanel, MutationTimeline, PendingList, QueueControls } from 'holdfast/react';
import { type ReactNode, useState } from 'react';
import { describeChange } from '../workspace/mutations.ts';
import { useCrmState, useWorkspace } from '../workspace/workspace-context.ts';
import classes from './page.module.css';

/** All that this device has not got confirmed, with the steps of each, and what an operator can do about it. */
export function ChangesScreen({ onDecide }: { readonly onDecide: () => void }): ReactNode {
  const state = useCrmState();
  const { user } = useWorkspace();
  const [chosen, setChosen] = useState<{ readonly id: string; readonly name: string } | null>(null);
  return (
    <main className={classes.page}>
      <QueueControls actor={user.id} title="Queue of this device" />
      <div className={classes.columns}>
        <section className="holdfast-panel" aria-labelledby="changes">
          <h2 className="holdfast-panel-title" id="changes">
            Your changes on this device
          </h2>
          <PendingList
            describe={(status) => describeChange(state, status)}
            confirmedLimit={20}
            onDecide={onDecide}
            onChoose={(status) => setChosen({ id: status.id, name: describeChange(state, status) })}
          />
        </section>
        <div className={classes.side}>
          <section className="holdfast-panel" aria-labelledby="steps" aria-live="polite">
            <h2 className="holdfast-panel-title" id="steps">
              {chosen === null ? 'Steps of a change' : chosen.name}
            </h2>
            {chosen === null ? (
              <p className="holdfast-empty">Choose a change to see how far it has come.</p>
            ) : (
              <MutationTimeline id={chosen.id} />
            )}
          </section>
          <HealthPanel title="Health of this device" />
        </div>
      </div>
    </main>
  );
}
