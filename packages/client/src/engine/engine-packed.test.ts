import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fingerprint } from '../mutation/fingerprint.ts';
import type { MutationHeader } from '../mutation/record.ts';
import type { EngineEffect, EngineInput } from './engine-io.ts';
import {
  ACT,
  applied,
  deferred,
  EngineRig,
  ERROR,
  LINE_FAILURES,
  refused,
  rejected,
  repeated,
  seqsOf,
} from './testing-engine/engine-rig.ts';

const uuidOf = (number: number): string => `0192f0c0-7b1a-7000-8000-${String(number).padStart(12, '0')}`;
const OUTCOMES = [applied, applied, applied, repeated, rejected, refused, deferred];
const KINDS = [
  'add',
  'add',
  'find',
  'find',
  'findAgain',
  'answer',
  'answer',
  'answer',
  'lineFails',
  'pass',
  'wake',
  'lead',
  'follow',
  'read',
  'read',
  'cancel',
  'discard',
  'elsewhere',
  'amend',
  'hurry',
  'evict',
  'gate',
  'ask',
  'ask',
] as const;

const drawn = fc.record({
  row: fc.nat(30),
  priority: fc.constantFrom('normal', 'normal', 'normal', 'high', 'low'),
  operation: fc.constantFrom('update', 'update', 'create'),
  parent: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(40) }),
  special: fc.oneof(
    { weight: 6, arbitrary: fc.constant('alone') },
    { weight: 3, arbitrary: fc.constant('no') },
    { weight: 1, arbitrary: fc.constantFrom('delayed', 'expires', 'policy', 'edit', 'two lanes', 'newer') },
  ),
});
const step = fc.record({
  kind: fc.constantFrom(...KINDS),
  all: fc.array(drawn, { minLength: 1, maxLength: 10 }),
  at: fc.nat(60),
  ms: fc.constantFrom(0, 1, 50, 3_000, 70_000),
  outcomes: fc.array(fc.nat(OUTCOMES.length - 1), { minLength: 1, maxLength: 4 }),
});
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

const packedCountOf = ({ engine }: EngineRig): number => engine.mutations.packed?.size ?? 0;

/** An app that does what it is told, and tells all that can be seen. */
class Told {
  readonly rig: EngineRig;
  private readonly headers: MutationHeader[] = [];

  constructor(packOverCount: number | null) {
    const policy = {
      strategy: 'batched',
      batchCount: 4,
      batchBytes: 1_000,
      batchDelayMs: 5_000,
      intervalMs: 5_000,
      holdMsMax: 60_000,
      inBackground: 'hold',
      wifiAboveBytes: null,
      anyNetworkFromBytes: 1_000,
    } as const;
    const policyOf = (type: string): typeof policy | null => (type === 'patient' ? policy : null);
    this.rig = new EngineRig({ jitter: 'none', maxRetries: 1 }, policyOf, false, packOverCount);
    this.rig.isStorageSlow = true;
    this.rig.standingOf = ({ version }) => (version === 2 ? 'newer' : 'current');
  }

  private draw(one: Step['all'][number]): MutationHeader {
    const { row, priority, operation, parent, special } = one;
    const number = this.headers.length + 1;
    const id = uuidOf(special === 'alone' ? 1_000 + number : row);
    const header: MutationHeader = {
      ...this.rig.header({
        id: uuidOf(100_000 + number),
        lane: `notes:${id}`,
        entity: { table: 'notes', id },
        priority,
        operation,
        dedupeKey: fingerprint(id),
        // Of one type only so many sorts are told apart.
        type: special === 'policy' ? 'patient' : ['delayed', 'newer'].includes(special) ? special : 'note.far',
        version: special === 'newer' ? 2 : 1,
        dependsOn: parent === 0 ? [] : [uuidOf(100_000 + parent)],
        delayMs: special === 'delayed' ? 2_000 : 0,
        expiresAtMs: special === 'expires' ? this.rig.moment().wallMs + 4_000 : undefined,
        alsoLanes: special === 'two lanes' ? [`notes:${uuidOf((row + 1) % 31)}`] : [],
      } as Parameters<EngineRig['header']>[0]),
      createdAtMs: this.rig.moment().wallMs,
      ...(special === 'edit'
        ? { edit: { baseRowVersion: row, ownSinceVersion: row, rebases: 0, hlc: null, isPatch: false, conflict: null } }
        : {}),
    };
    this.headers.push(header);
    return header;
  }

  /** Everything that follows from it, and what the engine says when it is asked. */
  take({ kind, all, at, ms, outcomes }: Step): unknown {
    const { rig } = this;
    const one = this.headers[at % Math.max(1, this.headers.length)];
    const give = (input: EngineInput): EngineEffect[] => {
      const effects = rig.input(input);
      const stored = effects.flatMap((effect) => (effect.kind === 'settle' ? effect.settlements : []));
      const seqs = stored.flatMap((settlement) => {
        if (settlement.kind === 'completed') return [settlement.record.seq];
        if (settlement.kind === 'failed') return [settlement.deadLetter.header.seq];
        return settlement.kind === 'cancelled' ? [settlement.header.seq] : [];
      });
      return at % 3 === 0 || seqs.length === 0
        ? effects
        : [...effects, ...rig.input({ kind: 'settlementsStored', seqs })];
    };
    switch (kind) {
      case 'add':
        return give({ kind: 'added', headers: all.map((each) => this.draw(each)) });
      case 'find':
        return give({ kind: 'found', headers: all.map((each) => this.draw(each)), deadLetters: [] });
      case 'findAgain':
        return give({ kind: 'found', headers: this.headers.slice(at % 20, (at % 20) + 10), deadLetters: [] });
      case 'answer': {
        const sent = rig.batches.at(-1)?.items ?? [];
        const answers = sent.map(({ header }, index) =>
          (OUTCOMES[outcomes[index % outcomes.length] ?? 0] ?? applied)(header),
        );
        const batchId = rig.batches.at(-1)?.batchId ?? 0;
        return give({ kind: 'answer', batchId, answer: { kind: 'answered', outcomes: answers } });
      }
      case 'lineFails': {
        const answer = LINE_FAILURES[at % LINE_FAILURES.length] ?? { kind: 'unknown', error: ERROR };
        return give({ kind: 'answer', batchId: rig.batches.at(-1)?.batchId ?? 0, answer });
      }
      case 'pass':
        rig.pass(ms);
        return give({ kind: 'tick' });
      case 'wake':
        rig.pass(Math.max(0, (rig.wakeAtMs ?? 0) - rig.nowMs));
        return [...give({ kind: 'tick' }), ...give({ kind: 'probed', result: { kind: 'reached', latencyMs: 1 } })];
      case 'lead':
        return give({ kind: 'leadership', isLeader: true, earlierSeq: at });
      case 'follow':
        return give({ kind: 'leadership', isLeader: false });
      case 'read':
        return give({ kind: 'reading', upToSeq: at % 2 === 0 ? null : at });
      case 'cancel':
        return one === undefined ? [] : give({ kind: 'cancel', ids: [one.id], act: ACT });
      case 'discard':
        return one === undefined ? [] : give({ kind: 'discarded', ids: [one.id] });
      case 'elsewhere': {
        if (one === undefined) return [];
        const deadLetter = { header: one, error: ERROR, failedAtMs: 0, holdsLane: false };
        return at % 2 === 0
          ? give({ kind: 'settledElsewhere', settlements: [{ kind: 'failed', deadLetter }] })
          : give({ kind: 'sendingElsewhere', seqs: [one.seq], waitingFor: null });
      }
      case 'amend': {
        if (one === undefined) return [];
        const kept = give({ kind: 'keepBack', ids: [one.id], amendId: 'amend' });
        const header = { ...one, revision: one.revision + 1, payloadBytes: 7 };
        this.headers[this.headers.indexOf(one)] = header;
        return [...kept, ...give({ kind: 'amended', headers: [header] }), ...give({ kind: 'letGo', amendId: 'amend' })];
      }
      case 'hurry':
        return give({ kind: 'hurry', ids: one === undefined ? [] : [one.id] });
      case 'evict':
        return give({ kind: 'evict', count: 2, bytes: 0 });
      case 'gate':
        return give({ kind: at % 2 === 0 ? 'paused' : 'resumed' });
      case 'ask':
        return one === undefined ? [] : this.ask(one);
    }
  }

  private ask({ id, seq, lane }: MutationHeader): unknown {
    const { engine, nowMs } = this.rig;
    const { mutations } = engine;
    const entry = mutations.get(id);
    return {
      entry: entry?.header,
      phase: entry?.phase,
      mayHaveBeenSent: entry?.mayHaveBeenSent,
      phaseOf: mutations.phaseOf(id),
      at: mutations.at(seq)?.id,
      waiting: entry === undefined ? null : engine.waitingFor(entry, nowMs),
      newest: mutations.schedule.newestOf(lane)?.id,
      size: mutations.schedule.lanes.sizeOf(lane),
      dependants: entry === undefined ? [] : mutations.dependants(entry).map((each) => each.id),
      waitingCount: entry === undefined ? 0 : mutations.countWaitingFor(entry),
    };
  }

  get packedCount(): number {
    return packedCountOf(this.rig);
  }

  /** What can be asked at any time. */
  get facts(): unknown {
    const { engine, nowMs } = this.rig;
    const { mutations } = engine;
    return {
      counts: { ...mutations.counts },
      floor: mutations.acknowledgedFloor,
      oldest: mutations.oldestPending?.seq,
      isBusy: engine.isBusy(nowMs),
      next: engine.nextAttemptAtMs(nowMs),
      all: [...mutations.all()].map(({ id, seq, phase }) => `${seq} ${id} ${phase.kind}`).toSorted(),
      has: this.headers.map(({ id }) => mutations.has(id)),
      knows: this.headers.map(({ id }) => mutations.knows(id)),
      unknownParents: mutations.unknownParentIds,
    };
  }
}

test('S3 · an engine that packs what waits does exactly what one does that packs nothing', () => {
  let packedCount = 0;
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 1, maxLength: 40 }),
      fc.constantFrom(0, 1, 3, 8),
      (steps, packOverCount) => {
        const [packing, plain] = [new Told(packOverCount), new Told(null)];
        for (const each of steps) {
          expect(packing.take(each)).toEqual(plain.take(each));
          packedCount += packing.packedCount;
          // Not always, since looking may take out what is packed.
          if (each.at % 4 === 0) expect(packing.facts).toEqual(plain.facts);
        }
        expect(packing.facts).toEqual(plain.facts);
      },
    ),
    { numRuns: 300 },
  );
  expect(packedCount).toBeGreaterThan(1_000);
});

test('S3 · what is packed goes in its turn, and is an entry from when it is on its way', () => {
  const rig = new EngineRig({ jitter: 'none' }, () => null, false, 100);
  const lanes = Array.from({ length: 250 }, (_, index) => ({
    id: uuidOf(index),
    lane: `notes:${uuidOf(index)}`,
    type: 'note.keep',
  }));
  rig.addAll(lanes);
  expect(packedCountOf(rig)).toBe(150);

  rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 250 });
  const sent: number[] = [];
  while (rig.engine.mutations.counts.pending > 0) {
    sent.push(...seqsOf(rig.lastBatch));
    rig.answerAll(applied);
  }
  expect(sent).toEqual(lanes.map((_, index) => index + 1));
  expect(packedCountOf(rig)).toBe(0);
});

test('S3 · what is packed waits until all before it is read', () => {
  const rig = new EngineRig({ jitter: 'none' }, () => null, false, 1);
  rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 9 });
  rig.input({ kind: 'reading', upToSeq: 0 });
  const headers = Array.from({ length: 4 }, (_, index) =>
    rig.header({ id: uuidOf(index), lane: `notes:${uuidOf(index)}`, type: 'note.keep' }),
  );
  rig.input({ kind: 'found', headers, deadLetters: [] });
  expect([packedCountOf(rig), rig.batches.length]).toEqual([3, 0]);

  rig.input({ kind: 'reading', upToSeq: 2 });
  expect(seqsOf(rig.lastBatch)).toEqual([1, 2]);
  rig.answerAll(applied);
  // The oldest is asked for.
  expect([packedCountOf(rig), rig.batches.length]).toEqual([1, 1]);

  rig.input({ kind: 'reading', upToSeq: null });
  expect(seqsOf(rig.lastBatch)).toEqual([3, 4]);
});
