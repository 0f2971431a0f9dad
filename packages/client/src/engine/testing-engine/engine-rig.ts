import { type DeadLetterPolicy, RETRY_DEFAULTS, type RetryRules } from '../../mutation/definition.ts';
import type { DeliveryPolicy } from '../../mutation/delivery-policy.ts';
import type { Act, HeaderFields, MutationHeader } from '../../mutation/record.ts';
import type { Standing } from '../../mutation/versions.ts';
import type { WireError, WireOutcome } from '../../protocol/wire.ts';
import { Engine } from '../engine.ts';
import type { BatchItem, EngineEffect, EngineInput, Moment, Settlement, Waiting } from '../engine-io.ts';
import { Entry } from '../entry.ts';
import { PackedEntries } from '../packed-entries.ts';
import type { TransportAnswer } from '../transport-answer.ts';

export interface HeaderOptions {
  readonly id?: string;
  readonly seq?: number;
  readonly lane?: string;
  readonly type?: string;
  readonly payloadBytes?: number;
  readonly attempts?: MutationHeader['attempts'];
  readonly priority?: MutationHeader['priority'];
  readonly maxRetries?: number;
  readonly retryDelayMs?: number;
  readonly delayMs?: number;
  readonly dependsOn?: readonly string[];
  readonly dedupeKey?: string;
  readonly dedupeNear?: readonly number[];
  readonly expiresAtMs?: number;
  readonly alsoLanes?: readonly string[];
  readonly slots?: MutationHeader['slots'];
  readonly place?: number;
  readonly generation?: number;
  readonly operation?: MutationHeader['operation'];
  readonly entity?: MutationHeader['entity'];
  readonly version?: number;
}

/** What a batch was, once it left the engine. */
export type Sent = Extract<EngineEffect, { kind: 'send' }>;

/**
 * An engine with a clock that stands still until it is told to move, chance that is always 0.5, and a memory of what it
 * asked for. Storage is at once: settlements count as stored unless `isStorageSlow`.
 */
export class EngineRig {
  readonly engine: Engine;
  nowMs = 1_000_000;
  /** What the wall clock is ahead of the monotonic one. */
  wallOffsetMs = 1_700_000_000_000;
  random: () => number = () => 0.5;
  isStorageSlow = false;
  keepsResult = false;
  /** Effects of the last input. */
  effects: EngineEffect[] = [];
  /** Every batch so far. */
  readonly batches: Sent[] = [];
  readonly settlements: Settlement[] = [];
  onDeadLetter: DeadLetterPolicy = 'continue';
  /** How what is stored stands to this version of the app. */
  standingOf: (header: HeaderFields) => Standing = () => 'current';
  probeCount = 0;
  refreshCount = 0;
  wakeAtMs: number | null = null;
  private lastSeq = 0;
  private rules: Partial<RetryRules>;

  constructor(
    rules: Partial<RetryRules> = { jitter: 'none' },
    policyOf: (type: string) => Required<DeliveryPolicy> | null = () => null,
    mayForget = false,
    packOverCount: number | null = null,
  ) {
    this.rules = rules;
    this.engine = new Engine({
      retryRules: () => ({ ...RETRY_DEFAULTS, ...this.rules }),
      keepsResult: () => this.keepsResult,
      onDeadLetter: () => this.onDeadLetter,
      policyOf,
      standingOf: (header) => this.standingOf(header),
      mayForget,
      packing: packOverCount === null ? null : { open: () => new PackedEntries(packOverCount) },
    });
  }

  /** One that delivers. */
  static leading(rules?: Partial<RetryRules>): EngineRig {
    const rig = new EngineRig(rules);
    rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 0 });
    return rig;
  }

  moment(): Moment {
    return { nowMs: this.nowMs, wallMs: Math.floor(this.wallOffsetMs + this.nowMs), random: this.random };
  }

  input(input: EngineInput): EngineEffect[] {
    // The tick is what was asked for: the alarm is used up.
    if (input.kind === 'tick') this.wakeAtMs = null;
    const effects = this.engine.handle(input, this.moment());
    for (const effect of effects) this.note(effect);
    const settlements = effects.flatMap((effect) => (effect.kind === 'settle' ? effect.settlements : []));
    const headers = settlements.flatMap((settlement) => (settlement.kind === 'rebased' ? [settlement.header] : []));
    const seqs = settlements.filter(({ kind }) => kind !== 'rebased').map(seqOf);
    if (seqs.length > 0 && !this.isStorageSlow) effects.push(...this.input({ kind: 'settlementsStored', seqs }));
    if (headers.length > 0 && !this.isStorageSlow) effects.push(...this.input({ kind: 'headersStored', headers }));
    this.effects = effects;
    return effects;
  }

  header(options: HeaderOptions = {}): MutationHeader {
    this.lastSeq = options.seq ?? this.lastSeq + 1;
    const seq = this.lastSeq;
    return {
      seq,
      id: options.id ?? `m${seq}`,
      generation: options.generation ?? 0,
      type: options.type ?? 'note.save',
      version: options.version ?? 1,
      lane: options.lane ?? `lane ${seq}`,
      alsoLanes: options.alsoLanes ?? [],
      place: options.place ?? null,
      operation: options.operation ?? 'update',
      entity: options.entity ?? null,
      priority: options.priority ?? 'normal',
      maxRetries: options.maxRetries ?? null,
      retryDelayMs: options.retryDelayMs ?? null,
      delayMs: options.delayMs ?? 0,
      dependsOn: options.dependsOn ?? [],
      slots: options.slots ?? [],
      expiresAtMs: options.expiresAtMs ?? null,
      createdAtMs: 1_700_000_000_000,
      payloadBytes: options.payloadBytes ?? 100,
      bodyChecksum: 0,
      attempts: options.attempts ?? [],
      revision: 0,
      replaces: null,
      dedupeKey: options.dedupeKey ?? null,
      dedupeNear: options.dedupeNear ?? null,
    };
  }

  add(options: HeaderOptions = {}): MutationHeader {
    const header = this.header(options);
    this.input({ kind: 'added', headers: [header] });
    return header;
  }

  /** Several in one input, as a commit brings them. */
  addAll(list: readonly HeaderOptions[]): readonly MutationHeader[] {
    const headers = list.map((options) => this.header(options));
    this.input({ kind: 'added', headers });
    return headers;
  }

  /** Lets time pass without telling the engine. */
  pass(ms: number): void {
    this.nowMs += ms;
  }

  /** Lets time pass to the moment the engine asked for, and ticks. */
  wake(): void {
    if (this.wakeAtMs === null) throw new Error('The engine asked for no tick.');
    this.nowMs = Math.max(this.nowMs, this.wakeAtMs);
    this.input({ kind: 'tick' });
  }

  get lastBatch(): Sent {
    const batch = this.batches.at(-1);
    if (batch === undefined) throw new Error('Nothing was sent.');
    return batch;
  }

  /** Answers the last batch; with outcomes, or as a whole. */
  answer(answer: TransportAnswer | readonly WireOutcome[], batchId: number = this.lastBatch.batchId): EngineEffect[] {
    const whole: TransportAnswer = isOutcomes(answer) ? { kind: 'answered', outcomes: answer } : answer;
    return this.input({ kind: 'answer', batchId, answer: whole });
  }

  /** Answers every item of the last batch in the same way. */
  answerAll(outcome: (header: MutationHeader) => WireOutcome): EngineEffect[] {
    return this.answer(this.lastBatch.items.map(({ header }) => outcome(header)));
  }

  entry(header: MutationHeader): Entry {
    const entry = this.engine.mutations.get(header.id);
    if (entry === undefined) throw new Error(`${header.id} is not there.`);
    return entry;
  }

  waiting(header: MutationHeader): Waiting {
    return this.engine.waitingFor(this.entry(header), this.nowMs);
  }

  effect<Kind extends EngineEffect['kind']>(kind: Kind): Extract<EngineEffect, { kind: Kind }> | undefined {
    return this.effects.find((effect): effect is Extract<EngineEffect, { kind: Kind }> => effect.kind === kind);
  }

  private note(effect: EngineEffect): void {
    if (effect.kind === 'send') this.batches.push(effect);
    if (effect.kind === 'probe') this.probeCount += 1;
    if (effect.kind === 'refreshToken') this.refreshCount += 1;
    if (effect.kind === 'wakeAt') this.wakeAtMs = effect.atMs;
    if (effect.kind !== 'settle') return;
    this.settlements.push(...effect.settlements);
  }
}

function isOutcomes(answer: TransportAnswer | readonly WireOutcome[]): answer is readonly WireOutcome[] {
  return Array.isArray(answer);
}

/** An entry that waits, for tests of the parts below the engine. */
export function entryOf(header: MutationHeader, waitingSinceMs = 0): Entry {
  return new Entry(header, { mayHaveBeenSent: false, waitingSinceMs, heldUntilMs: 0 });
}

export function seqOf(settlement: Settlement): number {
  switch (settlement.kind) {
    case 'completed':
      return settlement.record.seq;
    case 'failed':
      return settlement.deadLetter.header.seq;
    case 'refused':
    case 'cancelled':
    case 'rebased':
      return settlement.header.seq;
  }
}

export function seqsOf(batch: { readonly items: readonly BatchItem[] }): readonly number[] {
  return batch.items.map(({ header }) => header.seq);
}

export const ACT: Act = { id: 'act', kind: 'cancel', actor: 'ann', reason: null, atMs: 0 };

export const ERROR: WireError = { category: 'SERVER_ERROR', code: 'XX', message: 'It did not work.' };

export const applied = ({ seq, id }: MutationHeader): WireOutcome => ({ seq, id, kind: 'applied', result: { seq } });
export const repeated = ({ seq, id }: MutationHeader): WireOutcome => ({
  seq,
  id,
  kind: 'duplicate',
  verdict: 'applied',
  result: null,
});
export const repeatedRejection = ({ seq, id }: MutationHeader): WireOutcome => ({
  seq,
  id,
  kind: 'duplicate',
  verdict: 'rejected',
  error: ERROR,
});
export const rejected = ({ seq, id }: MutationHeader): WireOutcome => ({ seq, id, kind: 'rejected', error: ERROR });
export const refused = ({ seq, id }: MutationHeader): WireOutcome => ({ seq, id, kind: 'refused', error: ERROR });
export const deferred = ({ seq, id }: MutationHeader): WireOutcome => ({ seq, id, kind: 'deferred' });

/** Every way in which a call can end without an answer about any mutation. */
export const LINE_FAILURES: readonly TransportAnswer[] = [
  { kind: 'unreachable', error: ERROR },
  { kind: 'unknown', error: ERROR },
  { kind: 'unavailable', error: ERROR, retryAfterMs: null },
  { kind: 'rateLimited', error: ERROR, retryAfterMs: null },
  { kind: 'calledOff', error: ERROR },
  { kind: 'unauthorized', error: ERROR },
  { kind: 'forbidden', error: ERROR },
  { kind: 'upgradeRequired', error: ERROR },
];
