import type { AnyMutationDefinition } from '../../mutation/definition.ts';
import type { AuditSource } from '../../ports/audit-source.ts';
import type { JsonObject } from '../../protocol/wire.ts';
import type { AnyQueue } from '../queue-context.ts';

/** The types that the mutations of one kind of thing are of. */
export interface EntityDefinitions {
  readonly create?: AnyMutationDefinition;
  readonly update?: AnyMutationDefinition;
  readonly delete?: AnyMutationDefinition;
  /** Of `operation: 'restore'`: brings a deleted row back from the audit log. */
  readonly restore?: AnyMutationDefinition;
}

/** `cancelled`: it was never sent. `undone`: another mutation undoes it. `notPossible`: it stands. */
export type UndoAnswer = 'cancelled' | 'undone' | 'notPossible';

export interface UndoOptions {
  readonly queue: AnyQueue;
  readonly definitions: EntityDefinitions;
  readonly audit: AuditSource | null;
  readonly mutation: { readonly id: string; readonly type: string; readonly payload: JsonObject };
}

/** Whether one of this type can be undone once it was sent. */
export function canUndo({
  definitions,
  audit,
  type,
}: Pick<UndoOptions, 'definitions' | 'audit'> & { readonly type: string }): boolean {
  if (type === definitions.create?.type) return definitions.delete !== undefined;
  if (type === definitions.delete?.type) return definitions.restore !== undefined;
  return type === definitions.update?.type && audit !== null;
}

/** Entries of the row that are looked through for what an edit has changed. */
const LOOK_BACK_COUNT = 50;

/**
 * Takes a mutation back: one that surely was never sent is cancelled; of one that may have been, the effect is undone by another
 * mutation behind it. A creation is deleted, a deletion restored from the audit log, and an edit put back to what the audit
 * log says was before, once it is confirmed.
 */
export async function undoMutation({ queue, definitions, audit, mutation }: UndoOptions): Promise<UndoAnswer> {
  if ((await queue.cancel(mutation.id, { reason: 'Undone' })) === 'cancelled') return 'cancelled';
  const { create, update, restore } = definitions;
  const entity = queue.definitions.get(mutation.type)?.entity?.(mutation.payload);
  if (entity === undefined) return 'notPossible';
  const add = async (definition: AnyMutationDefinition | undefined, payload: object): Promise<UndoAnswer> => {
    if (definition === undefined) return 'notPossible';
    await queue.add({ type: definition.type, payload: payload as never, dependsOn: [mutation.id] });
    return 'undone';
  };
  if (mutation.type === create?.type) return add(definitions.delete, { id: entity.id });
  if (mutation.type === definitions.delete?.type) return add(restore, { id: entity.id });
  if (mutation.type !== update?.type || audit === null) return 'notPossible';
  if ((await queue.settled(mutation.id)).status !== 'completed') return 'notPossible';
  const { entries } = await audit.readPage(
    {
      workspaceId: queue.identity.workspaceId,
      entityType: entity.table,
      entityId: entity.id,
      action: 'update',
      limit: LOOK_BACK_COUNT,
      before: null,
    },
    new AbortController().signal,
  );
  const before = entries.find(({ mutationId }) => mutationId === mutation.id)?.oldValues ?? null;
  if (before === null) return 'notPossible';
  const changed = Object.keys(mutation.payload).filter((field) => Object.hasOwn(before, field));
  return add(update, { ...mutation.payload, ...Object.fromEntries(changed.map((field) => [field, before[field]])) });
}
