import { describe, expect, test } from 'vitest';
import type { MutationHeader } from '../mutation/record.ts';
import { ACT, applied, EngineRig, ERROR, rejected, seqsOf } from './testing-engine/engine-rig.ts';

const slotOf = (parentId: string): MutationHeader['slots'][number] => ({
  placeholder: parentId,
  parentId,
  from: ['id'],
});

function withChild(): { readonly rig: EngineRig; readonly parent: MutationHeader; readonly child: MutationHeader } {
  const rig = EngineRig.leading();
  rig.isStorageSlow = true;
  const parent = rig.add({ lane: 'parent' });
  const child = rig.add({ lane: 'placeholder', dependsOn: [parent.id], slots: [slotOf(parent.id)] });
  return { rig, parent, child };
}

/** The child as it stands once it is rewritten: in the lane of the row. */
const filled = (child: MutationHeader): MutationHeader => ({ ...child, slots: [], lane: 'real', revision: 1 });

describe('slots', () => {
  test('Q8 · a child is filled in when what its parent returned is stored, and sent only after that', () => {
    const { rig, parent, child } = withChild();
    expect(rig.waiting(child).waitingFor).toBe('dependency');
    rig.answerAll(applied);
    expect(rig.settlements).toMatchObject([{ kind: 'completed', record: { result: { seq: parent.seq } } }]);
    expect(rig.effect('fillSlots')).toBeUndefined();

    rig.input({ kind: 'settlementsStored', seqs: [parent.seq] });
    expect(rig.effect('fillSlots')?.headers).toEqual([child]);
    expect(rig.batches).toHaveLength(1);
    rig.input({ kind: 'amended', headers: [filled(child)] });

    expect(rig.lastBatch.items.map(({ header }) => header)).toEqual([filled(child)]);
  });

  test('Q8 · what is added to the row meanwhile comes after it, and nothing is sent before', () => {
    const { rig, parent, child } = withChild();
    rig.answerAll(applied);
    const later = rig.add({ lane: 'real' });
    const other = rig.add({ lane: 'another' });
    rig.input({ kind: 'settlementsStored', seqs: [parent.seq] });
    expect(rig.batches).toHaveLength(1);

    rig.input({ kind: 'amended', headers: [filled(child)] });

    expect(seqsOf(rig.lastBatch)).toEqual([child.seq, other.seq]);
    rig.answerAll(applied);
    expect(seqsOf(rig.lastBatch)).toEqual([later.seq]);
  });

  test('Q8 · storage that fails for long keeps the others back for 10 s and no longer, and is tried again', () => {
    const { rig, parent, child } = withChild();
    rig.answerAll(applied);
    const other = rig.add({ lane: 'another' });
    rig.input({ kind: 'settlementsStored', seqs: [parent.seq] });
    const first = rig.effect('fillSlots');
    rig.input({ kind: 'letGo', amendId: first?.amendId ?? '' });
    expect(rig.effect('fillSlots')?.headers).toEqual([child]);
    expect(rig.effect('fillSlots')?.amendId).not.toBe(first?.amendId);

    rig.wake();

    expect(rig.nowMs).toBe(1_010_000);
    expect(seqsOf(rig.lastBatch)).toEqual([other.seq]);
  });

  test('Q8 · a second value that is to be filled in meanwhile does not keep the others back for longer', () => {
    const { rig, parent } = withChild();
    const second = rig.add({ lane: 'second parent' });
    rig.add({ lane: 'second placeholder', dependsOn: [second.id], slots: [slotOf(second.id)] });
    const other = rig.add({ lane: 'another' });
    rig.input({ kind: 'paused' });
    rig.answerAll(applied);
    rig.input({ kind: 'settlementsStored', seqs: [parent.seq] });
    rig.pass(9_000);
    rig.input({
      kind: 'settledElsewhere',
      settlements: [
        {
          kind: 'completed',
          record: {
            id: second.id,
            seq: second.seq,
            type: second.type,
            entity: null,
            createdAtMs: 1,
            confirmedAtMs: 2,
            attemptCount: 1,
          },
          result: null,
          wasRepeat: false,
        },
      ],
    });
    rig.input({ kind: 'resumed' });
    expect(rig.batches).toHaveLength(1);

    rig.wake();

    expect(rig.nowMs).toBe(1_010_000);
    expect(seqsOf(rig.lastBatch)).toEqual([other.seq]);
  });

  test('Q8 · found after a restart it cannot have been sent, and is filled in once this tab delivers', () => {
    const rig = new EngineRig();
    const child = rig.header({ dependsOn: ['confirmed'], slots: [slotOf('confirmed')] });
    rig.input({ kind: 'found', headers: [child], deadLetters: [] });
    expect(rig.effect('fillSlots')).toBeUndefined();

    rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 1 });

    expect(rig.effect('fillSlots')?.headers).toEqual([child]);
    expect(rig.entry(child).mayHaveBeenSent).toBe(false);
    rig.input({ kind: 'cancel', ids: [child.id], act: ACT });
    expect(rig.settlements).toMatchObject([{ kind: 'cancelled' }]);
  });

  test('Q21 · found in a store that may forget, it may have been sent, whole as it was, before the power failed', () => {
    const rig = new EngineRig(undefined, undefined, true);
    const child = rig.header({ dependsOn: ['confirmed'], slots: [slotOf('confirmed')] });
    rig.input({ kind: 'found', headers: [child], deadLetters: [] });
    expect(rig.entry(child).mayHaveBeenSent).toBe(true);

    rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 1 });

    expect(rig.effect('fillSlots')?.headers).toEqual([child]);
    expect(rig.entry(child).mayHaveBeenSent).toBe(true);
  });

  test('Q8 · a value that is not to be had makes it a dead letter; a parent that dies as well', () => {
    const missing = withChild();
    missing.rig.answerAll(applied);
    missing.rig.input({ kind: 'settlementsStored', seqs: [missing.parent.seq] });
    missing.rig.input({ kind: 'givenUp', seqs: [missing.child.seq], error: ERROR });
    expect(missing.rig.entry(missing.child).phase).toMatchObject({ kind: 'failed', error: ERROR });

    const orphan = withChild();
    orphan.rig.answerAll(rejected);
    expect(orphan.rig.entry(orphan.child).phase).toMatchObject({ error: { code: 'PARENT_FAILED' } });
    expect(orphan.rig.effect('fillSlots')).toBeUndefined();
  });

  test('Q8 · what is returned is kept where its type says so, or someone waits for it', () => {
    const rig = EngineRig.leading();
    rig.add();
    rig.answerAll(applied);
    rig.keepsResult = true;
    rig.add();
    rig.answerAll(applied);
    const [plain, kept] = rig.settlements;
    expect(plain).not.toHaveProperty('record.result');
    expect(kept).toMatchObject({ record: { result: { seq: 2 } } });
  });
});

test('P12, Q8 · a parent that is not confirmed after all takes along what it had let go, but nothing else', () => {
  const rig = EngineRig.leading();
  const parent = rig.add({ lane: 'parent' });
  const child = rig.add({ lane: 'child', dependsOn: [parent.id], delayMs: 60_000 });
  const other = rig.add({ lane: 'other', delayMs: 60_000 });
  rig.answerAll(applied);
  expect(rig.waiting(child).waitingFor).not.toBe('dependency');

  const deadLetter = { header: parent, error: ERROR, failedAtMs: rig.nowMs, holdsLane: false };
  rig.input({ kind: 'settledElsewhere', settlements: [{ kind: 'failed', deadLetter }] });

  expect(rig.entry(child).phase).toMatchObject({ kind: 'failed', error: { code: 'PARENT_FAILED' } });
  expect(rig.entry(other).phase.kind).toBe('waiting');
});

test('P12, Q8 · in a tab that does not deliver too: should it take over, what was let go is not sent', () => {
  const rig = new EngineRig();
  const parent = rig.add({ lane: 'parent' });
  const child = rig.add({ lane: 'child', dependsOn: [parent.id] });
  const { id, seq, type, entity, createdAtMs } = parent;
  const record = { id, seq, type, entity, createdAtMs, confirmedAtMs: rig.nowMs, attemptCount: 1 };
  const completed = { kind: 'completed', record, result: null, wasRepeat: false } as const;
  const deadLetter = { header: parent, error: ERROR, failedAtMs: rig.nowMs, holdsLane: false };
  rig.input({ kind: 'settledElsewhere', settlements: [completed, { kind: 'failed', deadLetter }] });

  rig.input({ kind: 'leadership', isLeader: true, earlierSeq: seq + 1 });

  expect(rig.batches).toEqual([]);
  expect(rig.entry(child).phase).toMatchObject({ kind: 'failed', error: { code: 'PARENT_FAILED' } });
});

test('S9 · what has ended is known until that can be read in the store', () => {
  const { rig, parent } = withChild();
  const isKnown = (): boolean => rig.engine.mutations.knows(parent.id);
  expect(isKnown()).toBe(true);
  rig.answerAll(applied);
  expect(isKnown()).toBe(true);
  rig.input({ kind: 'settlementsStored', seqs: [parent.seq] });
  expect(isKnown()).toBe(false);
});
