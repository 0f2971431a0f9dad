import type { AnyMutationDefinition, EditBase } from '../../mutation/definition.ts';
import { isHoldfastError } from '../../mutation/holdfast-error.ts';
import type { AuditSource } from '../../ports/audit-source.ts';
import type { AuditEntry } from '../../protocol/audit.ts';
import type { EntityRef, Json, JsonObject } from '../../protocol/wire.ts';
import type { Settled } from '../../queue/queue-events.ts';
import type { AnyQueue } from '../queue-context.ts';
import type { Made, MergeBook } from './merge-book.ts';

/** The types that the mutations of one kind of thing are of. */
export interface EntityDefinitions {
  readonly create?: AnyMutationDefinition;
  readonly update?: AnyMutationDefinition;
  readonly delete?: AnyMutationDefinition;
  /** Of `operation: 'restore'`: brings a deleted row back from the audit log. */
  readonly restore?: AnyMutationDefinition;
}

/** `cancelled`: it never is sent. `undone`: another mutation, which is stored, undoes it. `notPossible`: it stands. */
export type UndoAnswer = 'cancelled' | 'undone' | 'notPossible';

/** What is to be undone. */
export interface UndoneMutation {
  readonly id: string;
  readonly type: string;
  readonly payload: JsonObject;
  /** What its app said that it was made on. */
  readonly base: EditBase | undefined;
  /** What the server returned for it; null while that is not known. */
  readonly result: () => Json;
  /** Null for a type that is never merged. */
  readonly made: Made | null;
}

export interface UndoOptions {
  readonly queue: AnyQueue;
  readonly definitions: EntityDefinitions;
  readonly audit: AuditSource | null;
  readonly mutation: UndoneMutation;
  readonly merges: MergeBook;
  /** Makes the call that stores what undoes it. */
  readonly store: <Stored extends { readonly id: string }>(
    type: string,
    call: () => Promise<Stored>,
  ) => Promise<Stored>;
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
 * log says was before, once it is confirmed. What somebody has changed again since stays as it is, or is a conflict where that is found
 * out only when it arrives. Of one that was merged into another only its own part is taken back. Rejects when the audit log cannot be
 * read, or nothing can be stored.
 */
export async function undoMutation(options: UndoOptions): Promise<UndoAnswer> {
  const { queue, definitions, audit, mutation } = options;
  const { id, type, made } = mutation;
  const older = made?.older ?? null;
  // What was merged into it since would be taken back with it.
  if (made?.isLast === false || older === 'unknown') return 'notPossible';
  if (older === null) {
    if ((await queue.cancel(id, { reason: 'Undone' })) === 'cancelled') return 'cancelled';
  } else {
    const status = (await queue.getMutationStatus(id))?.status;
    if (status === 'pending' || status === 'processing') return editBack(options, older.payload);
  }
  const entity = queue.definitions.get(type)?.entity?.(mutation.payload);
  if (entity === undefined) return 'notPossible';
  if (type === definitions.create?.type)
    return add(options, definitions.delete, { id: entity.id }, await leftByCreation(options));
  if (type === definitions.delete?.type) return add(options, definitions.restore, { id: entity.id });
  if (type !== definitions.update?.type || audit === null) return 'notPossible';
  const settled = await queue.settled(id);
  if (settled.status !== 'completed') return 'notPossible';
  const found = await entriesOf(options, audit, entity);
  const back = found === null ? null : valuesBefore(mutation, found, settled);
  return back === null ? 'notPossible' : add(options, definitions.update, back.payload, back.base);
}

/** What a creation has left, or is to leave: what somebody changes in that is not deleted unseen. */
async function leftByCreation({ queue, definitions, mutation }: UndoOptions): Promise<EditBase | undefined> {
  const { id, result } = mutation;
  if ((await queue.getMutationStatus(id))?.status !== 'completed')
    return countsVersions(definitions) ? { rowVersion: 0 } : undefined;
  const settled = await queue.settled(id);
  if (settled.status !== 'completed' || settled.rowVersion === undefined) return undefined;
  const row = result();
  const isRow = typeof row === 'object' && row !== null && !Array.isArray(row);
  return { rowVersion: settled.rowVersion, row: isRow ? row : undefined };
}

/** Whether rows of this kind are known to count their changes before the server has said so: an edit of them is held to a version. */
function countsVersions(definitions: EntityDefinitions): boolean {
  return [definitions.create, definitions.update, definitions.delete].some(
    (each) => each?.conflict !== undefined && each.conflict !== 'client-wins' && each.conflict !== 'latest-wins',
  );
}

/** A pending one becomes what the calls before had made of it. */
async function editBack({ queue, mutation, merges, store }: UndoOptions, payload: JsonObject): Promise<UndoAnswer> {
  const { id, type, made } = mutation;
  const { kind } = await store(type, () => queue.edit(id, payload));
  if (kind === 'replaced') return 'undone';
  if (made !== null) merges.undone(id, made);
  return 'cancelled';
}

async function add(
  { queue, mutation, store }: UndoOptions,
  definition: AnyMutationDefinition | undefined,
  payload: object,
  base?: EditBase,
): Promise<UndoAnswer> {
  if (definition === undefined) return 'notPossible';
  const { type } = definition;
  const input = { type, payload: payload as never, dependsOn: [mutation.id], ...(base === undefined ? {} : { base }) };
  try {
    await store(type, () => queue.add(input));
    return 'undone';
  } catch (error) {
    // Its type has no way to say what was before, such as null. The developer has been told by an error of the queue.
    if (isHoldfastError(error) && error.code === 'INVALID_PAYLOAD') return 'notPossible';
    throw error;
  }
}

/** What the audit log says of an edit, and of those of its row since, the newest first. */
interface Found {
  readonly entry: AuditEntry;
  readonly since: readonly AuditEntry[];
}

async function entriesOf(
  { queue, mutation }: UndoOptions,
  audit: AuditSource,
  { table, id }: EntityRef,
): Promise<Found | null> {
  const { workspaceId } = queue.identity;
  const query = { workspaceId, entityType: table, entityId: id, limit: LOOK_BACK_COUNT, before: null };
  const { entries } = await audit.readPage({ ...query, action: 'update' }, new AbortController().signal);
  const at = entries.findIndex(({ mutationId }) => mutationId === mutation.id);
  const entry = entries[at];
  return entry === undefined ? null : { entry, since: entries.slice(0, at) };
}

/** The edit that puts back what is as it left it; null where there is no such field. */
function valuesBefore(
  { payload: given, base, made }: UndoneMutation,
  { entry: { oldValues, newValues }, since }: Found,
  { rowVersion }: Extract<Settled, { readonly status: 'completed' }>,
): { readonly payload: JsonObject; readonly base: EditBase | undefined } | null {
  const payload = made?.payload ?? given;
  const older = made?.older ?? null;
  const before: JsonObject = { ...oldValues, ...(older === 'unknown' ? {} : older?.payload) };
  const later = since.reduceRight<JsonObject>((all, { newValues: values }) => ({ ...all, ...values }), {});
  let isPutBack = false;
  const back = Object.entries(payload).map(([field, own]) => {
    if (Object.hasOwn(later, field)) return [field, later[field]];
    const value = Object.hasOwn(before, field) ? before[field] : own;
    isPutBack ||= JSON.stringify(value) !== JSON.stringify(own);
    return [field, value];
  });
  if (!isPutBack) return null;
  // It is made on what the log shows, so that what others change meanwhile is found out, as with any edit: each of them counts one.
  const madeOn = rowVersion === undefined ? base?.rowVersion : rowVersion + since.length;
  const row = { ...base?.row, ...newValues, ...later };
  return {
    payload: Object.fromEntries(back) as JsonObject,
    base: madeOn === undefined ? undefined : { rowVersion: madeOn, row },
  };
}
