import type { ConflictStrategy, ConflictVersions } from '../../mutation/definition.ts';
import type { JsonObject, Operation } from '../../protocol/wire.ts';
import { type FieldPath, mergeThreeWay } from './three-way-merge.ts';

/** What becomes of an edit whose row has changed meanwhile. */
export type Resolution =
  /** It goes again with this payload, on the row as it is now; `isUnconditional`: whatever the row is by then. */
  | { readonly kind: 'resend'; readonly payload: JsonObject; readonly isUnconditional: boolean }
  /** It waits for a person. */
  | { readonly kind: 'unresolved'; readonly fields: readonly FieldPath[] }
  /** It gives way: it does not take effect. */
  | { readonly kind: 'superseded' };

export interface Conflict extends ConflictVersions {
  readonly operation: Operation;
}

/** Decides by what the type of the edit declares. What its own function throws is thrown. */
export function resolveConflict(
  strategy: ConflictStrategy | undefined,
  { operation, base, mine, theirs }: Conflict,
): Resolution {
  // What was to be deleted is gone: there is nothing left to decide.
  if (operation === 'delete' && theirs === null) return { kind: 'superseded' };
  switch (strategy) {
    case 'server-wins':
    // The server compares the times: what it calls a conflict is later than this edit, or deleted.
    case 'latest-wins':
      return { kind: 'superseded' };
    case 'client-wins':
      return { kind: 'resend', payload: mine, isUnconditional: true };
    case 'merge':
      return merge(operation, { base, mine, theirs });
    case undefined:
      return { kind: 'unresolved', fields: fieldsInConflict({ base, mine, theirs }) };
    default: {
      const payload = strategy({ base, mine, theirs });
      if (payload === 'unresolved') return { kind: 'unresolved', fields: fieldsInConflict({ base, mine, theirs }) };
      return { kind: 'resend', payload, isUnconditional: false };
    }
  }
}

/** A deletion cannot be merged with a change: someone has to say which was meant. */
function merge(operation: Operation, versions: ConflictVersions): Resolution {
  const { base, mine, theirs } = versions;
  if (operation !== 'update' || theirs === null) return { kind: 'unresolved', fields: [] };
  const merged = mergeThreeWay({ base: base ?? {}, mine, theirs });
  if (merged.kind === 'conflict') return { kind: 'unresolved', fields: merged.fields };
  return { kind: 'resend', payload: merged.payload, isUnconditional: false };
}

/** What both sides have changed, each to something else; none where one of them is a deletion. */
function fieldsInConflict({ base, mine, theirs }: ConflictVersions): readonly FieldPath[] {
  if (theirs === null) return [];
  const merged = mergeThreeWay({ base: base ?? {}, mine, theirs });
  return merged.kind === 'conflict' ? merged.fields : [];
}
