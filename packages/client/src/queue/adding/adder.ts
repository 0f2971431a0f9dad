import { deadLetterOf } from '../../engine/entry.ts';
import type { EditBase, MutationOptions } from '../../mutation/definition.ts';
import { fromNewerApp } from '../../engine/versions.ts';
import { type MaybeLater, whenKnown } from '../../mutation/maybe-later.ts';
import { HoldfastError } from '../../mutation/holdfast-error.ts';
import type { DeadLetter, MutationBody, MutationHeader } from '../../mutation/record.ts';
import { ATOMIC_TYPE, type Json } from '../../protocol/wire.ts';
import type { Acts } from '../acts.ts';
import { type CheckedPayload, checkPayload } from './check-payload.ts';
import type { EditAnswer, MutationHandle } from '../mutation-handle.ts';
import { GroupCommit } from './group-commit.ts';
import type { EditBases, Shown } from './edit-base.ts';
import type { Addition } from './merge-plan.ts';
import { Placer, type PlacerPorts } from './placer.ts';
import {
  type AddInput,
  ownIdOf,
  type PrepareContext,
  prepareAtomic,
  ownEffectOf,
  prepareMutation,
  withPayload,
} from './prepare-mutation.ts';
import { type QueueReader, unknownMutation } from '../queue-reader.ts';
import type { QueueStore } from '../store/queue-store.ts';
import type { Runner } from '../runner.ts';
import type { StoringCall } from './storing-calls.ts';

export interface AdderPorts extends Omit<PlacerPorts, 'opened'> {
  readonly newId: (wallMs: number) => string;
  readonly shownNow: () => Shown;
  /** What a mutation is made on, as far as anybody says or knows. */
  readonly editOf: EditBases['of'];
  readonly act: Acts['act'];
  /** Null while the queue is not open. */
  readonly runnerNow: () => Runner | null;
  /** The parts of the queue once it is open; rejects when it is not. */
  readonly opened: () => Promise<{ readonly runner: Runner; readonly store: QueueStore; readonly reader: QueueReader }>;
}

/** Takes mutations in: checks them, and stores them in the order of the calls. */
export class Adder {
  private readonly ports: AdderPorts;
  private readonly placer: Placer;
  private readonly commits: GroupCommit<Addition, MutationHandle>;

  constructor(ports: AdderPorts) {
    this.ports = ports;
    this.placer = new Placer(ports);
    this.commits = new GroupCommit(
      (additions) => this.placer.place(additions),
      () => this.placer.forgetRows(),
    );
  }

  get whenFlushed(): Promise<void> {
    return this.commits.whenFlushed();
  }

  add(input: AddInput, call: StoringCall): Promise<MutationHandle> {
    const { definitions, newId, clock } = this.ports;
    const nowMs = clock.wallMs();
    const newOne = newId(nowMs);
    const editOf = this.editOfNow();
    return this.store(() => {
      const ownId = ownIdOf(input.id);
      const context = { id: ownId ?? newOne, wallMs: nowMs, resultOf: this.resultOf, editOf };
      return whenKnown(prepareMutation(definitions, input, context), (prepared) => {
        const { header, body, payload, origin } = prepared;
        const ownMark = ownId === null ? null : prepared.contentMark();
        return { header, body, payload, origin, ownMark, mayMerge: ownId === null, input, call };
      });
    });
  }

  /** What is called now is made on what is shown now, however long it takes until it is checked. */
  private editOfNow(): PrepareContext['editOf'] {
    const shown = this.ports.shownNow();
    return (definition, described, base) => this.ports.editOf(definition, described, base, shown);
  }

  async addAtomic(
    members: readonly { readonly type: string; readonly payload: unknown }[],
    options: MutationOptions,
    call: StoringCall,
  ): Promise<MutationHandle> {
    const { definitions, newId, clock } = this.ports;
    const nowMs = clock.wallMs();
    const newOne = newId(nowMs);
    return this.store(async () => {
      const ownId = ownIdOf(options.id);
      const prepared = await prepareAtomic(definitions, members, options, {
        id: ownId ?? newOne,
        wallMs: nowMs,
        resultOf: this.resultOf,
      });
      const input = { ...options, type: ATOMIC_TYPE, payload: members };
      const ownMark = ownId === null ? null : prepared.contentMark();
      return { ...prepared, ownMark, mayMerge: false, input, call };
    });
  }

  /**
   * Gives a mutation another payload. Never sent, it keeps its id and place; else a new one is made, behind it in its lane,
   * that says which it replaces. A dead letter makes way for the new one.
   */
  async edit(id: string, payload: unknown): Promise<EditAnswer> {
    const { definitions, opened } = this.ports;
    const { runner, store, reader } = await opened();
    const status = await reader.status(id);
    if (status === undefined) throw unknownMutation(id);
    const checked = await checkPayload(definitions, status.type, payload, this.resultOf);
    const entry = runner.engine.mutations.get(id);
    if (entry === undefined) return this.replace(id, null, checked);
    if (runner.engine.mutations.versions.isNewer(entry)) throw new HoldfastError(fromNewerApp(entry));
    if (entry.lane !== checked.described.lane) throw otherLane(entry, checked.described.lane);
    if (entry.phase.kind === 'failed') {
      const [deadLetter = null] = deadLetterOf(entry);
      return this.replace(id, entry.header, checked, deadLetter);
    }
    const more = { count: 0, bytes: Math.max(0, checked.bytes - entry.payloadBytes) };
    this.ports.capacity.claim(more);
    try {
      const amended = await runner.amender.amend(id, async ({ header }) => {
        const origin = await store.bodies.ofOne(header);
        // A body that does not read is left to be found out when it is sent.
        return origin === undefined ? null : withPayload(header, checked, origin);
      });
      if (amended !== null) {
        this.ports.amended({ header: amended, payload: checked.described.payload, durability: store.durability });
        return { kind: 'edited', id };
      }
    } finally {
      this.ports.capacity.giveBack(more);
    }
    return this.replace(id, entry.header, checked);
  }

  /** Makes a new mutation that stands for an earlier one, with its options; of a confirmed one they are not known any more. */
  private async replace(
    replaces: string,
    old: MutationHeader | null,
    checked: CheckedPayload,
    deadLetter: DeadLetter | null = null,
  ): Promise<EditAnswer> {
    const { definitions, newId, clock, opened } = this.ports;
    const editOf = this.editOfNow();
    const { store } = await opened();
    const nowMs = clock.wallMs();
    const { type, payload } = checked.described;
    const oldBody = old === null ? undefined : await store.bodies.ofOne(old);
    // Behind the old one it is made on what that leaves; instead of a dead letter, on what that was made on.
    const base = deadLetter === null ? undefined : baseOf(deadLetter.header, oldBody);
    const prepared = await prepareMutation(
      definitions,
      { type, payload, ...(base === undefined ? {} : { base }) },
      { id: newId(nowMs), wallMs: nowMs, resultOf: this.resultOf, editOf },
    );
    const options = old === null ? {} : optionsOf(old);
    const { metadata, source } = oldBody ?? {};
    const origin = {
      ...(metadata === undefined ? {} : { metadata }),
      ...(source === undefined ? {} : { source }),
      ...(prepared.origin.edit === undefined ? {} : { edit: prepared.origin.edit }),
    };
    const edit = prepared.header.edit;
    // Instead of a dead letter it is the edit that was made then.
    const timed =
      edit === undefined || deadLetter === null ? {} : { edit: { ...edit, hlc: deadLetter.header.edit?.hlc ?? null } };
    const { header, body } = withPayload(
      { ...prepared.header, ...options, ...timed, replaces, seq: 0 },
      checked,
      origin,
    );
    const addition = {
      header,
      body: body ?? prepared.body,
      payload,
      origin,
      ownMark: null,
      mayMerge: false,
      input: null,
      call: null,
    };
    const handle =
      deadLetter === null ? await this.store(async () => addition) : await this.replaceDeadLetter(deadLetter, addition);
    return { kind: 'replaced', id: handle.id, handle };
  }

  private async replaceDeadLetter(deadLetter: DeadLetter, addition: Addition): Promise<MutationHandle> {
    const { runner, store } = await this.ports.opened();
    const dependsOn = await this.openParentsOf(addition.header.dependsOn);
    const ready = { ...addition, header: { ...addition.header, dependsOn } };
    const { id } = deadLetter.header;
    const header = await store.deadLetters.replace(deadLetter, ready, this.ports.act('edit', {}), runner.placeRule);
    // Retried, discarded or replaced meanwhile.
    if (header === null) throw unknownMutation(id);
    // First the one that has its place: what stands on the old one's row now stands on this.
    runner.added([header]);
    runner.discarded([id]);
    return this.ports.added({ header, payload: addition.payload, durability: store.durability }, ready);
  }

  /** The place in the order of calls is taken here, before anything is awaited. */
  private store(prepare: () => MaybeLater<Addition>): Promise<MutationHandle> {
    return this.commits.add(() =>
      whenKnown(prepare(), (addition) => {
        if (addition.header.dependsOn.length > 0) return this.behindParents(addition);
        this.checked(addition);
        return addition;
      }),
    );
  }

  /** Whoever shows what is pending may show it from now on. */
  private checked({ call, header, payload, input, ownMark }: Addition): void {
    const runner = this.ports.runnerNow();
    // What is there already is not known before the queue is open.
    const mayBeThere = runner === null || ownMark !== null || this.placer.mayBeDuplicate(header, runner);
    call?.checked({ header, payload, own: ownEffectOf(input), mayBeThere });
  }

  private async behindParents(addition: Addition): Promise<Addition> {
    const dependsOn = await this.openParentsOf(addition.header.dependsOn);
    const ready = { ...addition, header: { ...addition.header, dependsOn } };
    this.checked(ready);
    return ready;
  }

  private readonly resultOf = async (id: string): Promise<Json | undefined> => {
    const { reader, store } = await this.ports.opened();
    if ((await reader.status(id))?.status !== 'completed') return undefined;
    return (await store.history.completed(id))?.result ?? null;
  };

  /** Parents that are not confirmed yet. Rejects when one of them has failed, or is not known here. */
  private async openParentsOf(ids: readonly string[]): Promise<readonly string[]> {
    const open: string[] = [];
    for (const id of ids) {
      const { reader, runner } = await this.ports.opened();
      const status = await reader.status(id);
      const isOpen = status?.status === 'pending' || status?.status === 'processing';
      // A dead letter that holds its lane may yet take effect: what is added on top of it waits as well.
      if (isOpen || runner.holdsLane(id)) open.push(id);
      else if (status === undefined) throw unknownMutation(id);
      else if (status.status !== 'completed') throw parentFailed(id);
    }
    return open;
  }
}

/** What a new mutation takes over from the one that it replaces. */
function optionsOf({
  priority,
  maxRetries,
  retryDelayMs,
  delayMs,
  dependsOn,
}: MutationHeader): Partial<MutationHeader> {
  return { priority, maxRetries, retryDelayMs, delayMs, dependsOn };
}

function baseOf({ edit }: MutationHeader, body: MutationBody | undefined): EditBase | undefined {
  const rowVersion = edit?.baseRowVersion ?? null;
  return rowVersion === null ? undefined : { rowVersion, row: body?.edit?.base ?? undefined };
}

function parentFailed(id: string): HoldfastError {
  return new HoldfastError({
    code: 'PARENT_FAILED',
    message: `Not stored: the change ${id}, which it depends on, did not take effect.`,
    hint: 'Retry that one first.',
  });
}

function otherLane({ id, lane }: Pick<MutationHeader, 'id' | 'lane'>, other: string): HoldfastError {
  return new HoldfastError({
    code: 'INVALID_PAYLOAD',
    message: `Not edited: the new payload belongs to the lane ${other}, and ${id} is in ${lane}.`,
    hint: 'Cancel this mutation and add another, or keep what the lane is made from.',
  });
}
