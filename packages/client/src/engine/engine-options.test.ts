import { describe, expect, test } from 'vitest';
import type { WireOutcome } from '../protocol/wire.ts';
import type { MutationHeader } from '../mutation/record.ts';
import { ACT, applied, ERROR, EngineRig, seqsOf } from './testing-engine/engine-rig.ts';
import { nearKey } from './unconfirmed.ts';

const rejected = ({ seq, id }: MutationHeader): WireOutcome => ({ seq, id, kind: 'rejected', error: ERROR });
const refused = ({ seq, id }: MutationHeader): WireOutcome => ({ seq, id, kind: 'refused', error: ERROR });

/** One that has something on its way, so that what is added next waits its turn. */
function busyRig(): { readonly rig: EngineRig; readonly first: MutationHeader } {
  const rig = EngineRig.leading();
  return { rig, first: rig.add() };
}

describe('priority', () => {
  test('Q6 · of many lanes the one with the highest priority goes first', () => {
    const { rig } = busyRig();
    const [low, normal, high] = rig.addAll([{ priority: 'low' }, { priority: 'normal' }, { priority: 'high' }]);

    rig.answerAll(applied);

    expect(seqsOf(rig.lastBatch)).toEqual([high?.seq, normal?.seq, low?.seq]);
  });

  test('Q6 · a lane competes with the highest priority waiting in it, and keeps its own order', () => {
    const { rig } = busyRig();
    rig.addAll([{ lane: 'a' }, { lane: 'b', priority: 'low' }, { lane: 'b', priority: 'high' }]);

    rig.answerAll(applied);

    expect(seqsOf(rig.lastBatch)).toEqual([3, 2]);
    rig.answerAll(applied);
    expect(seqsOf(rig.lastBatch)).toEqual([4]);
  });

  test('Q6 · low priority rises a level for each minute it waits, so it is never starved', () => {
    const { rig } = busyRig();
    const low = rig.add({ priority: 'low' });
    rig.pass(60_000);
    const normal = rig.add({ priority: 'normal' });
    rig.pass(60_000 - 1);
    const high = rig.add({ priority: 'high' });
    rig.pass(1);
    const late = rig.add({ priority: 'high' });

    rig.answerAll(applied);

    // low has waited two minutes and normal one, so both compete as high, by who came first; `high` came a moment before that
    expect(seqsOf(rig.lastBatch)).toEqual([high.seq, low.seq, normal.seq, late.seq]);
  });
});

describe('undo window', () => {
  test('Q15 · with `delayMs` it is not sent before that has passed, and says so', () => {
    const rig = EngineRig.leading();
    const header = rig.add({ delayMs: 5_000 });
    expect(rig.batches).toEqual([]);
    expect(rig.waiting(header)).toMatchObject({ waitingFor: 'delay', untilMs: rig.nowMs + 5_000 });

    rig.wake();

    expect(seqsOf(rig.lastBatch)).toEqual([header.seq]);
  });

  test('Q15 · one before it in its lane that becomes known late goes when its own window ends, and then it goes in its turn', () => {
    const rig = EngineRig.leading();
    const early = { ...rig.header({ lane: 'a', delayMs: 5_000 }), createdAtMs: rig.moment().wallMs };
    const late = rig.add({ lane: 'a', delayMs: 60_000 });
    rig.input({ kind: 'found', headers: [early], deadLetters: [] });

    rig.wake();
    expect([rig.nowMs, seqsOf(rig.lastBatch)]).toEqual([1_005_000, [early.seq]]);
    rig.answerAll(applied);
    rig.wake();

    expect([rig.nowMs, seqsOf(rig.lastBatch)]).toEqual([1_060_000, [late.seq]]);
    rig.answerAll(applied);
    expect(rig.wakeAtMs).toBeNull();
  });

  test('Q15 · asking to hurry does not shorten an undo window', () => {
    const rig = EngineRig.leading();
    rig.add({ delayMs: 5_000 });
    rig.input({ kind: 'hint', hint: 'nudge' });
    expect(rig.batches).toEqual([]);
    rig.wake();
    expect(rig.batches).toHaveLength(1);
  });

  test('Q15 · one that is retried after its failure does not wait its undo window again', () => {
    const rig = EngineRig.leading();
    const header = { ...rig.header({ delayMs: 5_000 }), generation: 1 };

    rig.input({ kind: 'added', headers: [header] });

    expect(seqsOf(rig.lastBatch)).toEqual([header.seq]);
  });

  test('Q15 · one that has been answered does not wait its undo window again, whatever the clock says', () => {
    const rig = new EngineRig();
    const attempts = [{ attemptNumber: 1, answeredAtMs: 0, error: ERROR }];
    const header = { ...rig.header({ delayMs: 5_000, attempts }), createdAtMs: rig.moment().wallMs };
    rig.input({ kind: 'found', headers: [header], deadLetters: [] });

    rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 1 });

    expect(seqsOf(rig.lastBatch)).toEqual([header.seq]);
  });

  test('Q14 · one that was retried has been sent before, and cannot be taken back', () => {
    const rig = EngineRig.leading();
    rig.input({ kind: 'paused' });
    const header = { ...rig.header(), generation: 1 };

    rig.input({ kind: 'added', headers: [header] });

    expect(rig.engine.canCancel(header.id)).toBe(false);
  });

  test('Q14 · one that waits can be taken back; its lane goes on, and its number never reaches the server', () => {
    const rig = EngineRig.leading();
    const [undone, next] = rig.addAll([{ lane: 'a', delayMs: 5_000 }, { lane: 'a' }]);
    expect(rig.batches).toEqual([]);

    rig.input({ kind: 'cancel', ids: [undone?.id ?? ''], act: ACT });

    expect(rig.settlements).toMatchObject([{ kind: 'cancelled', header: { seq: undone?.seq } }]);
    expect(seqsOf(rig.lastBatch)).toEqual([next?.seq]);
    expect(rig.engine.mutations.counts).toMatchObject({ pending: 1, failed: 0 });
  });

  test('Q14 · what is on its way, or may have been sent, cannot be taken back', () => {
    const rig = EngineRig.leading();
    const header = rig.add();
    expect(rig.engine.canCancel(header.id)).toBe(false);
    rig.answer({ kind: 'unknown', error: ERROR });

    rig.input({ kind: 'cancel', ids: [header.id], act: ACT });

    expect(rig.engine.canCancel(header.id)).toBe(false);
    expect(rig.entry(header).phase.kind).toBe('waiting');
  });

  test('Q21 · one found at open counts as possibly sent, unless its undo window has not passed', () => {
    const rig = new EngineRig();
    const { wallMs } = rig.moment();
    const open = { ...rig.header({ delayMs: 5_000 }), createdAtMs: wallMs - 1_000 };
    const past = { ...rig.header({ delayMs: 5_000 }), createdAtMs: wallMs - 5_000 };
    const clockWentBack = { ...rig.header({ delayMs: 5_000 }), createdAtMs: wallMs + 1 };
    rig.input({ kind: 'paused' });

    rig.input({ kind: 'found', headers: [open, past, clockWentBack], deadLetters: [] });
    rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 3 });

    expect([open, past, clockWentBack].map(({ id }) => rig.engine.canCancel(id))).toEqual([true, false, false]);
    expect(rig.entry(open).heldUntilMs).toBe(rig.nowMs + 4_000);
  });

  test('Q21 · what another tab adds while this one delivers was sent by nobody; what stood there before may have been', () => {
    const rig = new EngineRig();
    const [before] = rig.addAll([{ lane: 'a' }]);
    rig.input({ kind: 'paused' });

    rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 1 });
    const after = rig.header({ lane: 'b' });
    rig.input({ kind: 'found', headers: [after], deadLetters: [] });

    expect([before?.id ?? '', after.id].map((id) => rig.engine.canCancel(id))).toEqual([false, true]);
  });

  test('Q14 · a tab that does not deliver takes nothing back by itself', () => {
    const rig = new EngineRig();
    const header = rig.add();
    rig.input({ kind: 'cancel', ids: [header.id], act: ACT });
    expect(rig.entry(header).phase.kind).toBe('waiting');
  });
});

describe('dependencies', () => {
  test('Q8 · a mutation waits until the ones it depends on are confirmed, whatever their lanes', () => {
    const rig = EngineRig.leading();
    const parent = rig.add({ lane: 'a' });
    const child = rig.add({ lane: 'b', dependsOn: [parent.id] });
    expect(rig.waiting(child).waitingFor).toBe('dependency');

    rig.answerAll(applied);

    expect(seqsOf(rig.lastBatch)).toEqual([child.seq]);
  });

  test('Q8 · if the parent dies, all that stands on it becomes a dead letter, and is not sent', () => {
    const rig = EngineRig.leading();
    const parent = rig.add({ lane: 'a' });
    const child = rig.add({ lane: 'b', dependsOn: [parent.id] });
    const grandchild = rig.add({ lane: 'c', dependsOn: [child.id] });

    rig.answerAll(rejected);

    expect(rig.settlements.map((settlement) => settlement.kind)).toEqual(['failed', 'failed', 'failed']);
    for (const header of [child, grandchild]) {
      expect(rig.entry(header).phase).toMatchObject({ kind: 'failed', error: { code: 'PARENT_FAILED' } });
    }
    expect(rig.batches).toHaveLength(1);
  });

  test('Q8 · taking the parent back, too, makes dead letters of what stands on it', () => {
    const { rig } = busyRig();
    const parent = rig.add({ lane: 'a' });
    const child = rig.add({ lane: 'b', dependsOn: [parent.id] });

    rig.input({ kind: 'cancel', ids: [parent.id], act: ACT });

    expect(rig.entry(child).phase).toMatchObject({ kind: 'failed', error: { code: 'PARENT_FAILED' } });
  });

  test('Q8 · a child that was being stored while its parent was taken back, or disposed of, falls with it', () => {
    const { rig } = busyRig();
    const parent = rig.add({ lane: 'a' });
    rig.input({ kind: 'cancel', ids: [parent.id], act: ACT });
    rig.input({ kind: 'discarded', ids: ['disposed-of'] });

    const children = [parent.id, 'disposed-of'].map((id) => rig.add({ lane: 'b', dependsOn: [id] }));

    for (const child of children)
      expect(rig.entry(child).phase).toMatchObject({ kind: 'failed', error: { code: 'PARENT_FAILED' } });
  });

  test('Q8 · of what was disposed of, the last ten thousand are remembered', () => {
    const { rig } = busyRig();
    rig.input({ kind: 'discarded', ids: Array.from({ length: 10_001 }, (_, index) => `gone-${index}`) });

    const [old, recent] = ['gone-0', 'gone-1'].map((id) => rig.add({ lane: 'b', dependsOn: [id] }));

    expect([old, recent].map((each) => each && rig.entry(each).phase.kind)).toEqual(['waiting', 'failed']);
  });

  test('Q8 · a child whose parent is dead already becomes a dead letter at once, also when it is retried before its parent', () => {
    const rig = EngineRig.leading();
    const parent = rig.add({ lane: 'a' });
    rig.answerAll(rejected);

    const child = rig.add({ lane: 'b', dependsOn: [parent.id] });
    expect(rig.entry(child).phase).toMatchObject({ kind: 'failed', error: { code: 'PARENT_FAILED' } });
    const again = { ...child, seq: 3, generation: 1 };
    rig.input({ kind: 'added', headers: [again] });

    expect(rig.entry(again).phase).toMatchObject({ kind: 'failed', error: { code: 'PARENT_FAILED' } });
    expect(rig.batches).toHaveLength(1);
  });

  test('Q8 · a child retried before its parent does not wait for it behind itself, which would be for ever', () => {
    const rig = EngineRig.leading();
    const parent = rig.add({ lane: 'a' });
    const child = rig.add({ lane: 'a', dependsOn: [parent.id] });
    rig.answerAll(rejected);

    // both are found at once: another tab has retried the child, and then the parent
    const again = [
      { ...child, seq: 3, generation: 1 },
      { ...parent, seq: 4, generation: 1 },
    ];
    rig.input({ kind: 'found', headers: again, deadLetters: [] });

    expect(rig.entry(child).phase).toMatchObject({ kind: 'failed', error: { code: 'PARENT_FAILED' } });
    expect(seqsOf(rig.lastBatch)).toEqual([4]);
  });

  test('Q8 · the tab that takes over finds a child that the other one had not seen when it made the parent a dead letter', () => {
    const rig = new EngineRig();
    const parent = rig.add({ lane: 'a' });
    const child = rig.add({ lane: 'b', dependsOn: [parent.id] });
    rig.input({
      kind: 'settledElsewhere',
      settlements: [{ kind: 'failed', deadLetter: { header: parent, error: ERROR, failedAtMs: 0, holdsLane: false } }],
    });

    rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 0 });

    expect(rig.entry(child).phase).toMatchObject({ kind: 'failed', error: { code: 'PARENT_FAILED' } });
  });

  test('Q8 · a child that was retried is not sent by a tab that finds it before its dead parent', () => {
    const rig = new EngineRig();
    const parent = rig.header({ lane: 'a' });
    const child = { ...rig.header({ lane: 'b', dependsOn: [parent.id] }), generation: 1 };
    // Pending ones are read before dead letters.
    rig.input({ kind: 'found', headers: [child], deadLetters: [] });
    rig.input({
      kind: 'found',
      headers: [],
      deadLetters: [{ header: parent, error: ERROR, failedAtMs: 0, holdsLane: false }],
    });

    rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 0 });

    expect(rig.batches).toEqual([]);
    expect(rig.entry(child).phase).toMatchObject({ kind: 'failed', error: { code: 'PARENT_FAILED' } });
  });

  test('Q8 · the tab that takes over finds the orphans that the other one left', () => {
    const rig = new EngineRig();
    const parent = rig.header({ lane: 'a' });
    const child = rig.header({ lane: 'b', dependsOn: [parent.id] });
    rig.input({ kind: 'found', headers: [parent, child], deadLetters: [] });
    rig.input({ kind: 'discarded', ids: [parent.id] });
    expect(rig.entry(child).phase.kind).toBe('waiting');

    rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 0 });

    expect(rig.entry(child).phase).toMatchObject({ kind: 'failed', error: { code: 'PARENT_FAILED' } });
  });

  test('Q7 · later changes of a row whose creation died are dead letters; other rows of the lane go on', () => {
    const rig = EngineRig.leading();
    const about = (id: string, operation: 'create' | 'update') =>
      ({ ...rig.header({ lane: 'a' }), operation, entity: { table: 'accounts', id } }) as const;
    const [create, edit, other] = [about('1', 'create'), about('1', 'update'), about('2', 'update')];
    rig.input({ kind: 'added', headers: [create, edit, other] });

    rig.answerAll(rejected);

    expect(rig.entry(edit).phase).toMatchObject({ kind: 'failed', error: { code: 'PARENT_FAILED' } });
    expect(seqsOf(rig.lastBatch)).toEqual([other.seq]);
  });

  test('Q21 · what is behind a creation made again stands on that one', () => {
    const rig = EngineRig.leading();
    const about = (operation: 'create' | 'update') =>
      ({ ...rig.header({ lane: 'a' }), operation, entity: { table: 'accounts', id: '1' } }) as const;
    const [create, edit] = [about('create'), about('update')];
    const again = { ...about('create'), replaces: create.id };
    const behind = about('update');
    rig.input({ kind: 'added', headers: [create, edit, again, behind] });

    rig.answerAll(rejected);

    expect(rig.entry(edit).phase).toMatchObject({ kind: 'failed', error: { code: 'PARENT_FAILED' } });
    expect(seqsOf(rig.lastBatch)).toEqual([again.seq]);
    expect(rig.entry(behind).phase.kind).toBe('waiting');
  });
});

describe('retries of one mutation', () => {
  test('Q15 · `maxRetries` of its own wins over what its type says; 0 makes the first refusal final', () => {
    const rig = EngineRig.leading({ maxRetries: 5, jitter: 'none' });
    const header = rig.add({ maxRetries: 0 });
    rig.answerAll(refused);
    expect(rig.entry(header).phase.kind).toBe('failed');
  });

  test('Q15 · a lost answer is sent again even where nothing is retried', () => {
    const rig = EngineRig.leading();
    const header = rig.add({ maxRetries: 0 });
    rig.answer({ kind: 'unknown', error: ERROR });
    expect(rig.entry(header).phase.kind).toBe('waiting');
  });

  test('Q15 · `retryDelayMs` of its own is where its backoff begins', () => {
    const rig = EngineRig.leading({ jitter: 'none' });
    const header = rig.add({ retryDelayMs: 40 });
    rig.answerAll(refused);
    expect(rig.waiting(header)).toMatchObject({ waitingFor: 'backoff', untilMs: rig.nowMs + 40 });
  });
});

describe('a mutation that kills its server', () => {
  const killed = { kind: 'unknown', error: ERROR } as const;

  /** Answers for every batch but those with the killer. */
  function play(rig: EngineRig, killer: MutationHeader): void {
    if (rig.lastBatch.items.some(({ header }) => header.id === killer.id)) rig.answer(killed);
    else rig.answerAll(applied);
  }

  test('R4 · it ends up alone, lets the others go first, and becomes a dead letter, SUSPECT, after ten times', () => {
    const rig = EngineRig.leading();
    rig.input({ kind: 'paused' });
    const killer = rig.add();
    const others = rig.addAll(Array.from({ length: 7 }, () => ({})));
    rig.input({ kind: 'resumed' });

    let answeredProbes = rig.probeCount;
    for (let turn = 0; turn < 200 && rig.entry(killer).phase.kind !== 'failed'; turn += 1) {
      if (rig.engine.sendingSeqs.length > 0) play(rig, killer);
      else if (rig.probeCount > answeredProbes) {
        answeredProbes = rig.probeCount;
        rig.input({ kind: 'probed', result: { kind: 'reached', latencyMs: 1 } });
      } else {
        // life goes on meanwhile
        rig.add();
        if (rig.engine.sendingSeqs.length === 0 && rig.probeCount === answeredProbes) rig.wake();
      }
    }

    expect(rig.entry(killer).phase).toMatchObject({ kind: 'failed', error: { code: 'SUSPECT' } });
    expect(rig.entry(killer).header.attempts).toEqual([]);
    for (const { id } of others) expect(rig.engine.mutations.get(id)).toBeUndefined();
  });

  test('R4 · while nothing at all is answered nobody is suspected, however long that lasts', () => {
    const rig = EngineRig.leading();
    const header = rig.add();
    for (let turn = 0; turn < 100; turn += 1) {
      if (rig.engine.sendingSeqs.length > 0) rig.answer(killed);
      else if (rig.effect('probe') !== undefined)
        rig.input({ kind: 'probed', result: { kind: 'reached', latencyMs: 1 } });
      else rig.wake();
    }
    expect(rig.entry(header)).toMatchObject({ phase: { kind: 'waiting' }, suspicionCount: 1 });
  });
});

describe('what this device settles by itself', () => {
  test('inv-I5 · its lane waits until that is stored: after a crash before that it would come after what was behind it', () => {
    const rig = EngineRig.leading({ maxRetries: 0 });
    const [spent, next] = rig.addAll([{ lane: 'a' }, { lane: 'a' }]);
    rig.isStorageSlow = true;
    rig.answerAll(refused);
    expect(rig.batches).toHaveLength(1);

    rig.input({ kind: 'settlementsStored', seqs: [spent?.seq ?? 0] });

    expect(seqsOf(rig.lastBatch)).toEqual([next?.seq]);
  });
});

describe('what else an answer says', () => {
  test('R3 · a server that takes no more before its limit is renewed is left alone until then, for five minutes at most', () => {
    for (const [resetMs, waitMs] of [
      [2_000, 2_000],
      [1e12, 300_000],
    ] as const) {
      const rig = EngineRig.leading();
      const [first, second] = rig.addAll([{ lane: 'a' }, { lane: 'a' }]);
      if (first === undefined || second === undefined) throw new Error('added');
      rig.answer({ kind: 'answered', outcomes: [applied(first)], pace: { remaining: 0, resetMs } });
      expect(rig.waiting(second)).toMatchObject({ waitingFor: 'rateLimit', untilMs: rig.nowMs + waitMs });
      rig.wake();
      expect(seqsOf(rig.lastBatch)).toEqual([second.seq]);
    }
  });

  test('R2 · a connection that was reset is tried again at once, once, with the same batch', () => {
    const rig = EngineRig.leading();
    const header = rig.add();
    rig.answer({ kind: 'unknown', error: ERROR, wasReset: true });
    const sinceMs = rig.nowMs;
    rig.wake();
    expect(seqsOf(rig.lastBatch)).toEqual([header.seq]);
    expect(rig.nowMs - sinceMs).toBeLessThanOrEqual(100);

    rig.answer({ kind: 'unknown', error: ERROR, wasReset: true });
    expect((rig.wakeAtMs ?? 0) - rig.nowMs).toBeGreaterThanOrEqual(1_000);
  });

  test('R9 · what is said of those without an outcome is obeyed, and the others stand', () => {
    const rig = EngineRig.leading();
    rig.input({ kind: 'paused' });
    const [first, second] = rig.addAll([{}, {}]);
    rig.input({ kind: 'resumed' });
    if (first === undefined || second === undefined) throw new Error('added');

    rig.answer({ kind: 'answered', outcomes: [applied(first)], rest: { kind: 'unauthorized', error: ERROR } });

    expect(rig.settlements).toMatchObject([{ kind: 'completed' }]);
    expect(rig.waiting(second).waitingFor).toBe('auth');
    expect(rig.refreshCount).toBe(1);
  });

  test('R9 · when all were left without an outcome, what is said of them is what counts', () => {
    const rig = EngineRig.leading();
    const header = rig.add();
    rig.answer({ kind: 'answered', outcomes: [], rest: { kind: 'rateLimited', error: ERROR, retryAfterMs: 3_000 } });
    expect(rig.waiting(header)).toMatchObject({ waitingFor: 'rateLimit', untilMs: rig.nowMs + 3_000 });
  });
});

test('Q19 · a retried mutation that another tab saw confirmed under its earlier number is confirmed', () => {
  const rig = new EngineRig();
  const header = rig.add({ seq: 5 });
  const record = {
    id: header.id,
    seq: 3,
    type: header.type,
    entity: null,
    createdAtMs: 0,
    confirmedAtMs: 1,
    attemptCount: 1,
  };

  rig.input({ kind: 'settledElsewhere', settlements: [{ kind: 'completed', record, result: null, wasRepeat: true }] });

  expect(rig.engine.mutations.get(header.id)).toBeUndefined();
});

test('Q8 · an orphan that another tab saw confirmed after all is left alone by the tab that takes over', () => {
  const rig = new EngineRig();
  const parent = rig.add({ lane: 'a' });
  const child = rig.add({ lane: 'b', dependsOn: [parent.id] });
  rig.input({ kind: 'discarded', ids: [parent.id] });
  const record = {
    id: child.id,
    seq: child.seq,
    type: child.type,
    entity: null,
    createdAtMs: 0,
    confirmedAtMs: 1,
    attemptCount: 1,
  };
  rig.input({ kind: 'settledElsewhere', settlements: [{ kind: 'completed', record, result: null, wasRepeat: false }] });

  rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 0 });
  rig.add({ lane: 'b' });

  expect(rig.settlements).toEqual([]);
  expect(rig.engine.mutations.counts).toMatchObject({ pending: 1, failed: 0 });
  expect(rig.batches).toHaveLength(1);
});

describe('parents that become known, or are disposed of, when it is too late', () => {
  test('Q8 · one that is on its way is not held back by a parent that is added only now', () => {
    const rig = EngineRig.leading();
    const child = rig.add({ lane: 'b', dependsOn: ['parent'] });
    rig.add({ id: 'parent', lane: 'a' });
    expect(rig.entry(child).phase.kind).toBe('sending');

    rig.answerAll(({ seq, id }) => ({ seq, id, kind: 'deferred' }));

    expect(rig.waiting(child).waitingFor).toBe('backoff');
    expect(rig.engine.mutations.counts).toMatchObject({ pending: 2, failed: 0 });
  });

  test('Q8 · one that is on its way when its parent is disposed of is judged by its answer', () => {
    const rig = EngineRig.leading();
    const [child, waiting] = rig.addAll([
      { lane: 'b', dependsOn: ['parent'] },
      { lane: 'b', dependsOn: ['parent'] },
    ]);

    rig.input({ kind: 'discarded', ids: ['parent'] });
    expect(child && rig.entry(child).phase.kind).toBe('sending');
    expect(waiting && rig.entry(waiting).phase).toMatchObject({ kind: 'failed', error: { code: 'PARENT_FAILED' } });

    rig.answerAll(applied);
    expect(rig.settlements.at(-1)).toMatchObject({ kind: 'completed', record: { id: child?.id } });
  });

  test('Q8 · one that stands on a parent and on its child as well dies once, with one dead letter', () => {
    const rig = EngineRig.leading();
    const parent = rig.add({ lane: 'a' });
    const child = rig.add({ lane: 'b', dependsOn: [parent.id] });
    const both = rig.add({ lane: 'c', dependsOn: [parent.id, child.id] });

    rig.answerAll(rejected);

    expect(rig.settlements.map((each) => (each.kind === 'failed' ? each.deadLetter.header.id : each.kind))).toEqual([
      parent.id,
      child.id,
      both.id,
    ]);
  });

  test('Q8 · parents that nobody knows are asked for, and not those of one that was retried', () => {
    const rig = new EngineRig();
    const [retried, fresh, known] = [
      { ...rig.header({ dependsOn: ['gone 1'] }), generation: 1 },
      rig.header({ dependsOn: ['gone 2', 'm3'] }),
      rig.header(),
    ];
    rig.input({ kind: 'found', headers: [retried, fresh, known], deadLetters: [] });

    expect(rig.engine.mutations.unknownParentIds).toEqual(['gone 2']);
  });
});

test("Q10 · one that was confirmed, or rewritten into something else, is nobody's duplicate any more", () => {
  const rig = EngineRig.leading();
  rig.input({ kind: 'paused' });
  const [first, second] = rig.addAll([
    { lane: 'calls', dedupeKey: 'line 1', dedupeNear: [100] },
    { lane: 'calls', dedupeKey: 'line 1', dedupeNear: [200] },
  ]);
  const near = (atMs: number): readonly string[] =>
    rig.engine.mutations.near
      .find(nearKey({ lane: 'calls', type: 'note.save', dedupeKey: 'line 1' }), [atMs], [1])
      .map(({ header }) => header.id);
  expect([near(100), near(200)]).toEqual([[first?.id], [second?.id]]);

  if (second === undefined) throw new Error('Two were added.');
  rig.input({ kind: 'amended', headers: [{ ...second, revision: 1, dedupeNear: [300] }] });
  expect([near(200), near(300)]).toEqual([[], [second.id]]);

  rig.input({ kind: 'resumed' });
  rig.answerAll(applied);
  expect(near(100)).toEqual([]);
});
