import { describe, expect, test } from 'vitest';
import type { CompletedRecord, DeadLetter, MutationHeader } from '../mutation/record.ts';
import { ACT, applied, EngineRig, ERROR, refused, rejected, seqsOf } from './testing-engine/engine-rig.ts';

function completedRecord({ id, seq, type }: MutationHeader): CompletedRecord {
  return { id, seq, type, entity: null, createdAtMs: 1, confirmedAtMs: 2, attemptCount: 1 };
}

function deadLetterOf(header: MutationHeader): DeadLetter {
  return { header, error: ERROR, failedAtMs: 5, holdsLane: false };
}

describe('leadership', () => {
  test('Q19 · a tab that does not deliver stores and sends nothing', () => {
    const rig = new EngineRig();

    const header = rig.add();

    expect(rig.effects).toEqual([{ kind: 'changed', ids: [header.id] }]);
    expect(rig.engine.isBusy(rig.nowMs)).toBe(false);
  });

  test('Q19 · the tab that takes over sends what it knows, in order', () => {
    const rig = new EngineRig();
    rig.addAll([{ lane: 'a' }, { lane: 'a' }, { lane: 'b' }]);

    rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 0 });

    expect(seqsOf(rig.lastBatch)).toEqual([1, 3]);
    expect(rig.engine.isBusy(rig.nowMs)).toBe(true);
  });

  test('Q19 · a tab that loses the lead in mid-flight cuts off its batch, and counts it as possibly sent', () => {
    const rig = EngineRig.leading();
    const header = rig.add();

    rig.input({ kind: 'leadership', isLeader: false });

    expect(rig.effect('abort')).toEqual({ kind: 'abort', batchId: 1 });
    expect(rig.entry(header)).toMatchObject({ phase: { kind: 'waiting' }, mayHaveBeenSent: true });
    expect(rig.engine.mutations.counts).toMatchObject({ pending: 1, processing: 0 });
    expect(rig.wakeAtMs).toBeNull();
  });

  test('Q19 · told twice, the lead begins nothing twice', () => {
    const rig = EngineRig.leading();
    rig.add();

    rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 0 });

    expect(rig.effect('abort')).toBeUndefined();
    expect(rig.batches.length).toBe(1);
  });

  test('P12 · verdicts that were not stored when the lead was lost are found again, and each goes once and in order', () => {
    // given: 1 is settled but not stored, 2 waits behind it, and then the lead is lost
    const rig = EngineRig.leading();
    rig.isStorageSlow = true;
    const [first] = rig.addAll([{ lane: 'a' }, { lane: 'a' }]);
    if (first === undefined) throw new Error('Two were added.');
    rig.answerAll(applied);
    rig.input({ kind: 'leadership', isLeader: false });
    expect(rig.engine.mutations.get('m1')).toBeUndefined();

    // when: the store still has 1, and the lead comes back
    rig.input({ kind: 'found', headers: [first], deadLetters: [] });
    rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 0 });

    // then
    expect(seqsOf(rig.lastBatch)).toEqual([1]);
    expect(rig.lastBatch.acknowledgedFloor).toBe(0);
    rig.answerAll(applied);
    expect(seqsOf(rig.lastBatch)).toEqual([2]);
    rig.answerAll(applied);
    expect(rig.engine.mutations.counts.pending).toBe(0);
  });

  test('Q19 · a dead letter that was not stored when the lead was lost waits again, as it does in the store', () => {
    const rig = EngineRig.leading();
    rig.isStorageSlow = true;
    const [first] = rig.addAll([{ lane: 'a' }, { lane: 'a' }]);
    if (first === undefined) throw new Error('Two were added.');
    rig.answerAll(rejected);
    expect(rig.entry(first).phase.kind).toBe('failed');

    rig.input({ kind: 'leadership', isLeader: false });

    expect(rig.entry(first)).toMatchObject({ phase: { kind: 'waiting' }, mayHaveBeenSent: true });
    expect(rig.entry(first).header.attempts).toEqual([]);
    expect(rig.engine.mutations.counts).toMatchObject({ pending: 2, failed: 0 });
    rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 2 });
    expect(seqsOf(rig.lastBatch)).toEqual([1]);
  });

  test('Q15 · what the one before has given up unstored is decided anew by the one that delivers', () => {
    const rig = EngineRig.leading();
    rig.isStorageSlow = true;
    rig.input({ kind: 'paused' });
    const header = rig.add({ expiresAtMs: rig.moment().wallMs + 1_000 });
    rig.wake();
    expect(rig.entry(header).phase).toMatchObject({ kind: 'failed', error: { code: 'EXPIRED' } });

    rig.input({ kind: 'leadership', isLeader: false });
    rig.input({ kind: 'settledElsewhere', settlements: [{ kind: 'refused', header }] });

    expect(rig.entry(header).phase.kind).toBe('waiting');
    expect(rig.engine.mutations.deadLetters.size).toBe(0);
  });

  test('P12 · what is being stored is not taken for new when it is found in the store', () => {
    const rig = EngineRig.leading();
    rig.isStorageSlow = true;
    const header = rig.add();
    rig.answerAll(applied);

    rig.input({ kind: 'found', headers: [header], deadLetters: [] });

    expect(rig.engine.mutations.counts.pending).toBe(0);
    expect(rig.batches.length).toBe(1);
  });
});

describe('what another tab delivers', () => {
  test('Q19 · what it has on its way shows as on its way, and the next news replaces that', () => {
    const rig = new EngineRig();
    const [first, second] = rig.addAll([{ lane: 'a' }, { lane: 'b' }]);
    if (!first || !second) throw new Error('Two were added.');

    rig.input({ kind: 'sendingElsewhere', seqs: [first.seq, first.seq, 99], waitingFor: null });
    expect(rig.entry(first).phase).toEqual({ kind: 'sending', batchId: null });
    expect(rig.engine.mutations.counts.processing).toBe(1);

    rig.input({ kind: 'sendingElsewhere', seqs: [second.seq], waitingFor: null });
    expect(rig.entry(first).phase.kind).toBe('waiting');
    expect(rig.entry(second).phase.kind).toBe('sending');
    expect(rig.engine.mutations.counts.processing).toBe(1);
  });

  test('Q3 · what it waits for is what all wait for', () => {
    const rig = new EngineRig();
    const header = rig.add();

    rig.input({ kind: 'sendingElsewhere', seqs: [], waitingFor: 'auth' });
    expect(rig.waiting(header)).toEqual({ waitingFor: 'auth', error: null, untilMs: null });

    rig.input({ kind: 'sendingElsewhere', seqs: [], waitingFor: null });
    expect(rig.waiting(header).waitingFor).toBe('nothing');
  });

  test('Q19 · one that became the first of its lane while it was on its way elsewhere goes from the tab that takes over', () => {
    const rig = new EngineRig();
    const [first, second] = rig.addAll([{ lane: 'a' }, { lane: 'a' }]) as [MutationHeader, MutationHeader];
    rig.input({ kind: 'sendingElsewhere', seqs: [second.seq], waitingFor: null });
    rig.input({
      kind: 'settledElsewhere',
      settlements: [{ kind: 'completed', record: completedRecord(first), result: null, wasRepeat: false }],
    });
    rig.input({ kind: 'sendingElsewhere', seqs: [], waitingFor: 'network' });

    rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 2 });

    expect(seqsOf(rig.lastBatch)).toEqual([second.seq]);
  });

  test('Q19 · the one who delivers does not listen to another who says the same of itself', () => {
    const rig = EngineRig.leading();
    const header = rig.add();

    rig.input({ kind: 'sendingElsewhere', seqs: [], waitingFor: 'auth' });

    expect(rig.entry(header).phase).toEqual({ kind: 'sending', batchId: 1 });
    expect(rig.engine.closed(rig.nowMs)).toBeNull();
  });

  test('Q19 · taking over from a tab that died, what it had on its way goes again', () => {
    const rig = new EngineRig();
    const header = rig.add();
    rig.input({ kind: 'sendingElsewhere', seqs: [header.seq], waitingFor: 'network' });

    rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 0 });

    expect(seqsOf(rig.lastBatch)).toEqual([header.seq]);
    expect(rig.entry(header).mayHaveBeenSent).toBe(true);
  });

  test('Q19 · its verdicts are taken over: completed, failed, refused', () => {
    const rig = new EngineRig();
    const [first, second, third] = rig.addAll([{}, {}, {}]);
    if (!first || !second || !third) throw new Error('Three were added.');
    rig.input({ kind: 'sendingElsewhere', seqs: [1, 2, 3], waitingFor: null });
    const again = { ...third, attempts: [{ attemptNumber: 1, answeredAtMs: 1, error: ERROR }] };

    rig.input({
      kind: 'settledElsewhere',
      settlements: [
        { kind: 'completed', record: completedRecord(first), result: null, wasRepeat: false },
        { kind: 'failed', deadLetter: deadLetterOf(second) },
        { kind: 'refused', header: again },
      ],
    });

    expect(rig.engine.mutations.get(first.id)).toBeUndefined();
    expect(rig.entry(second).phase).toEqual({ kind: 'failed', error: ERROR, failedAtMs: 5, holdsLane: false });
    expect(rig.entry(third)).toMatchObject({ header: { attempts: [{ attemptNumber: 1 }] }, lastError: ERROR });
    expect(rig.engine.mutations.counts).toMatchObject({ pending: 1, processing: 1, failed: 1 });
    expect(rig.settlements).toEqual([]);
    // what is told of them next does not count them once more
    rig.input({ kind: 'sendingElsewhere', seqs: [], waitingFor: null });
    expect(rig.engine.mutations.counts).toMatchObject({ pending: 1, processing: 0, failed: 1 });
  });

  test('Q19 · verdicts on ones that this tab never saw change nothing but the dead letters', () => {
    const rig = new EngineRig();
    const [first, second, third] = [1, 2, 3].map((seq) => rig.header({ seq }));
    if (!first || !second || !third) throw new Error('Three were made.');

    rig.input({
      kind: 'settledElsewhere',
      settlements: [
        { kind: 'completed', record: completedRecord(first), result: null, wasRepeat: false },
        { kind: 'refused', header: second },
        { kind: 'failed', deadLetter: deadLetterOf(third) },
      ],
    });

    expect([...rig.engine.mutations.all()].map(({ header }) => header.id)).toEqual([third.id]);
    expect(rig.engine.mutations.counts).toEqual({ pending: 0, processing: 0, failed: 1, pendingBytes: 0 });
  });

  test('Q19 · a refusal that says nothing leaves no error behind', () => {
    const rig = new EngineRig();
    const header = rig.add();

    rig.input({ kind: 'settledElsewhere', settlements: [{ kind: 'refused', header }] });

    expect(rig.entry(header).lastError).toBeNull();
  });

  test('Q19 · a verdict on one that this tab has settled itself is no news', () => {
    const rig = EngineRig.leading();
    rig.isStorageSlow = true;
    const header = rig.add();
    rig.answerAll(applied);

    rig.input({ kind: 'settledElsewhere', settlements: [{ kind: 'failed', deadLetter: deadLetterOf(header) }] });

    expect(rig.engine.mutations.get(header.id)).toBeUndefined();
  });
});

describe('what is found in storage', () => {
  test('Q21 · counts as possibly sent, and goes in order behind nothing', () => {
    const rig = new EngineRig();

    rig.input({ kind: 'found', headers: [rig.header({ lane: 'a' }), rig.header({ lane: 'a' })], deadLetters: [] });
    rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 2 });

    expect(seqsOf(rig.lastBatch)).toEqual([1]);
    expect(rig.engine.mutations.at(2)?.mayHaveBeenSent).toBe(true);
  });

  test('R6 · earlier attempts count on after a restart', () => {
    const rig = EngineRig.leading({ maxRetries: 1 });
    const attempts = [{ attemptNumber: 1, answeredAtMs: 1, error: ERROR }];
    const header = rig.header({ attempts });
    rig.input({ kind: 'found', headers: [header], deadLetters: [] });
    expect(rig.entry(header).lastError).toEqual(ERROR);

    rig.answerAll(refused);

    expect(rig.settlements).toMatchObject([
      { kind: 'failed', deadLetter: { header: { attempts: [{}, { attemptNumber: 2 }] } } },
    ]);
  });

  test('R6 · dead letters stay dead, and hold back neither their lane nor the floor', () => {
    const rig = EngineRig.leading();
    const dead = rig.header({ lane: 'a' });
    const next = rig.header({ lane: 'a' });

    rig.input({ kind: 'found', headers: [next], deadLetters: [deadLetterOf(dead)] });

    expect(seqsOf(rig.lastBatch)).toEqual([next.seq]);
    rig.answerAll(applied);
    expect(rig.engine.mutations.acknowledgedFloor).toBe(2);
    expect(rig.engine.mutations.counts).toMatchObject({ pending: 0, failed: 1 });
  });

  test('R6 · one behind another that turns out to have been disposed of leaves the order as it is', () => {
    const rig = EngineRig.leading();
    rig.addAll([{ lane: 'a' }, { lane: 'a' }, { lane: 'a' }]);

    rig.input({ kind: 'discarded', ids: ['m2'] });
    rig.answerAll(applied);

    expect(seqsOf(rig.lastBatch)).toEqual([3]);
  });

  test('Q19 · found twice is found once', () => {
    const rig = new EngineRig();
    const header = rig.add();

    rig.input({ kind: 'found', headers: [header], deadLetters: [] });
    rig.input({ kind: 'found', headers: [], deadLetters: [deadLetterOf(header)] });
    rig.input({ kind: 'found', headers: [header], deadLetters: [deadLetterOf(header)] });

    expect(rig.engine.mutations.counts).toEqual({ pending: 0, processing: 0, failed: 1, pendingBytes: 0 });
  });
});

describe('dead letters', () => {
  test('R6 · one that is tried again has a new number and takes the place of the old', () => {
    const rig = EngineRig.leading();
    const header = rig.add();
    rig.answerAll(rejected);

    const again = { ...rig.header({ id: header.id }), generation: 1 };
    rig.input({ kind: 'added', headers: [again] });

    expect(rig.engine.mutations.counts).toMatchObject({ pending: 1, failed: 0 });
    expect(rig.lastBatch.items).toMatchObject([{ header: { id: header.id, seq: 2, generation: 1 } }]);
    // an old tale of the dead letter does not bury it again
    rig.input({ kind: 'found', headers: [], deadLetters: [deadLetterOf(header)] });
    expect(rig.engine.mutations.counts).toMatchObject({ pending: 1, failed: 0 });
  });

  test('R6 · one that this tab still takes for pending is replaced all the same', () => {
    const rig = new EngineRig();
    const header = rig.add();

    rig.input({ kind: 'found', headers: [rig.header({ id: header.id })], deadLetters: [] });

    expect(rig.engine.mutations.counts).toMatchObject({ pending: 1, failed: 0, pendingBytes: 100 });
    expect(rig.engine.mutations.get(header.id)?.header.seq).toBe(2);
    rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 0 });
    expect(seqsOf(rig.lastBatch)).toEqual([2]);
  });

  test('R6 · one that is disposed of is gone, also when this tab had not seen it die', () => {
    const rig = EngineRig.leading();
    const dead = rig.add({ lane: 'a' });
    rig.answerAll(rejected);
    rig.input({ kind: 'leadership', isLeader: false });
    const [missed, next] = rig.addAll([{ lane: 'a' }, { lane: 'a' }]);
    if (!missed || !next) throw new Error('Two were added.');

    rig.input({ kind: 'discarded', ids: [dead.id, missed.id, 'unknown'] });

    expect(rig.effect('changed')?.ids).toEqual([dead.id, missed.id]);
    expect([...rig.engine.mutations.all()].map(({ header }) => header.id)).toEqual([next.id]);
    expect(rig.engine.mutations.counts).toMatchObject({ pending: 1, failed: 0 });
    expect(rig.waiting(next).waitingFor).toBe('nothing');
  });

  test('R6 · a tab that takes over sends what was on its way in the other one while its parent was confirmed', () => {
    const rig = new EngineRig();
    const parent = rig.add({ lane: 'a' });
    const child = rig.add({ lane: 'b', dependsOn: [parent.id] });
    rig.input({ kind: 'sendingElsewhere', seqs: [child.seq], waitingFor: null });
    const settlements = [
      { kind: 'completed', record: completedRecord(parent), result: null, wasRepeat: false },
    ] as const;
    rig.input({ kind: 'settledElsewhere', settlements });
    rig.input({ kind: 'sendingElsewhere', seqs: [], waitingFor: null });

    rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 2 });

    expect(seqsOf(rig.lastBatch)).toEqual([child.seq]);
  });
});

test('Q19 · what came to the head of its lane while another tab had it on its way is sent by the one that takes over', () => {
  const rig = new EngineRig();
  const [first, second] = rig.addAll([{ lane: 'a' }, { lane: 'a' }]);
  if (first === undefined || second === undefined) throw new Error('Not added.');
  rig.input({ kind: 'sendingElsewhere', seqs: [second.seq], waitingFor: null });
  rig.input({
    kind: 'settledElsewhere',
    settlements: [{ kind: 'completed', record: completedRecord(first), result: null, wasRepeat: false }],
  });
  rig.input({ kind: 'sendingElsewhere', seqs: [], waitingFor: null });

  rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 2 });

  expect(seqsOf(rig.lastBatch)).toEqual([second.seq]);
});

describe('news that come before what they are about, or too late', () => {
  test('Q21 · a tab that does not deliver takes over a rewritten one, and stores nothing', () => {
    const rig = new EngineRig();
    const header = rig.add({ payloadBytes: 100 });
    const stranger = rig.header();

    rig.input({
      kind: 'amended',
      headers: [
        { ...stranger, revision: 1 },
        { ...header, revision: 1, payloadBytes: 250 },
      ],
    });

    expect(rig.entry(header).header.revision).toBe(1);
    expect(rig.engine.mutations.get(stranger.id), 'it is found in the store').toBeUndefined();
    expect(rig.engine.mutations.counts).toMatchObject({ pending: 1, pendingBytes: 250 });
    expect(rig.settlements).toEqual([]);
  });

  test('S10 · what does not read in a tab that does not deliver may have been settled: it gives nothing up', () => {
    const rig = new EngineRig();
    const header = rig.add();

    rig.input({ kind: 'givenUp', seqs: [header.seq], error: ERROR });

    expect(rig.entry(header).phase.kind).toBe('waiting');
    expect(rig.settlements).toEqual([]);
  });

  test('Q14 · one that another tab has taken back is gone here, and its lane goes on', () => {
    const rig = new EngineRig();
    const [undone, next] = rig.addAll([{ lane: 'a' }, { lane: 'a' }]) as [MutationHeader, MutationHeader];
    const settlement = { kind: 'cancelled', header: undone, cancelledAtMs: 1, reason: 'takenBack', act: ACT } as const;

    rig.input({ kind: 'settledElsewhere', settlements: [settlement] });

    expect(rig.engine.mutations.get(undone.id)).toBeUndefined();
    rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 2 });
    expect(seqsOf(rig.lastBatch)).toEqual([next.seq]);
  });
});
