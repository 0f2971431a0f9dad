import { type FormEvent, type ReactNode, useEffect, useId, useRef, useState } from 'react';
import type { Json, JsonObject } from '../../protocol/wire.ts';
import type { ConflictChoice, OpenConflictView } from '../../queue/delivering/conflict-desk.ts';
import { adviceOf } from '../advice-of.ts';
import { describeJson } from '../audit/audit-entry-view.tsx';
import { type AnyQueue, useQueue } from '../queue-context.ts';
import { choiceOf, type Path, type Side, valueAt } from './chosen-payload.ts';
import { useConflicts } from './use-conflicts.ts';

export interface ConflictChooserProps {
  /** @default the provider's */
  readonly queue?: AnyQueue;
  /** Who chooses; it is recorded. */
  readonly actor: string;
  /** Not shown among what each side has changed, such as the version of the row. @default none */
  readonly hiddenFields?: readonly string[];
  /** What the record is called, such as "Acme". @default its table and id */
  readonly describe?: (conflict: OpenConflictView) => ReactNode;
  /** What a field is called. @default its path */
  readonly describeField?: (path: Path, conflict: OpenConflictView) => ReactNode;
  /** @default text as it is, everything else as JSON; a dash for nothing */
  readonly describeValue?: (value: Json | undefined, path: Path) => ReactNode;
  readonly onChosen?: (conflict: OpenConflictView, choice: ConflictChoice) => void;
}

/** Every edit that waits for a person: what it was before, what it is to become by each side, and a choice for each field. */
export function ConflictChooser({ queue, ...props }: ConflictChooserProps): ReactNode {
  const found = useQueue(queue);
  const conflicts = useConflicts({ queue: found });
  const list = useRef<HTMLDivElement>(null);
  const hasChosen = useRef(false);
  useEffect(() => {
    // The form is gone, and its buttons with it.
    if (hasChosen.current && document.activeElement === document.body) list.current?.focus();
    hasChosen.current = false;
  }, [conflicts]);
  const onChosen: ConflictChooserProps['onChosen'] = (conflict, choice) => {
    hasChosen.current = true;
    props.onChosen?.(conflict, choice);
  };
  return (
    <div className="holdfast-conflicts" ref={list} tabIndex={-1} role="group" aria-label="Changes for you to decide">
      {conflicts.length === 0 ? <p className="holdfast-empty">Nothing is in conflict.</p> : null}
      {conflicts.map((conflict) => (
        <ConflictForm
          // One that was found again has other versions, and other choices.
          key={`${conflict.id} ${conflict.detectedAtMs}`}
          conflict={conflict}
          queue={found}
          {...props}
          onChosen={onChosen}
        />
      ))}
    </div>
  );
}

interface ConflictFormProps extends Omit<ConflictChooserProps, 'queue'> {
  readonly conflict: OpenConflictView;
  readonly queue: AnyQueue;
}

function ConflictForm({
  conflict,
  queue,
  actor,
  hiddenFields = [],
  describe = describeConflict,
  describeField = (path) => path.join(' › '),
  describeValue = describeJson,
  onChosen,
}: ConflictFormProps): ReactNode {
  const [sides, setSides] = useState<Readonly<Record<string, Side>>>({});
  const [isSaving, setIsSaving] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const titleId = useId();
  const { fields, theirs, mine, base } = conflict;
  const isByField = fields.length > 0 && theirs !== null;
  const isDeletion = queue.definitions.get(conflict.type)?.operation === 'delete';

  const save = async (choice: ConflictChoice): Promise<void> => {
    setIsSaving(true);
    setProblem(null);
    try {
      const isTaken = await queue.resolveConflict(conflict.id, choice, { actor, revision: conflict.revision });
      if (isTaken) onChosen?.(conflict, choice);
      else setProblem('Nothing was saved: it was decided elsewhere, or has changed once more. Look at it again.');
    } catch (error) {
      setProblem(adviceOf(error));
    } finally {
      setIsSaving(false);
    }
  };
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    void save(choiceOf(conflict, (path) => sides[keyOf(path)] ?? 'mine'));
  };
  const selectAll = (side: Side): void => setSides(Object.fromEntries(fields.map((path) => [keyOf(path), side])));

  return (
    <form className="holdfast-panel" aria-labelledby={titleId} onSubmit={submit}>
      <h3 className="holdfast-panel-title" id={titleId}>
        {describe(conflict)}
      </h3>
      <p className="holdfast-item-reason">{explain(conflict, isDeletion)}</p>
      {isByField
        ? fields.map((path) => (
            <fieldset key={keyOf(path)} className="holdfast-field">
              <legend>{describeField(path, conflict)}</legend>
              <p className="holdfast-item-reason">
                Before: <span className="holdfast-value">{describeValue(valueAt(base, path), path)}</span>
              </p>
              {(['mine', 'theirs'] as const).map((side) => (
                <label key={side} className="holdfast-choice">
                  <input
                    type="radio"
                    name={keyOf(path)}
                    checked={(sides[keyOf(path)] ?? 'mine') === side}
                    onChange={() => setSides((before) => ({ ...before, [keyOf(path)]: side }))}
                  />
                  <span className="holdfast-choice-side">{side === 'mine' ? 'Yours' : 'Theirs'}</span>
                  <span className="holdfast-value">
                    {describeValue(valueAt(side === 'mine' ? mine : theirs, path), path)}
                  </span>
                </label>
              ))}
            </fieldset>
          ))
        : sidesOf(conflict, isDeletion, hiddenFields).map(({ side, path, before, after }) => (
            <dl key={side + keyOf(path)} className="holdfast-field">
              <dt>{describeField(path, conflict)}</dt>
              <dd className="holdfast-item-reason">
                Before: <span className="holdfast-value">{describeValue(before, path)}</span>
              </dd>
              <dd>
                {side}: <span className="holdfast-value">{describeValue(after, path)}</span>
              </dd>
            </dl>
          ))}
      <div className="holdfast-item-actions">
        {isByField ? (
          <>
            <button type="submit" className="holdfast-button" data-tone="busy" disabled={isSaving}>
              Save this choice
            </button>
            {fields.length > 1
              ? (['mine', 'theirs'] as const).map((side) => (
                  <button
                    key={side}
                    type="button"
                    className="holdfast-button"
                    disabled={isSaving}
                    onClick={() => selectAll(side)}
                  >
                    {side === 'mine' ? 'Select all yours' : 'Select all theirs'}
                  </button>
                ))
              : null}
          </>
        ) : (
          <>
            <button type="button" className="holdfast-button" disabled={isSaving} onClick={() => void save('theirs')}>
              {theirs === null ? 'Discard your change' : 'Leave it as it is'}
            </button>
            <button
              type="button"
              className="holdfast-button"
              data-tone="alert"
              disabled={isSaving}
              onClick={() => void save('mine')}
            >
              {theirs === null ? 'Keep it as not accepted' : isDeletion ? 'Delete it all the same' : 'Save yours too'}
            </button>
          </>
        )}
      </div>
      {problem === null ? null : (
        <p className="holdfast-item-reason" role="alert">
          {problem}
        </p>
      )}
    </form>
  );
}

interface ChangedField {
  readonly side: 'Yours' | 'Theirs';
  readonly path: Path;
  readonly before: Json | undefined;
  readonly after: Json | undefined;
}

/** Where no field was changed by both there is nothing to choose field by field: what each side has changed, but for a deletion. */
function sidesOf(
  { base, mine, theirs }: OpenConflictView,
  isDeletion: boolean,
  hiddenFields: readonly string[],
): readonly ChangedField[] {
  const changedBy = (side: ChangedField['side'], row: JsonObject): readonly ChangedField[] =>
    Object.keys(row)
      .filter((name) => !hiddenFields.includes(name) && JSON.stringify(row[name]) !== JSON.stringify(base?.[name]))
      .map((name) => ({ side, path: [name], before: base?.[name], after: row[name] }));
  return [...(isDeletion ? [] : changedBy('Yours', mine)), ...(theirs === null ? [] : changedBy('Theirs', theirs))];
}

/** Paths may hold any character; JSON keeps them apart. */
function keyOf(path: Path): string {
  return JSON.stringify(path);
}

function explain({ theirs, fields }: OpenConflictView, isDeletion: boolean): string {
  if (theirs === null)
    return (
      'Somebody has deleted this while you changed it. A change of what is gone is not accepted: discard it, or keep it among ' +
      'what was not accepted, to look at it again.'
    );
  if (isDeletion) return 'Somebody has changed this while you wanted to delete it.';
  if (fields.length === 0) return 'Somebody has changed this too, though nothing that you have changed.';
  return 'You and somebody else have changed the same. What only one of you has changed is kept in any case.';
}

function describeConflict({ entity, type }: OpenConflictView): string {
  return entity === null ? type : `${entity.table} ${entity.id}`;
}
