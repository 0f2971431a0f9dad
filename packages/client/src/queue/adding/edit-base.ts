import { changesOf, withFields } from '../../delivery/conflicts/three-way-merge.ts';
import type { Engine } from '../../engine/engine.ts';
import type { Settlement } from '../../engine/engine-io.ts';
import { keepLatest } from '../../engine/keep-latest.ts';
import { canonicalJson } from '../../mutation/canonical-json.ts';
import type { AnyMutationDefinition, DescribedMutation, EditBase } from '../../mutation/definition.ts';
import type { MaybeLater } from '../../mutation/maybe-later.ts';
import { HoldfastError } from '../../mutation/holdfast-error.ts';
import {
  type EditBody,
  type EditHeader,
  headerOfBody,
  joinedLeft,
  type MutationBody,
  type MutationHeader,
  type RowLeft,
  rowsLeftBy,
  writeBody,
} from '../../mutation/record.ts';
import { type EntityRef, type Json, type JsonObject, LIMITS } from '../../protocol/wire.ts';
import type { OwnBefore } from './called-before.ts';
import { payloadText } from './check-payload.ts';
import type { Addition } from './merge-plan.ts';
import type { AddInput } from './prepare-mutation.ts';
import { type QueueStore, TIME_TO_COME } from '../store/queue-store.ts';
import type { Runner } from '../runner.ts';

/** The part of a record that says what an edit was made on. */
export interface EditParts {
  readonly header: EditHeader;
  readonly body: EditBody;
}

/** The edit behind which a new one is stored, with what it sets. */
interface Predecessor {
  readonly header: Pick<MutationHeader, 'operation' | 'edit'>;
  readonly body: Pick<MutationBody, 'payload' | 'edit'>;
}

/** Null for a mutation that is held to no version and has no time. Throws `INVALID_OPTION`. */
function editPartsOf(
  definition: AnyMutationDefinition,
  base: EditBase | undefined,
  predecessor: Predecessor | null,
  afterSeq: number,
): EditParts | null {
  const isTimed = definition.conflict === 'latest-wins';
  const madeOn = definition.conflict === 'client-wins' ? null : versionOf(definition, base, predecessor);
  if (madeOn === null && !isTimed) return null;
  const rowVersion = madeOn?.rowVersion ?? null;
  const isPatch = definition.encoding === 'smallest';
  return {
    header: {
      baseRowVersion: rowVersion,
      ownSinceVersion: rowVersion,
      afterSeq,
      rebases: 0,
      hlc: isTimed ? TIME_TO_COME : null,
      isPatch,
      conflict: null,
    },
    body: { base: madeOn?.row ?? null, before: madeOn?.before ?? null },
  };
}

/** The last one pending in the lane about the same row, of those up to a number, if it is one that leaves a row behind. */
function predecessorOf(
  engine: Engine,
  { lane, entity }: Pick<MutationHeader, 'lane' | 'entity'>,
  upToSeq: number,
): MutationHeader | null {
  const last = engine.mutations.schedule.lanes.findLast(lane, ({ entity: other, seq }) => {
    const isOfRow = entity !== null && other?.table === entity.table && other.id === entity.id;
    return isOfRow && seq <= upToSeq;
  });
  return last === undefined || last.operation === 'delete' ? null : last.header;
}

/** How many rows are remembered. */
const REMEMBERED_COUNT = 200;

/**
 * Rows that this device's edits have left lately. An app that has not read a row again since shows it with its own edit, and
 * gives the version from before it: an edit on top of that is made on what the edit before it left.
 */
class OwnRows {
  private readonly rows = new Map<
    string,
    { readonly left: RowLeft; readonly row: JsonObject; readonly bySeq: number }
  >();

  take(settlement: Settlement): void {
    if (settlement.kind !== 'completed') return;
    const { record, result } = settlement;
    for (const { entity, left, member } of rowsLeftBy(record)) {
      const results = Array.isArray(result) ? (result as readonly Json[]) : [];
      this.takeRow(entity, left, member === null ? result : (results[member] ?? null), record.seq);
    }
  }

  private takeRow(entity: EntityRef, left: RowLeft | null, row: Json, bySeq: number): void {
    const key = keyOf(entity);
    if (left === null || typeof row !== 'object' || row === null || Array.isArray(row)) {
      // Deleted: should it be made again, it begins to count anew.
      this.rows.delete(key);
      return;
    }
    const before = this.rows.get(key)?.left;
    this.rows.delete(key);
    // Neither a list nor anything simple, so it is the row.
    this.rows.set(key, { left: joinedLeft(before, left), row: row as JsonObject, bySeq });
    keepLatest(this.rows, REMEMBERED_COUNT);
  }

  /** The base as given, or what this device has made of it since, as far as that is known up to a number. */
  newest(entity: EntityRef | null, given: EditBase | undefined, upToSeq: number): EditBase | undefined {
    const own = entity === null || given === undefined ? undefined : this.rows.get(keyOf(entity));
    if (own === undefined || given === undefined || own.bySeq > upToSeq) return given;
    const { sinceVersion, untilVersion, rowVersion } = own.left;
    const isKnown = given.rowVersion >= sinceVersion && given.rowVersion <= untilVersion;
    return isKnown ? { rowVersion, row: own.row } : given;
  }
}

/** How far a tab has come at the moment of a call: what others have stored since, its user had not seen. */
export interface Shown {
  /** All up to this number has been looked at. */
  readonly seenSeq: number;
  /** The highest number that is known: this tab may have stored behind others that it has not looked at. */
  readonly knownSeq: number;
}

const ALL: Shown = { seenSeq: Number.POSITIVE_INFINITY, knownSeq: Number.POSITIVE_INFINITY };
const NOTHING: Shown = { seenSeq: 0, knownSeq: 0 };

export interface EditBasesPorts {
  readonly opened: () => Promise<{ readonly runner: Runner; readonly store: QueueStore }>;
  /** What has been read of the store; the one from before while the queue is opened anew, and null the first time. */
  readonly shownBy: () => Runner | null;
}

/** Finds out what a new edit is made on. */
export class EditBases {
  private readonly own = new OwnRows();
  private readonly ports: EditBasesPorts;

  constructor(ports: EditBasesPorts) {
    this.ports = ports;
  }

  take(settlement: Settlement): void {
    this.own.take(settlement);
  }

  shownNow(): Shown {
    const runner = this.ports.shownBy();
    return runner === null ? NOTHING : { seenSeq: runner.watch.seen, knownSeq: runner.engine.mutations.lastSeq };
  }

  /** The version its app gives, or what this device's edits before it have left or will leave. Null for no edit. */
  of(
    definition: AnyMutationDefinition,
    described: DescribedMutation,
    base: EditBase | undefined,
    shown: Shown,
  ): MaybeLater<EditParts | null> {
    if (definition.conflict === undefined && base === undefined) return null;
    // Without a base it is for the queue to know what stands there.
    return this.find(definition, described, base, base === undefined ? ALL : shown);
  }

  private async find(
    definition: AnyMutationDefinition,
    described: DescribedMutation,
    base: EditBase | undefined,
    shown: Shown,
  ): Promise<EditParts | null> {
    const { runner, store } = await this.ports.opened();
    const header = predecessorOf(runner.engine, described, shown.knownSeq);
    // All that its tab had seen, also what has been confirmed or deletes the row; and what it had just stored itself.
    const afterSeq = Math.max(Math.min(shown.seenSeq, runner.watch.seen), header?.seq ?? 0);
    const body = header === null ? undefined : await store.bodies.ofOne(header);
    // One that was settled while it was read is among the rows that this device has left.
    const given = this.own.newest(described.entity, base, shown.knownSeq);
    return editPartsOf(definition, given, header === null || body === undefined ? null : { header, body }, afterSeq);
  }

  /** One that was called behind another of its row, which this tab had not stored when it was checked: it is made on what that leaves. */
  behind(definition: AnyMutationDefinition, addition: Addition, { before, seq }: OwnBefore): Addition {
    const { header, payload, origin, input } = addition;
    const afterSeq = Math.max(header.edit?.afterSeq ?? 0, seq);
    if (!isEdit(definition, input) || before.header.operation === 'delete') return addition;
    const given = this.own.newest(header.entity, input.base, afterSeq);
    const predecessor = { header: before.header, body: { ...before.origin, payload: before.payload } };
    const edit = editPartsOf(definition, given, predecessor, afterSeq);
    if (edit === null) return addition;
    const madeOn = { ...origin, edit: edit.body };
    const body = writeBody(payloadText(header.type, payload).text, madeOn);
    return {
      ...addition,
      origin: madeOn,
      body,
      header: { ...header, ...headerOfBody(body), edit: edit.header },
    };
  }
}

/** Whether it is held to a version, or has a time. What was not made by `add` has been looked at before. */
export function isEdit(definition: AnyMutationDefinition, input: AddInput | null): input is AddInput {
  return input !== null && (definition.conflict !== undefined || input.base !== undefined);
}

function keyOf({ table, id }: EntityRef): string {
  return JSON.stringify([table, id]);
}

/**
 * What the edit was made on: the row that its app gives, with what the edits before it set, which the user had seen. Behind
 * the creation of its row, or another edit, an edit needs no base of its own: it is made on what that one leaves.
 */
function versionOf(
  definition: AnyMutationDefinition,
  given: EditBase | undefined,
  predecessor: Predecessor | null,
): { readonly rowVersion: number; readonly row: JsonObject | null; readonly before: JsonObject | null } | null {
  const own = given === undefined ? null : checked(definition.type, given);
  if (predecessor === null) return own === null ? null : { ...own, before: null };
  const { header, body } = predecessor;
  const inherited = header.edit?.baseRowVersion ?? (header.operation === 'create' ? 0 : null);
  if (own === null && (inherited === null || definition.conflict === undefined)) return null;
  const before = withFields(body.edit?.before ?? {}, changesOf(body.edit?.base ?? {}, body.payload));
  const row = own === null ? (body.edit?.base ?? {}) : own.row;
  return { rowVersion: own?.rowVersion ?? inherited ?? 0, row: row === null ? null : withFields(row, before), before };
}

function checked(
  type: string,
  { rowVersion, row }: EditBase,
): { readonly rowVersion: number; readonly row: JsonObject | null } {
  if (!Number.isSafeInteger(rowVersion) || rowVersion < 0)
    throw invalid(type, `\`base.rowVersion\` must be a whole number from 0; it is ${String(rowVersion)}`);
  if (row === undefined) return { rowVersion, row: null };
  const json = canonicalJson(row, LIMITS.jsonDepth);
  if (json.kind === 'notJson' || !json.text.startsWith('{')) throw invalid(type, '`base.row` must be the row as JSON');
  if (json.bytes > LIMITS.payloadBytes) throw invalid(type, `\`base.row\` is larger than ${LIMITS.payloadBytes} bytes`);
  // Read from its own text, so that nothing the app changes later changes it.
  return { rowVersion, row: JSON.parse(json.text) as JsonObject };
}

function invalid(type: string, reason: string): HoldfastError {
  return new HoldfastError({
    code: 'INVALID_OPTION',
    message: `Not stored: ${reason}, for ${type}.`,
    hint: 'Give `base` the version column of the row, and the row as the server gave it.',
  });
}
