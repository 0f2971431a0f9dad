import { describe, expect, test } from 'vitest';
import type { DeadLetterPolicy } from '../mutation/definition.ts';
import type { MutationHeader } from '../mutation/record.ts';
import { applied, EngineRig, ERROR, refused, rejected, seqsOf } from './testing-engine/engine-rig.ts';

const PARENT_FAILED = { kind: 'failed', error: { code: 'PARENT_FAILED' } };

function heldRig(policy: DeadLetterPolicy = 'hold'): EngineRig {
  const rig = EngineRig.leading();
  rig.onDeadLetter = policy;
  return rig;
}

/** As the store makes it of a dead letter in a lane that is held for it. */
function retriedInPlace(header: MutationHeader, seq: number): MutationHeader {
  return { ...header, seq, place: header.place ?? header.seq, generation: header.generation + 1, attempts: [] };
}

/** Three in a lane, of which the first is a dead letter. */
function heldLane(policy?: DeadLetterPolicy): {
  readonly rig: EngineRig;
  readonly lane: readonly [MutationHeader, MutationHeader, MutationHeader];
} {
  const rig = heldRig(policy);
  const [first, second, third] = rig.addAll([{ lane: 'a' }, { lane: 'a' }, { lane: 'a' }]);
  rig.answerAll(rejected);
  return { rig, lane: [first, second, third] as [MutationHeader, MutationHeader, MutationHeader] };
}

const released = (header: MutationHeader) => ({ header, error: ERROR, failedAtMs: 0, holdsLane: false });

describe('a lane that a dead letter holds', () => {
  test.each(['hold', 'ask'] as const)(
    'Q7 · told to %s, nothing behind it goes, and says that it waits for its lane',
    (policy) => {
      const { rig, lane } = heldLane(policy);
      const elsewhere = rig.add({ lane: 'b' });

      expect(rig.batches).toHaveLength(2);
      expect(seqsOf(rig.lastBatch)).toEqual([elsewhere.seq]);
      expect(rig.waiting(lane[1])).toMatchObject({ waitingFor: 'lane', error: ERROR });
      expect(rig.waiting(lane[2])).toMatchObject({ waitingFor: 'lane', error: ERROR });
      expect(rig.engine.mutations.schedule.blockerOf(rig.entry(lane[2]))).toBe(rig.entry(lane[0]));
      expect(rig.engine.isBusy(rig.nowMs)).toBe(true);
      rig.answerAll(applied);
      expect(rig.engine.isBusy(rig.nowMs)).toBe(false);
    },
  );

  test('Q7 · one whose attempts are spent holds its lane like one that was rejected', () => {
    const rig = heldRig();
    const [first, second] = rig.addAll([{ lane: 'a', maxRetries: 0 }, { lane: 'a' }]);

    rig.answerAll(refused);

    expect(first && rig.entry(first).phase).toMatchObject({ kind: 'failed', holdsLane: true });
    expect(second && rig.waiting(second).waitingFor).toBe('lane');
    expect(rig.batches).toHaveLength(1);
  });

  test('Q7, R6 · retried, it goes before those behind it, and they follow it', () => {
    const { rig, lane } = heldLane();
    const [first, second, third] = lane;

    const again = retriedInPlace(first, 4);
    rig.input({ kind: 'added', headers: [again] });
    expect(seqsOf(rig.lastBatch)).toEqual([4]);
    expect(rig.waiting(second).waitingFor).toBe('lane');

    rig.answerAll(applied);
    expect(rig.lastBatch.items).toEqual([{ header: second, after: null }]);
    rig.answerAll(applied);
    expect(rig.lastBatch.items).toEqual([{ header: third, after: second.seq }]);
  });

  test('Q7, P12 · nothing names one that was retried: the server may know it under its earlier number only', () => {
    const rig = heldRig();
    const expiresAtMs = rig.moment().wallMs + 60_000;
    const [first, late] = rig.addAll([{ lane: 'a' }, { lane: 'a', expiresAtMs }]) as [MutationHeader, MutationHeader];
    rig.answerAll(rejected);
    rig.wake();

    const both = [retriedInPlace(first, 3), { ...retriedInPlace(late, 4), expiresAtMs: null }];
    rig.input({ kind: 'added', headers: both });
    rig.answerAll(applied);

    expect(rig.lastBatch.items).toMatchObject([{ header: { seq: 4 }, after: null }]);
  });

  test('Q7, R6 · retried and refused for good once more, it holds its lane once more', () => {
    const { rig, lane } = heldLane();

    rig.input({ kind: 'added', headers: [retriedInPlace(lane[0], 4)] });
    rig.answerAll(rejected);

    expect(rig.batches).toHaveLength(2);
    expect(rig.waiting(lane[1]).waitingFor).toBe('lane');
  });

  test('Q7 · discarded, those behind it go on', () => {
    const { rig, lane } = heldLane();

    rig.input({ kind: 'discarded', ids: [lane[0].id] });

    expect(seqsOf(rig.lastBatch)).toEqual([lane[1].seq]);
  });

  test('Q7 · released, it stays a dead letter, and those behind it go on', () => {
    const { rig, lane } = heldLane();

    rig.input({ kind: 'found', headers: [], deadLetters: [released(lane[0])] });

    expect(rig.entry(lane[0]).phase).toMatchObject({ kind: 'failed', holdsLane: false });
    expect(seqsOf(rig.lastBatch)).toEqual([lane[1].seq]);
  });

  test('Q7 · one that died in the middle of its lane lets those before it go, and holds those behind it', () => {
    const rig = heldRig('continue');
    const parent = rig.add({ lane: 'elsewhere' });
    const [before, orphan, behind] = rig.addAll([
      { lane: 'a' },
      { lane: 'a', dependsOn: [parent.id] },
      { lane: 'a' },
    ]) as [MutationHeader, MutationHeader, MutationHeader];
    // another tab has given it up
    rig.onDeadLetter = 'hold';
    const deadLetter = { header: orphan, error: ERROR, failedAtMs: 0, holdsLane: true };
    rig.input({ kind: 'settledElsewhere', settlements: [{ kind: 'failed', deadLetter }] });

    rig.answerAll(applied);
    expect(seqsOf(rig.lastBatch)).toEqual([before.seq]);
    rig.answerAll(applied);

    expect(rig.batches).toHaveLength(2);
    expect(rig.waiting(behind).waitingFor).toBe('lane');
  });

  test('Q7 · two dead letters hold it one after the other', () => {
    const rig = heldRig();
    const [first, second, third] = rig.addAll([{ lane: 'a' }, { lane: 'a' }, { lane: 'a' }]) as [
      MutationHeader,
      MutationHeader,
      MutationHeader,
    ];
    rig.answerAll(rejected);
    rig.input({ kind: 'discarded', ids: [first.id] });
    rig.answerAll(rejected);
    expect(rig.waiting(third).waitingFor).toBe('lane');

    rig.input({ kind: 'discarded', ids: [second.id] });

    expect(seqsOf(rig.lastBatch)).toEqual([third.seq]);
  });

  test('Q7 · after a restart it is held by what is stored, whoever delivers', () => {
    const rig = new EngineRig();
    rig.onDeadLetter = 'hold';
    const [dead, behind] = [rig.header({ lane: 'a' }), rig.header({ lane: 'a' })];
    const deadLetter = { header: dead, error: ERROR, failedAtMs: 0, holdsLane: true };
    rig.input({ kind: 'found', headers: [behind], deadLetters: [] });
    rig.input({ kind: 'found', headers: [], deadLetters: [deadLetter] });

    rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 1_000 });

    expect(rig.batches).toEqual([]);
    expect(rig.waiting(behind).waitingFor).toBe('lane');
  });

  test('Q7 · one that died when its type did not hold, or whose type holds no longer, holds nothing', () => {
    const { rig, lane } = heldLane('continue');
    expect(seqsOf(rig.lastBatch)).toEqual([lane[1].seq]);
    rig.onDeadLetter = 'hold';
    rig.answerAll(applied);
    expect(seqsOf(rig.lastBatch)).toEqual([lane[2].seq]);

    const other = new EngineRig();
    const [dead, behind] = [other.header({ lane: 'a' }), other.header({ lane: 'a' })];
    other.input({ kind: 'found', headers: [behind], deadLetters: [{ ...released(dead), holdsLane: true }] });
    other.input({ kind: 'leadership', isLeader: true, earlierSeq: 1_000 });
    expect(seqsOf(other.lastBatch)).toEqual([behind.seq]);
  });

  test('P12 · the floor stays below what waits behind it', () => {
    const { rig, lane } = heldLane();
    expect(rig.engine.mutations.acknowledgedFloor).toBe(lane[0].seq);
  });
});

describe('what stands on a dead letter that holds its lane', () => {
  const row = { table: 'accounts', id: '1' };

  test('Q7, Q8 · waits, and lives when it is retried with success', () => {
    const rig = heldRig();
    const create = rig.add({ lane: 'a', operation: 'create', entity: row });
    const edit = rig.add({ lane: 'a', entity: row });
    const child = rig.add({ lane: 'b', dependsOn: [create.id] });
    rig.answerAll(rejected);
    expect(rig.settlements.map(({ kind }) => kind)).toEqual(['failed']);
    expect(rig.waiting(child).waitingFor).toBe('dependency');

    rig.input({ kind: 'added', headers: [retriedInPlace(create, 4)] });
    rig.answerAll(applied);

    expect(seqsOf(rig.lastBatch)).toEqual([edit.seq, child.seq]);
  });

  test.each([
    { what: 'discarded', input: (create: MutationHeader) => ({ kind: 'discarded', ids: [create.id] }) as const },
    {
      what: 'released',
      input: (create: MutationHeader) => ({ kind: 'found', headers: [], deadLetters: [released(create)] }) as const,
    },
  ])('Q7, Q8 · dies when it is $what', ({ input }) => {
    const rig = heldRig();
    const create = rig.add({ lane: 'a', operation: 'create', entity: row });
    const edit = rig.add({ lane: 'a', entity: row });
    const other = rig.add({ lane: 'a', entity: { ...row, id: '2' } });
    const child = rig.add({ lane: 'b', dependsOn: [create.id] });
    rig.answerAll(rejected);

    rig.input(input(create));

    expect(rig.entry(edit).phase).toMatchObject(PARENT_FAILED);
    expect(rig.entry(child).phase).toMatchObject(PARENT_FAILED);
    // that was decided with it: nobody is asked again, and the lane goes on
    expect(seqsOf(rig.lastBatch)).toEqual([other.seq]);
  });

  test('Q7, Q21 · stands on what the dead letter was edited into', () => {
    const rig = heldRig();
    const create = rig.add({ lane: 'a', operation: 'create', entity: row });
    const edit = rig.add({ lane: 'a', entity: row });
    rig.answerAll(rejected);

    const edited = { ...create, seq: 3, id: 'edited', place: create.seq, replaces: create.id };
    rig.input({ kind: 'added', headers: [edited] });
    rig.input({ kind: 'discarded', ids: [create.id] });
    expect(seqsOf(rig.lastBatch)).toEqual([3]);
    rig.answerAll(applied);

    expect(seqsOf(rig.lastBatch)).toEqual([edit.seq]);
  });

  test.each(['hold', 'continue'] as const)(
    'Q7, Q8 · told to %s, it is known again after a restart, although pending ones are read first',
    (policy) => {
      const rig = new EngineRig();
      rig.onDeadLetter = policy;
      const [parent, child] = [rig.header({ lane: 'a' }), rig.header({ lane: 'b', dependsOn: ['m1'] })];
      rig.input({ kind: 'found', headers: [child], deadLetters: [] });
      rig.input({ kind: 'found', headers: [], deadLetters: [{ ...released(parent), holdsLane: policy === 'hold' }] });

      rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 2 });

      expect(rig.batches).toEqual([]);
      if (policy === 'hold') expect(rig.waiting(child).waitingFor).toBe('dependency');
      else expect(rig.entry(child).phase).toMatchObject(PARENT_FAILED);
    },
  );

  test('Q7, Q8 · dies in the tab that takes over, when it was discarded while nobody delivered', () => {
    const rig = new EngineRig();
    rig.onDeadLetter = 'hold';
    const create = rig.header({ lane: 'a', operation: 'create', entity: row });
    const edit = rig.header({ lane: 'a', entity: row });
    rig.input({ kind: 'found', headers: [edit], deadLetters: [{ ...released(create), holdsLane: true }] });
    rig.input({ kind: 'discarded', ids: [create.id] });
    expect(rig.entry(edit).phase.kind).toBe('waiting');

    rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 1_000 });

    expect(rig.entry(edit).phase).toMatchObject(PARENT_FAILED);
  });

  test('Q8 · a later creation of the row stands on no dead letter that holds nothing', () => {
    const rig = heldRig('continue');
    const dead = rig.add({ lane: 'a', operation: 'create', entity: row });
    rig.answerAll(rejected);
    const create = rig.add({ lane: 'a', operation: 'create', entity: row });
    const edit = rig.add({ lane: 'a', entity: row });

    rig.input({ kind: 'discarded', ids: [dead.id] });
    rig.answerAll(applied);

    expect(rig.settlements.map(({ kind }) => kind)).toEqual(['failed', 'completed']);
    expect(seqsOf(rig.lastBatch)).toEqual([edit.seq]);
    expect(create.seq).toBe(2);
  });
});

describe('several dead letters in one lane', () => {
  test('Q7 · one that expires behind another holds the lane from its own place on, when the first is let go', () => {
    const rig = heldRig();
    const [first, behind, expiring, last] = rig.addAll([
      { lane: 'a' },
      { lane: 'a' },
      { lane: 'a', expiresAtMs: rig.moment().wallMs + 60_000 },
      { lane: 'a' },
    ]) as [MutationHeader, MutationHeader, MutationHeader, MutationHeader];
    rig.answerAll(rejected);
    rig.wake();
    expect(rig.entry(expiring).phase).toMatchObject({ kind: 'failed', holdsLane: true });
    expect([...rig.engine.mutations.schedule.heldBy()]).toEqual([['a', rig.entry(first)]]);

    rig.input({ kind: 'discarded', ids: [first.id] });
    rig.answerAll(applied);

    expect(seqsOf(rig.lastBatch)).toEqual([behind.seq]);
    expect(rig.waiting(last)).toMatchObject({ waitingFor: 'lane', error: { code: 'EXPIRED' } });
    expect([...rig.engine.mutations.schedule.heldBy()]).toEqual([['a', rig.entry(expiring)]]);
  });

  test('Q7 · one that dies before another that holds the lane already is the first to be decided on', () => {
    const rig = heldRig();
    const [first, expiring, last] = rig.addAll([
      { lane: 'a', delayMs: 120_000 },
      { lane: 'a', expiresAtMs: rig.moment().wallMs + 60_000 },
      { lane: 'a' },
    ]) as [MutationHeader, MutationHeader, MutationHeader];
    rig.wake();
    rig.wake();
    rig.answerAll(rejected);

    expect(rig.engine.mutations.schedule.blockerOf(rig.entry(last))).toBe(rig.entry(first));
    rig.input({ kind: 'discarded', ids: [first.id] });
    expect(rig.engine.mutations.schedule.blockerOf(rig.entry(last))).toBe(rig.entry(expiring));
  });

  test('S12 · with two given up at once the lane waits until both are stored', () => {
    const rig = EngineRig.leading();
    rig.isStorageSlow = true;
    rig.input({ kind: 'paused' });
    const expiresAtMs = rig.moment().wallMs + 60_000;
    const [first, second, last] = rig.addAll([{ lane: 'a', expiresAtMs }, { lane: 'a', expiresAtMs }, { lane: 'a' }]);
    rig.wake();
    rig.input({ kind: 'resumed' });

    rig.input({ kind: 'settlementsStored', seqs: [first?.seq ?? 0] });
    expect(rig.batches).toEqual([]);

    rig.input({ kind: 'settlementsStored', seqs: [second?.seq ?? 0] });
    expect(seqsOf(rig.lastBatch)).toEqual([last?.seq]);
  });
});

test('Q7 · a creation that names no row takes nothing with it: those behind it in its lane go on', () => {
  const rig = EngineRig.leading();
  const [, behind] = rig.addAll([
    { lane: 'a', operation: 'create' },
    { lane: 'a', entity: { table: 'notes', id: '1' } },
  ]);

  rig.answerAll(rejected);

  expect(seqsOf(rig.lastBatch)).toEqual([behind?.seq]);
});

test('Q9 · the newest of a lane is what a duplicate is compared with, unless a dead letter holds the lane behind it', () => {
  const rig = heldRig();
  const { schedule } = rig.engine.mutations;
  expect(schedule.newestOf('a')).toBeUndefined();
  rig.addAll([{ lane: 'a' }, { lane: 'a' }]);
  expect(schedule.lanes.sizeOf('a')).toBe(2);
  expect(schedule.newestOf('a')?.header.seq).toBe(2);
  rig.input({ kind: 'givenUp', seqs: [2], error: ERROR });
  expect(schedule.newestOf('a')).toBeUndefined();
  rig.add({ lane: 'a' });
  expect(schedule.newestOf('a')?.header.seq).toBe(3);
});

test('Q19 · settlements that the store has refused are the next one’s to settle', () => {
  const rig = EngineRig.leading();
  rig.isStorageSlow = true;
  const { seq } = rig.add({ lane: 'a' });
  rig.answerAll(applied);
  expect(rig.engine.mutations.isSettling(seq)).toBe(true);

  rig.input({ kind: 'settlementsLost', seqs: [seq] });

  expect(rig.engine.mutations.isSettling(seq)).toBe(false);
});

test('Q19 · a dead letter that was disposed of before it was stored does not come back when the lead is lost', () => {
  const rig = EngineRig.leading();
  rig.isStorageSlow = true;
  const { id } = rig.add({ lane: 'a' });
  rig.answerAll(rejected);
  rig.input({ kind: 'discarded', ids: [id] });

  rig.input({ kind: 'leadership', isLeader: false });

  expect(rig.engine.mutations.get(id)).toBeUndefined();
});
