import type { EngineEffect, Settlement } from '../../engine/engine-io.ts';
import { canonicalJson } from '../../mutation/canonical-json.ts';
import type { ConflictStrategy } from '../../mutation/definition.ts';
import { HoldfastError } from '../../mutation/holdfast-error.ts';
import {
  type Act,
  type EditHeader,
  headerOfBody,
  type MutationBody,
  type MutationHeader,
  type RowLeft,
  writeBody,
} from '../../mutation/record.ts';
import { withoutSensitive } from '../../mutation/sensitive.ts';
import { type EntityRef, type JsonObject, LIMITS } from '../../protocol/wire.ts';
import { type Resolution, resolveConflict } from '../../delivery/conflicts/resolve-conflict.ts';
import { mergeThreeWay } from '../../delivery/conflicts/three-way-merge.ts';
import type { PartPorts } from '../part-ports.ts';

type Resolve = Extract<EngineEffect, { kind: 'resolve' }>;

export interface ConflictDeskPorts extends Pick<PartPorts, 'store' | 'alarms' | 'dispatch' | 'definitions' | 'report'> {
  readonly conflictStrategy: (type: string) => ConflictStrategy | undefined;
  /** Whether it stood in the store when this tab took the lead: what the one before knew of it in memory is gone. */
  readonly stoodBefore: (header: MutationHeader) => boolean;
  /** Resolves when all that was confirmed by now stands in the history. */
  readonly whenWritten: () => Promise<void>;
}

/** An edit that waits for a person, with the versions to choose between. */
export interface OpenConflictView {
  readonly id: string;
  readonly type: string;
  readonly entity: EntityRef | null;
  /** The row that the edit was made on; null where that is not known. */
  readonly base: JsonObject | null;
  /** The edit. */
  readonly mine: JsonObject;
  /** The row as it was when the conflict was found; null when it had been deleted. */
  readonly theirs: JsonObject | null;
  /** What `mine` would send: what only the other side has changed is theirs. To be changed, and given as `payload`. */
  readonly merged: JsonObject;
  /** What both sides have changed, by paths; empty where one of them is a deletion. */
  readonly fields: readonly (readonly string[])[];
  /** By the device's clock. */
  readonly detectedAtMs: number;
  /** Of the edit as it is in conflict here: given back with the choice, it keeps a newer conflict from being decided unseen. */
  readonly revision: number;
}

/** Which version is to stand: the edit, the row as it is, or a payload made of both. */
export type ConflictChoice<P = object> = 'mine' | 'theirs' | { readonly payload: P };

/** Decides conflicts in the tab that delivers, by what their types declare, and takes down what a person has chosen. */
export class ConflictDesk {
  private readonly ports: ConflictDeskPorts;

  constructor(ports: ConflictDeskPorts) {
    this.ports = ports;
  }

  /** Ends with an input to the engine, whatever goes wrong. */
  decide(effect: Resolve, wallMs: number): void {
    this.ports.alarms.insist(() => this.tryToDecide(effect, wallMs), this.ports.report);
  }

  private async tryToDecide({ header, conflict }: Resolve, wallMs: number): Promise<void> {
    const { store, dispatch } = this.ports;
    const body = (await store.bodies.readable([header])).bodies.get(header.seq);
    if (body === undefined || header.edit === undefined) {
      // Sent again, it turns out to be unreadable, or that it cannot be read.
      dispatch({ kind: 'letGo', amendId: `conflict ${header.id}` });
      return;
    }
    const theirs = { row: conflict.current, rowVersion: conflict.rowVersion };
    const decided = (await this.isOwnChange(header, conflict.rowVersion))
      ? madeAnew(header, body, body.payload, theirs, false)
      : this.apply(this.resolutionOf(header, body, theirs.row), { header, body }, theirs, wallMs);
    if (decided === 'superseded') dispatch({ kind: 'superseded', id: header.id, payload: this.shown(header, body) });
    else dispatch({ kind: 'resolved', ...decided });
  }

  /**
   * Whether the row was changed since by nothing but what this one was made on top of: the tab that delivered that has ended before it
   * could move this one to what was left.
   */
  private async isOwnChange(header: MutationHeader, rowVersion: number | null): Promise<boolean> {
    const { edit, entity } = header;
    if (entity === null || rowVersion === null || !this.ports.stoodBefore(header)) return false;
    await this.ports.whenWritten();
    const lefts = await this.ports.store.history.leftOfRow(entity, edit?.afterSeq ?? Number.POSITIVE_INFINITY);
    let version = edit?.baseRowVersion ?? Number.POSITIVE_INFINITY;
    const next = (): RowLeft | undefined =>
      lefts.find((left) => left.sinceVersion <= version && version <= left.untilVersion && left.rowVersion > version);
    for (let left = next(); left !== undefined; left = next()) version = left.rowVersion;
    return version === rowVersion;
  }

  /** As it is kept with the note of it. */
  private shown({ type }: MutationHeader, { payload, isSensitive }: MutationBody): JsonObject {
    return withoutSensitive(this.ports.definitions, type, payload, isSensitive === true);
  }

  /** What the type declares; where its own function fails, a person is asked. */
  private resolutionOf(header: MutationHeader, body: MutationBody, theirs: JsonObject | null): Resolution {
    const strategy = this.ports.conflictStrategy(header.type);
    const versions = { operation: header.operation, base: body.edit?.base ?? null, mine: body.payload, theirs };
    try {
      const resolution = resolveConflict(strategy, versions);
      if (resolution.kind === 'resend') textOf(header.type, resolution.payload);
      return resolution;
    } catch (error) {
      this.ports.report(error);
      return resolveConflict(undefined, versions);
    }
  }

  private apply(
    resolution: Resolution,
    { header, body }: { readonly header: MutationHeader; readonly body: MutationBody },
    theirs: NonNullable<NonNullable<MutationBody['edit']>['theirs']>,
    wallMs: number,
  ): { readonly header: MutationHeader; readonly body: string } | 'superseded' {
    switch (resolution.kind) {
      case 'superseded':
        return 'superseded';
      case 'unresolved':
        return rewritten(header, {
          payload: body.payload,
          body: { ...body, edit: { base: body.edit?.base ?? null, before: body.edit?.before ?? null, theirs } },
          edit: { ...editOf(header), conflict: { detectedAtMs: wallMs, fields: resolution.fields } },
        });
      case 'resend':
        return madeAnew(header, body, resolution.payload, theirs, resolution.isUnconditional);
    }
  }

  /** Null for what is not in conflict, or not known to be. */
  async read(id: string, seq: number): Promise<OpenConflictView | null> {
    const { store } = this.ports;
    const [stored = null] = await store.pendingAt([seq]);
    const conflict = stored?.header.edit?.conflict;
    if (stored?.header.id !== id || conflict === null || conflict === undefined) return null;
    const body = await store.bodies.ofOne(stored.header);
    if (body === undefined) return null;
    const { type, entity } = stored.header;
    const { base = null, theirs = null } = body.edit ?? {};
    const row = theirs?.row ?? null;
    const { revision } = stored.header;
    return {
      id,
      type,
      entity,
      base,
      mine: body.payload,
      theirs: row,
      merged: mineOver(row, body),
      revision,
      ...conflict,
    };
  }

  /**
   * Takes down the choice in one commit, which holds only while the conflict is as it was read: from any tab, since nobody
   * sends or rewrites an edit that waits for a person. Null when it does not wait (any more), or for another choice than this one:
   * the conflict that stands is not the one of that revision.
   */
  async choose(
    seq: number,
    choice: ConflictChoice<JsonObject>,
    act: Act,
    shown: number | undefined,
  ): Promise<
    | { readonly kind: 'amended'; readonly header: MutationHeader; readonly payload: JsonObject }
    | { readonly kind: 'gaveWay' }
    | null
  > {
    const { store } = this.ports;
    let revision = shown;
    for (;;) {
      const [stored = null] = await store.pendingAt([seq]);
      if (stored === null || (stored.header.edit?.conflict ?? null) === null) return null;
      const { header } = stored;
      revision ??= header.revision;
      if (header.revision !== revision) return null;
      const body = await store.bodies.ofOne(header);
      if (body === undefined) return null;
      if (choice === 'theirs') {
        if (await store.giveWay(stored, this.shown(header, body), act)) return { kind: 'gaveWay' };
        continue;
      }
      const theirs = body.edit?.theirs ?? { row: null, rowVersion: null };
      const payload = choice === 'mine' ? mineOver(theirs.row, body) : choice.payload;
      const anew = madeAnew(header, body, payload, theirs, false);
      const [amended] = (await store.amend([{ stored, ...anew }], await store.currentEpoch(), act)) ?? [];
      if (amended === undefined) continue;
      return { kind: 'amended', header: amended, payload };
    }
  }
}

/** The settlement that tells of an edit which waits for a person now; undefined for any other. */
export function openedConflict(settlement: Settlement): MutationHeader | undefined {
  if (settlement.kind !== 'rebased' || settlement.body === null) return undefined;
  return (settlement.header.edit?.conflict ?? null) === null ? undefined : settlement.header;
}

/** What both sides changed is as the edit has it; what it only carries along, and the other side changed, is theirs. */
function mineOver(theirs: JsonObject | null, { payload, edit }: MutationBody): JsonObject {
  return theirs === null ? payload : mergeThreeWay({ base: edit?.base ?? {}, mine: payload, theirs }).payload;
}

/** Held to the row as it is now. On one that is gone it is held to nothing, and the server says that there is none. */
function madeAnew(
  header: MutationHeader,
  body: MutationBody,
  payload: JsonObject,
  theirs: { readonly row: JsonObject | null; readonly rowVersion: number | null },
  isUnconditional: boolean,
): { readonly header: MutationHeader; readonly body: string } {
  const edit = editOf(header);
  const version = isUnconditional ? null : theirs.rowVersion;
  return rewritten(header, {
    payload,
    body: { ...body, edit: { base: theirs.row, before: body.edit?.before ?? null } },
    edit: { ...edit, baseRowVersion: version, ownSinceVersion: version, rebases: edit.rebases + 1, conflict: null },
  });
}

function rewritten(
  header: MutationHeader,
  {
    payload,
    body: { metadata, source, edit: editBody, isSensitive },
    edit,
  }: { readonly payload: JsonObject; readonly body: MutationBody; readonly edit: EditHeader },
): { readonly header: MutationHeader; readonly body: string } {
  const json = textOf(header.type, payload);
  // Made of what others have written, which no schema here has seen.
  const body = writeBody(json.text, { metadata, source, edit: editBody, isOneWay: true, isSensitive });
  const { revision } = header;
  return {
    header: { ...header, revision: revision + 1, payloadBytes: json.bytes, ...headerOfBody(body), edit },
    body,
  };
}

function editOf({ edit }: MutationHeader): EditHeader {
  return edit ?? { baseRowVersion: null, ownSinceVersion: null, rebases: 0, hlc: null, isPatch: false, conflict: null };
}

/** Throws for a payload that could not be stored or sent. */
function textOf(type: string, payload: unknown): { readonly text: string; readonly bytes: number } {
  const json = canonicalJson(payload, LIMITS.jsonDepth);
  if (json.kind === 'json' && json.text.startsWith('{') && json.bytes <= LIMITS.payloadBytes) return json;
  throw new HoldfastError({
    code: json.kind === 'json' && json.text.startsWith('{') ? 'PAYLOAD_TOO_LARGE' : 'PAYLOAD_NOT_JSON',
    message: `What the conflict of ${type} was resolved to cannot be sent: it must be a JSON object of at most ${LIMITS.payloadBytes} bytes.`,
    hint: 'Correct the `conflict` function of the type, or the payload that was chosen.',
  });
}
