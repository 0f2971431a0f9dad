import { memo, type MemoExoticComponent, type ReactNode } from 'react';
import type { AuditAction, AuditEntry } from '../../protocol/audit.ts';
import type { Json } from '../../protocol/wire.ts';
import { timeText } from '../time-text.ts';
import { diffOf, type FieldDiff } from './audit-diff.ts';

/** How what is in an entry is called. */
export interface AuditWords {
  /** Who did it. @default the id, or "Someone" */
  readonly describeActor?: (actor: string | null) => ReactNode;
  /** What it was done to. @default table and id */
  readonly describeEntity?: (entry: AuditEntry) => ReactNode;
  /** What a field is called. @default its column */
  readonly describeField?: (field: string, entry: AuditEntry) => ReactNode;
  /** @default text as it is, everything else as JSON; a dash for nothing */
  readonly describeValue?: (value: Json | undefined, field: string, entry: AuditEntry) => ReactNode;
  /** Columns that mean nothing to people. */
  readonly hiddenFields?: readonly string[];
}

export const ACTION_WORDS: Readonly<Record<AuditAction, string>> = {
  create: 'Created',
  update: 'Changed',
  delete: 'Deleted',
  restore: 'Restored',
};

interface AuditEntryViewProps extends AuditWords {
  readonly entry: AuditEntry;
  /** Whether the entries are of more than one row, so that each says of which. */
  readonly isEntityShown: boolean;
}

/** Who did what, when, and to what; field by field from what to what. A whole row (made, deleted, restored) is folded up. */
export const AuditEntryView: MemoExoticComponent<(props: AuditEntryViewProps) => ReactNode> = memo(
  function AuditEntryView({ entry, isEntityShown, ...words }: AuditEntryViewProps): ReactNode {
    const {
      describeActor = (actor) => actor ?? 'Someone',
      describeEntity = ({ entityType, entityId }) => `${entityType} ${entityId}`,
      hiddenFields,
    } = words;
    const { action, actor, occurredAt } = entry;
    const diffs = diffOf(entry, hiddenFields);
    const table = <DiffTable entry={entry} diffs={diffs} {...words} />;
    return (
      <article className="holdfast-item holdfast-audit-entry">
        <div className="holdfast-item-head">
          <span className="holdfast-item-name">
            <b data-action={action}>{ACTION_WORDS[action]}</b> by {describeActor(actor)}
          </span>
          <time className="holdfast-step-time" dateTime={occurredAt}>
            {timeText(Date.parse(occurredAt))}
          </time>
        </div>
        {isEntityShown ? <p className="holdfast-audit-entity">{describeEntity(entry)}</p> : null}
        {action === 'update' ? (
          table
        ) : (
          <details className="holdfast-details">
            <summary>
              {diffs.length} {diffs.length === 1 ? 'field' : 'fields'}
            </summary>
            {table}
          </details>
        )}
      </article>
    );
  },
);

interface DiffTableProps extends AuditWords {
  readonly entry: AuditEntry;
  readonly diffs: readonly FieldDiff[];
}

function DiffTable({
  entry,
  diffs,
  describeField = (field) => field,
  describeValue = describeJson,
}: DiffTableProps): ReactNode {
  return (
    <table className="holdfast-diff">
      <colgroup>
        <col className="holdfast-diff-field" />
        <col />
        <col className="holdfast-diff-arrow" />
        <col />
      </colgroup>
      <thead className="holdfast-unseen">
        <tr>
          <th scope="col">Field</th>
          <th scope="col">Before</th>
          <th scope="col">became</th>
          <th scope="col">After</th>
        </tr>
      </thead>
      <tbody>
        {diffs.map(({ field, before, after }) => (
          <tr key={field}>
            <th scope="row">{describeField(field, entry)}</th>
            <td>{before === undefined ? null : <del>{describeValue(before, field, entry)}</del>}</td>
            <td aria-hidden="true">→</td>
            <td>{after === undefined ? null : <ins>{describeValue(after, field, entry)}</ins>}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** A value in the words of JSON; a dash for nothing. */
export function describeJson(value: Json | undefined): string {
  if (value === undefined || value === null || value === '') return '–';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
