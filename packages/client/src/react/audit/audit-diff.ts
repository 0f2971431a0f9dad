import type { AuditEntry } from '../../protocol/audit.ts';
import type { Json } from '../../protocol/wire.ts';

/** What an entry has made of one field. */
export interface FieldDiff {
  readonly field: string;
  /** Undefined where there was no row before. */
  readonly before: Json | undefined;
  /** Undefined where there is no row after. */
  readonly after: Json | undefined;
}

/** What an entry changed, field by field, sorted; without what was and is nothing, and without fields that are hidden. */
export function diffOf(
  { oldValues, newValues }: Pick<AuditEntry, 'oldValues' | 'newValues'>,
  hiddenFields: readonly string[] = [],
): readonly FieldDiff[] {
  const names = new Set([...Object.keys(oldValues ?? {}), ...Object.keys(newValues ?? {})]);
  for (const hidden of hiddenFields) names.delete(hidden);
  return [...names]
    .sort()
    .map((field) => ({ field, before: oldValues?.[field], after: newValues?.[field] }))
    .filter(({ before, after }) => !(isNothing(before) && isNothing(after)));
}

function isNothing(value: Json | undefined): boolean {
  return value === undefined || value === null || value === '';
}
