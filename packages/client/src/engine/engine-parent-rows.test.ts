import { expect, test } from 'vitest';
import type { MutationHeader } from '../mutation/record.ts';
import { ATOMIC_TYPE, type WireError, type WireOutcome } from '../protocol/wire.ts';
import { applied, EngineRig, refused, rejected, seqsOf } from './testing-engine/engine-rig.ts';

const NO_ROW: WireError = { category: 'CONFLICT', code: '23503', message: 'There is no such account.' };
const noRow = ({ seq, id }: MutationHeader): WireOutcome => ({ seq, id, kind: 'refused', error: NO_ROW });

/** A creation, and one in another lane that refers to its row. */
function withParent(parentOptions: Parameters<EngineRig['header']>[0] = { operation: 'create' }) {
  const rig = EngineRig.leading({ jitter: 'none', maxRetries: 5 });
  const [parent, child] = rig.addAll([parentOptions, { operation: 'create' }]) as [MutationHeader, MutationHeader];
  const answer = (ofParent: (header: MutationHeader) => WireOutcome): void =>
    void rig.answerAll((header) => (header.seq === parent.seq ? ofParent(header) : noRow(header)));
  return { rig, parent, child, answer };
}

test.each([
  { name: 'a creation', parent: { operation: 'create' } },
  { name: 'an atomic one, which may create', parent: { operation: 'custom', type: ATOMIC_TYPE } },
] as const)(
  'Q8 · refused for a row that is not there, it waits for $name before it, and uses no attempt',
  ({ parent: options }) => {
    const { rig, parent, child, answer } = withParent(options);
    expect(rig.lastBatch.items.map(({ awaitsCreation }) => awaitsCreation)).toEqual([undefined, true]);

    answer(refused);

    expect(rig.entry(child).header.attempts).toEqual([]);
    expect(rig.waiting(child)).toMatchObject({ waitingFor: 'dependency', error: NO_ROW });
    rig.wake();
    expect(seqsOf(rig.lastBatch)).toEqual([parent.seq]);
    rig.answerAll(applied);
    // at once, and with nothing left to wait for
    expect(rig.lastBatch.items).toMatchObject([{ header: { seq: child.seq } }]);
    expect(rig.lastBatch.items[0]?.awaitsCreation).toBeUndefined();
    rig.answerAll(applied);
    expect(rig.engine.mutations.counts).toMatchObject({ pending: 0, failed: 0 });
  },
);

test('Q8 · when the creation in the same batch comes to its end, it looks again at once', () => {
  const { rig, child, answer } = withParent();

  answer(rejected);

  expect(seqsOf(rig.lastBatch)).toEqual([child.seq]);
  expect(rig.lastBatch.items[0]?.awaitsCreation).toBeUndefined();
  rig.answerAll(rejected);
  expect(rig.engine.mutations.counts).toMatchObject({ pending: 0, failed: 2 });
});

test('Q8 · it looks again after 60 s, ten times at most; then the server decides for good', () => {
  const { rig, parent, child, answer } = withParent({ operation: 'create', delayMs: 24 * 3_600_000 });
  answer(refused);
  for (let look = 1; look <= 9; look += 1) {
    const sinceMs = rig.nowMs;
    rig.wake();
    expect(rig.nowMs - sinceMs).toBe(60_000);
    expect(rig.lastBatch.items).toMatchObject([{ header: { seq: child.seq }, awaitsCreation: true }]);
    rig.answerAll(noRow);
  }

  rig.wake();

  expect(seqsOf(rig.lastBatch)).toEqual([child.seq]);
  expect(rig.lastBatch.items[0]?.awaitsCreation).toBeUndefined();
  expect(rig.entry(child).header.attempts).toEqual([]);
  rig.answerAll(rejected);
  expect(rig.engine.mutations.counts).toMatchObject({ pending: 1, failed: 1 });
  expect(rig.entry(parent).phase.kind).toBe('waiting');
});

test('Q8 · with no creation before it nothing is different: refused it uses an attempt, rejected it is a dead letter', () => {
  const rig = EngineRig.leading();
  const child = rig.add({ operation: 'create' });
  rig.add({ operation: 'create' });
  expect(rig.lastBatch.items[0]?.awaitsCreation).toBeUndefined();

  rig.answerAll(noRow);

  expect(rig.entry(child).header.attempts).toHaveLength(1);
  expect(rig.waiting(child).waitingFor).toBe('backoff');
});

test('Q8 · a creation that was retried counts as before it, though it has a later number', () => {
  const rig = EngineRig.leading();
  const [child] = rig.addAll([{}, { operation: 'create', generation: 1 }]) as [MutationHeader];

  rig.answerAll((header) => (header.seq === child.seq ? noRow(header) : refused(header)));

  expect(rig.entry(child).header.attempts).toEqual([]);
  expect(rig.waiting(child).waitingFor).toBe('dependency');
});

test('Q8 · someone who asks for all of it makes it look again at once', () => {
  const { rig, child, answer } = withParent({ operation: 'create', delayMs: 24 * 3_600_000 });
  answer(refused);

  rig.input({ kind: 'hint', hint: 'nudge' });

  expect(seqsOf(rig.lastBatch)).toContain(child.seq);
});

test('Q8 · the lost answer of one that waits makes it go again under the same id', () => {
  const { rig, child, answer } = withParent({ operation: 'create', delayMs: 24 * 3_600_000 });
  answer(refused);
  rig.wake();
  rig.answer({ kind: 'unknown', error: NO_ROW });
  rig.wake();
  rig.input({ kind: 'probed', result: { kind: 'reached', latencyMs: 1 } });
  if (rig.batches.length < 3) rig.wake();

  expect(rig.lastBatch.items).toMatchObject([{ header: { id: child.id }, awaitsCreation: true }]);
});
