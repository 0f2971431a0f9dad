import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { MutationHeader } from '../mutation/record.ts';
import { LIMITS, type WireOutcome } from '../protocol/wire.ts';
import type { EngineInput } from './engine-io.ts';
import {
  applied,
  deferred,
  EngineRig,
  ERROR,
  LINE_FAILURES,
  refused,
  rejected,
  repeated,
  seqOf,
} from './testing-engine/engine-rig.ts';
import type { TransportAnswer } from './transport-answer.ts';

const LANES = ['a', 'b', 'c', 'd'] as const;
const OUTCOMES: readonly ((header: MutationHeader) => WireOutcome | null)[] = [
  applied,
  applied,
  repeated,
  rejected,
  refused,
  deferred,
  () => null,
];

type Step =
  | { readonly kind: 'add'; readonly lanes: readonly (typeof LANES)[number][]; readonly payloadBytes: number }
  | { readonly kind: 'outcomes'; readonly choices: readonly number[] }
  | { readonly kind: 'whole'; readonly answer: TransportAnswer }
  | { readonly kind: 'input'; readonly input: EngineInput }
  | { readonly kind: 'keepBack'; readonly back: number }
  | { readonly kind: 'amend' | 'letGo' }
  | { readonly kind: 'loseUnreadable' | 'stored' | 'wake' }
  | { readonly kind: 'pass'; readonly ms: number };

const gateInput: fc.Arbitrary<EngineInput> = fc.constantFrom<EngineInput>(
  { kind: 'leadership', isLeader: true, earlierSeq: 0 },
  { kind: 'leadership', isLeader: false },
  { kind: 'paused' },
  { kind: 'resumed' },
  { kind: 'hint', hint: 'online' },
  { kind: 'hint', hint: 'offline' },
  { kind: 'hint', hint: 'foreground' },
  { kind: 'hint', hint: 'nudge' },
  { kind: 'probed', result: { kind: 'reached', latencyMs: 1 } },
  { kind: 'probed', result: { kind: 'notReached', reason: 'x' } },
  { kind: 'tokenRefreshed', isThere: true },
  { kind: 'tokenRefreshed', isThere: false },
  { kind: 'loginChanged' },
  { kind: 'sendingElsewhere', seqs: [1, 2, 3], waitingFor: 'network' },
  { kind: 'sendingElsewhere', seqs: [], waitingFor: null },
);

// An app that is too old stays so until it is updated: a history with it never drains.
const wholeAnswer = fc.constantFrom(...LINE_FAILURES.filter(({ kind }) => kind !== 'upgradeRequired'), {
  kind: 'batchRefused',
  error: ERROR,
} as const);

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('add' as const),
      lanes: fc.array(fc.constantFrom(...LANES), { minLength: 1, maxLength: 4 }),
      payloadBytes: fc.constantFrom(1, 100_000, LIMITS.payloadBytes),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('outcomes' as const),
      choices: fc.array(fc.nat(OUTCOMES.length - 1), { minLength: 1, maxLength: 5 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('whole' as const), answer: wholeAnswer }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('input' as const), input: gateInput }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom('loseUnreadable' as const, 'stored' as const, 'wake' as const) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('keepBack' as const), back: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('amend' as const, 'letGo' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 20_000 }) }) },
);

/** Runs a history, and looks after every step at what must hold whatever happened. */
class History {
  readonly rig = EngineRig.leading();
  readonly added: MutationHeader[] = [];
  private readonly stored = new Set<number>();
  private checkedBatchCount = 0;
  private checkedSettlementCount = 0;
  private readonly lastSettled = new Map<string, number>();

  constructor() {
    this.rig.isStorageSlow = true;
    this.rig.random = () => 0;
  }

  run(each: Step): void {
    const { rig } = this;
    const isSending = rig.engine.sendingSeqs.length > 0;
    switch (each.kind) {
      case 'add': {
        const headers = rig.addAll(each.lanes.map((lane) => ({ lane, payloadBytes: each.payloadBytes })));
        this.added.push(...headers);
        for (const { seq } of headers) this.stored.add(seq);
        break;
      }
      case 'outcomes':
        if (isSending) {
          const items = rig.lastBatch.items.map(
            ({ header }, index) => OUTCOMES[each.choices[index % each.choices.length] ?? 0]?.(header) ?? null,
          );
          rig.answer(items.filter((outcome) => outcome !== null));
        }
        break;
      case 'whole':
        if (isSending) rig.answer(each.answer);
        break;
      case 'input':
        rig.input(each.input);
        // The runner looks into the store before it takes the lead: what was settled and not stored is still there.
        if (each.input.kind === 'leadership' && !each.input.isLeader) this.findAgain();
        break;
      case 'keepBack':
        rig.input({ kind: 'keepBack', ids: [this.added.at(-1 - each.back)?.id ?? ''], amendId: 'amend 1' });
        break;
      case 'amend':
        rig.input({
          kind: 'amended',
          headers: [...rig.engine.mutations.kept].map(({ header }) => ({
            ...header,
            payloadBytes: header.payloadBytes + 1,
            revision: header.revision + 1,
          })),
        });
        break;
      case 'letGo':
        rig.input({ kind: 'letGo', amendId: 'amend 1' });
        break;
      case 'loseUnreadable':
        if (isSending) rig.input({ kind: 'givenUp', seqs: rig.engine.sendingSeqs.slice(0, 1), error: ERROR });
        break;
      case 'stored':
        this.store();
        break;
      case 'wake':
        if (rig.wakeAtMs !== null) this.wake();
        break;
      case 'pass':
        rig.pass(each.ms);
    }
    this.check();
  }

  /** A tick at the time that was asked for begins something, or asks for a later time: never a hot loop. */
  wake(): void {
    const { rig } = this;
    const askedMs = Math.max(rig.nowMs, rig.wakeAtMs ?? 0);
    rig.wake();
    const hasBegun = rig.effects.some(({ kind }) => kind === 'send' || kind === 'probe' || kind === 'refreshToken');
    if (!hasBegun) expect(rig.wakeAtMs === null || rig.wakeAtMs > askedMs, 'asks for a later time').toBe(true);
  }

  /** The faults stop, the server answers everything: all must come to rest. */
  heal(): void {
    const { rig } = this;
    for (const input of [
      { kind: 'resumed' },
      { kind: 'letGo', amendId: 'amend 1' },
      { kind: 'leadership', isLeader: true, earlierSeq: 0 },
      { kind: 'hint', hint: 'nudge' },
    ] as const)
      rig.input(input);
    for (let round = 0; rig.engine.mutations.counts.pending > 0; round += 1) {
      expect(round, 'rounds until all has settled').toBeLessThan(2_000);
      this.store();
      if (rig.engine.sendingSeqs.length > 0) rig.answerAll(applied);
      else if (this.isChecking()) rig.input({ kind: 'probed', result: { kind: 'reached', latencyMs: 1 } });
      else if (this.isRefreshing()) rig.input({ kind: 'tokenRefreshed', isThere: true });
      else this.wake();
      this.check();
    }
    this.store();
  }

  private isChecking(): boolean {
    const { state } = this.rig.engine.gates.line;
    return state.kind === 'down' && state.isChecking;
  }

  private isRefreshing(): boolean {
    return this.rig.engine.gates.isRefreshing;
  }

  private store(): void {
    const { rig } = this;
    for (const settlement of rig.settlements) {
      const seq =
        settlement.kind === 'completed'
          ? settlement.record.seq
          : settlement.kind === 'failed'
            ? settlement.deadLetter.header.seq
            : null;
      if (seq !== null && rig.engine.mutations.at(seq)?.phase.kind !== 'waiting') this.stored.delete(seq);
    }
    rig.input({
      kind: 'settlementsStored',
      seqs: rig.settlements.flatMap((settlement) =>
        settlement.kind === 'completed'
          ? [settlement.record.seq]
          : settlement.kind === 'failed'
            ? [settlement.deadLetter.header.seq]
            : [],
      ),
    });
  }

  private findAgain(): void {
    this.rig.settlements.length = 0;
    this.checkedSettlementCount = 0;
    this.lastSettled.clear();
    const headers = this.added.filter(({ seq }) => this.stored.has(seq));
    this.rig.input({ kind: 'found', headers, deadLetters: [] });
  }

  private check(): void {
    const { rig } = this;
    for (const batch of rig.batches.slice(this.checkedBatchCount)) {
      const headers = batch.items.map(({ header }) => header);
      expect(new Set(headers.map(({ lane }) => lane)).size, 'one of each lane').toBe(headers.length);
      expect(headers.length).toBeLessThanOrEqual(LIMITS.batchCount);
      const bytes = headers.reduce((sum, { payloadBytes }) => sum + payloadBytes, 0);
      expect(headers.length === 1 || bytes <= LIMITS.batchBytes, 'within the bytes of a batch').toBe(true);
      for (const { header, after } of batch.items) {
        expect(after === null || after < header.seq, '`after` is an earlier one').toBe(true);
        expect(batch.acknowledgedFloor, 'the floor is below all that is sent').toBeLessThan(header.seq);
        const earlier = this.added.filter(({ lane, seq }) => lane === header.lane && seq < header.seq);
        for (const { seq } of earlier)
          expect(rig.engine.mutations.at(seq)?.phase.kind ?? 'gone', 'earlier ones of the lane are settled').toMatch(
            /gone|failed/,
          );
      }
    }
    this.checkedBatchCount = rig.batches.length;
    for (const { phase, mayHaveBeenSent } of rig.engine.mutations.kept)
      expect([phase.kind, mayHaveBeenSent], 'only what was never sent is kept back').toEqual(['waiting', false]);
    for (const settlement of rig.settlements.slice(this.checkedSettlementCount)) {
      if (settlement.kind === 'refused') continue;
      const seq = seqOf(settlement);
      const lane = this.added.find((header) => header.seq === seq)?.lane ?? '';
      expect(seq, 'lanes settle in order').toBeGreaterThan(this.lastSettled.get(lane) ?? 0);
      this.lastSettled.set(lane, seq);
    }
    this.checkedSettlementCount = rig.settlements.length;
    const entries = [...rig.engine.mutations.all()];
    const of = (kind: string): number => entries.filter(({ phase }) => phase.kind === kind).length;
    expect(rig.engine.mutations.counts, 'counts').toEqual({
      pending: of('waiting') + of('sending'),
      processing: of('sending'),
      failed: of('failed'),
      pendingBytes: entries
        .filter(({ phase }) => phase.kind !== 'failed')
        .reduce((sum, { header }) => sum + header.payloadBytes, 0),
    });
    const pendingSeqs = entries.filter(({ phase }) => phase.kind !== 'failed').map(({ header }) => header.seq);
    expect(rig.engine.mutations.oldestPending?.header.seq, 'the oldest').toBe(
      pendingSeqs.length === 0 ? undefined : Math.min(...pendingSeqs),
    );
    expect(rig.engine.mutations.acknowledgedFloor, 'the floor').toBeLessThan(
      Math.min(...pendingSeqs, Number.POSITIVE_INFINITY),
    );
  }
}

describe('any history', () => {
  test('Q7 · keeps the order of lanes, the limits of batches and the counts, never loops hot, and drains once faults stop', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const history = new History();
        for (const each of steps) history.run(each);
        history.heal();

        const { mutations } = history.rig.engine;
        expect(mutations.counts).toMatchObject({ pending: 0, processing: 0 });
        expect(mutations.acknowledgedFloor).toBe(history.added.length);
      }),
      { numRuns: 600 },
    );
  }, 60_000);
});
