import { expect, test } from 'vitest';
import { applied, EngineRig, refused, rejected, seqsOf } from './testing-engine/engine-rig.ts';

test('R8 · an atomic one waits for what is before it in each of its lanes, and holds up what is behind it in each', () => {
  const rig = EngineRig.leading();
  const [a, b] = rig.addAll([{ lane: 'a' }, { lane: 'b' }]);
  const [both, behindA, behindB, elsewhere] = rig.addAll([
    { lane: 'a', alsoLanes: ['b'] },
    { lane: 'a' },
    { lane: 'b' },
    { lane: 'c' },
  ]);
  expect(seqsOf(rig.lastBatch)).toEqual([a?.seq, b?.seq]);

  // when: only one of its lanes has come to it
  rig.answer(rig.lastBatch.items.map(({ header }) => (header.seq === a?.seq ? applied(header) : refused(header))));
  expect(seqsOf(rig.lastBatch)).toEqual([elsewhere?.seq]);
  expect(both && rig.waiting(both).waitingFor).toBe('lane');

  // then: it goes when the other has, alone of its lanes
  rig.answerAll(applied);
  rig.wake();
  expect(seqsOf(rig.lastBatch)).toEqual([b?.seq]);
  rig.answerAll(applied);
  expect(seqsOf(rig.lastBatch)).toEqual([both?.seq]);
  expect(rig.lastBatch.items[0]?.after).toBe(b?.seq);
  for (const behind of [behindA, behindB]) expect(behind && rig.waiting(behind).waitingFor).toBe('lane');

  rig.answerAll(applied);
  expect(seqsOf(rig.lastBatch)).toEqual([behindA?.seq, behindB?.seq]);
  expect(rig.lastBatch.items.map(({ after }) => after)).toEqual([both?.seq, both?.seq]);
});

test('R8 · two that share lanes crosswise go one after the other, and neither waits for ever', () => {
  const rig = EngineRig.leading();
  const [first, second] = rig.addAll([
    { lane: 'a', alsoLanes: ['b'] },
    { lane: 'b', alsoLanes: ['a'] },
  ]);

  expect(seqsOf(rig.lastBatch)).toEqual([first?.seq]);
  rig.answerAll(applied);
  expect(seqsOf(rig.lastBatch)).toEqual([second?.seq]);
  rig.answerAll(applied);
  expect(rig.engine.mutations.counts.pending).toBe(0);
});

test('R8 · one that dies frees all its lanes', () => {
  const rig = EngineRig.leading();
  const [both, behindA, behindB] = rig.addAll([{ lane: 'a', alsoLanes: ['b'] }, { lane: 'a' }, { lane: 'b' }]);
  expect(seqsOf(rig.lastBatch)).toEqual([both?.seq]);

  rig.answerAll(rejected);

  expect(seqsOf(rig.lastBatch)).toEqual([behindA?.seq, behindB?.seq]);
});

test('R8 · one that is given up by the device holds all its lanes until that is stored', () => {
  const rig = EngineRig.leading({ maxRetries: 0 });
  rig.isStorageSlow = true;
  const [both, behindB] = rig.addAll([{ lane: 'a', alsoLanes: ['b'] }, { lane: 'b' }]);

  rig.answerAll(refused);
  expect(seqsOf(rig.lastBatch)).toEqual([both?.seq]);
  rig.input({ kind: 'settlementsStored', seqs: [both?.seq ?? 0] });

  expect(seqsOf(rig.lastBatch)).toEqual([behindB?.seq]);
});
