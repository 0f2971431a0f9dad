import { type ReactNode, useId, useState } from 'react';
import type { AuditFilter } from '../../ports/audit-source.ts';
import type { AuditAction } from '../../protocol/audit.ts';
import { ACTION_WORDS } from './audit-entry-view.tsx';

/** Something to choose: what it is, and what people call it. */
export interface AuditOption {
  readonly id: string;
  readonly name: string;
}

/** The first day is after the last, so that there is none in between. */
export function isBackwards({ fromDay, toDay }: AuditForm): boolean {
  return fromDay !== '' && toDay !== '' && fromDay > toDay;
}

/** What is asked for; days as `YYYY-MM-DD`, both of them included. Empty text means any. */
export interface AuditForm {
  readonly entityType: string;
  readonly entityId: string;
  readonly action: '' | AuditAction;
  readonly actor: string;
  readonly fromDay: string;
  readonly toDay: string;
}

export const ANY: AuditForm = { entityType: '', entityId: '', action: '', actor: '', fromDay: '', toDay: '' };

interface AuditFiltersProps {
  readonly form: AuditForm;
  readonly onForm: (form: AuditForm) => void;
  readonly entityTypes: readonly AuditOption[] | undefined;
  readonly actors: readonly AuditOption[] | undefined;
}

/** Which entries: by table, row, action, actor and days. Where what can be chosen is known it is chosen, else typed. */
export function AuditFilters({ form, onForm, entityTypes, actors }: AuditFiltersProps): ReactNode {
  const set = (change: Partial<AuditForm>): void => onForm({ ...form, ...change });
  const actions = Object.entries(ACTION_WORDS).map(([id, name]) => ({ id, name }));
  const isAny = Object.values(form).every((value) => value === '');
  return (
    <div className="holdfast-filters" role="search" aria-label="Filter the audit log">
      <Choice
        label="Table"
        value={form.entityType}
        options={entityTypes}
        // A row is one of its table.
        onValue={(entityType) => set({ entityType, ...(entityType === '' ? { entityId: '' } : {}) })}
      />
      <Choice
        label="Row (id)"
        value={form.entityId}
        isDisabled={form.entityType === ''}
        onValue={(entityId) => set({ entityId })}
      />
      <Choice
        label="Action"
        value={form.action}
        options={actions}
        onValue={(action) => set({ action: action as AuditForm['action'] })}
      />
      <Choice label="By" value={form.actor} options={actors} onValue={(actor) => set({ actor })} />
      <Choice label="From" type="date" value={form.fromDay} onValue={(fromDay) => set({ fromDay })} />
      <Choice label="To" type="date" value={form.toDay} onValue={(toDay) => set({ toDay })} />
      <button type="button" className="holdfast-button" aria-disabled={isAny} onClick={() => onForm(ANY)}>
        Clear filters
      </button>
    </div>
  );
}

interface ChoiceProps {
  readonly label: string;
  readonly value: string;
  readonly onValue: (value: string) => void;
  readonly options?: readonly AuditOption[] | undefined;
  readonly type?: 'date';
  readonly isDisabled?: boolean;
}

function Choice({ label, value, onValue, options, type, isDisabled = false }: ChoiceProps): ReactNode {
  const id = useId();
  const [typed, setTyped] = useState({ of: value, text: value });
  // What is cleared or set from outside is shown at once.
  if (typed.of !== value) setTyped({ of: value, text: value });
  return (
    <div className="holdfast-filter">
      <label htmlFor={id}>{label}</label>
      {options === undefined ? (
        <input
          id={id}
          type={type ?? 'text'}
          className="holdfast-input"
          value={typed.text}
          disabled={isDisabled}
          // A word that is being typed is not a question at each letter.
          onChange={({ currentTarget }) => setTyped({ of: value, text: currentTarget.value })}
          onBlur={({ currentTarget }) => onValue(currentTarget.value.trim())}
          onKeyDown={({ key, currentTarget }) => {
            if (key === 'Enter') onValue(currentTarget.value.trim());
          }}
        />
      ) : (
        <select
          id={id}
          className="holdfast-input"
          value={value}
          onChange={({ currentTarget }) => onValue(currentTarget.value)}
        >
          <option value="">Any</option>
          {options.map((option) => (
            <option key={option.id} value={option.id}>
              {option.name}
            </option>
          ))}
        </select>
      )}
    </div>
  );
}

/** The filter that a form means. Days begin and end at midnight where the reader is. */
export function filterOf({ entityType, entityId, action, actor, fromDay, toDay }: AuditForm): AuditFilter {
  return {
    ...(entityType === '' ? {} : { entityType }),
    ...(entityType === '' || entityId === '' ? {} : { entityId }),
    ...(action === '' ? {} : { action }),
    ...(actor === '' ? {} : { actor }),
    ...(fromDay === '' ? {} : { startDate: midnight(fromDay) }),
    ...(toDay === '' ? {} : { endDate: midnight(toDay, 1) }),
  };
}

/** `afterDays` after the beginning of the day, there where the reader is. */
export function midnight(day: string, afterDays = 0): string {
  const date = new Date(`${day}T00:00:00`);
  date.setDate(date.getDate() + afterDays);
  return date.toISOString();
}
