import { describe, expect, test } from 'vitest';
import type { MutationHeader } from '../mutation/record.ts';
import { ACT, applied, EngineRig, ERROR, rejected, seqsOf } from './testing-engine/engine-rig.ts';

const ATTEMPT_TIMEOUT_MS = 30_000;
const stuck = (rig: EngineRig): readonly string[] => rig.engine.stuckIds(rig.nowMs, ATTEMPT_TIMEOUT_MS);

function paused(): EngineRig {
  const rig = EngineRig.leading();
  rig.input({ kind: 'paused' });
  return rig;
}

describe('stuck', () => {
  test('Q14 · one that was to be sent a minute ago, and was not, is stuck; asked to go on, it goes', () => {
    const rig = EngineRig.leading();
    const [late, inTime] = rig.addAll([{ delayMs: 5_000 }, { delayMs: 120_000 }]);

    // when: the alarm is lost
    rig.pass(5_000 + 59_999);
    expect(stuck(rig)).toEqual([]);
    rig.pass(1);

    // then
    expect(stuck(rig)).toEqual([late?.id]);
    rig.input({ kind: 'unstick', ids: [late?.id ?? '', 'unknown'] });
    expect(seqsOf(rig.lastBatch)).toEqual([late?.seq]);
    rig.answerAll(applied);
    expect(rig.effect('wakeAt'), 'the alarm is asked for anew').toMatchObject({ atMs: 1_000_000 + 120_000 });
    expect(inTime && rig.waiting(inTime).waitingFor).toBe('delay');
  });

  test('Q14 · what is on its way for more than twice its deadline is stuck; called off, it goes again', () => {
    const rig = EngineRig.leading();
    const header = rig.add();
    rig.pass(2 * ATTEMPT_TIMEOUT_MS);
    expect(stuck(rig)).toEqual([]);
    rig.pass(1);
    expect(stuck(rig)).toEqual([header.id]);

    rig.input({ kind: 'unstick', ids: [header.id] });

    expect(rig.effect('abort')).toEqual({ kind: 'abort', batchId: 1 });
    expect(rig.lastBatch).toMatchObject({ batchId: 2, items: [{ header: { id: header.id } }] });
    expect(rig.entry(header).mayHaveBeenSent).toBe(true);
  });

  test('Q14 · asked about one that waits, what is on its way is left alone', () => {
    const rig = EngineRig.leading();
    rig.add({ lane: 'a' });
    const behind = rig.add({ lane: 'a' });

    rig.input({ kind: 'unstick', ids: [behind.id] });

    expect(rig.effect('abort')).toBeUndefined();
    expect(rig.batches).toHaveLength(1);
  });

  test('Q14 · what waits for something, or was judged, or lies in a tab that does not deliver, is not stuck', () => {
    const rig = EngineRig.leading();
    const dead = rig.add({ lane: 'dead' });
    rig.answerAll(rejected);
    rig.addAll([{ lane: 'a', delayMs: 5_000 }, { lane: 'a' }]);
    rig.pass(600_000);
    expect(stuck(rig), 'the head, and not what waits for its lane or is dead').toEqual(['m2']);
    expect(rig.entry(dead).phase.kind).toBe('failed');

    rig.input({ kind: 'paused' });
    rig.pass(600_000);
    expect(stuck(rig), 'a closed gate').toEqual([]);

    rig.input({ kind: 'leadership', isLeader: false });
    rig.input({ kind: 'resumed' });
    rig.pass(600_000);
    expect(stuck(rig), 'another tab knows').toEqual([]);
  });
});

describe('making room', () => {
  const idsOf = (rig: EngineRig, count: number, bytes = 0): readonly string[] =>
    rig.engine.evictable(count, bytes).map(({ header }) => header.id);

  test('Q12 · the oldest of low priority make room, as many as it takes, and become dead letters', () => {
    const rig = paused();
    rig.addAll([{ priority: 'normal' }, { priority: 'low' }, { priority: 'low' }, { priority: 'low' }]);
    expect(idsOf(rig, 1)).toEqual(['m2']);
    expect(idsOf(rig, 1, 200)).toEqual(['m2', 'm3']);

    rig.input({ kind: 'evict', count: 2, bytes: 0 });

    expect(rig.settlements).toMatchObject([
      { kind: 'failed', deadLetter: { header: { id: 'm2' }, error: { code: 'EVICTED' } } },
      { kind: 'failed', deadLetter: { header: { id: 'm3' }, error: { code: 'EVICTED' } } },
    ]);
    expect(rig.engine.mutations.counts).toMatchObject({ pending: 2, failed: 2 });
  });

  test('Q12 · where they cannot make all of the room, none of them goes', () => {
    const rig = paused();
    rig.addAll([{ priority: 'low' }, { priority: 'low' }]);

    expect(idsOf(rig, 3)).toEqual([]);
    expect(idsOf(rig, 1, 201)).toEqual([]);
    rig.input({ kind: 'evict', count: 3, bytes: 0 });

    expect(rig.settlements).toEqual([]);
  });

  test('Q12 · one that others stand on, is being rewritten, or would hold its lane as a dead letter stays', () => {
    const rig = paused();
    const parent = rig.add({ priority: 'low' });
    rig.add({ dependsOn: [parent.id] });
    const rewritten = rig.add({ priority: 'low' });
    rig.input({ kind: 'keepBack', ids: [rewritten.id], amendId: 'amend 1' });
    expect(idsOf(rig, 1)).toEqual([]);

    const free = rig.add({ priority: 'low' });
    expect(idsOf(rig, 1)).toEqual([free.id]);
    rig.onDeadLetter = 'hold';
    expect(idsOf(rig, 1)).toEqual([]);
  });
});

describe('asking for haste', () => {
  test('Q14 · one that waits for its backoff goes at once; one that nobody knows, or that is on its way, changes nothing', () => {
    const rig = EngineRig.leading();
    const header = rig.add();
    rig.answerAll(({ seq, id }) => ({ seq, id, kind: 'refused', error: ERROR }));
    expect(rig.waiting(header).waitingFor).toBe('backoff');
    rig.input({ kind: 'hurry', ids: ['unknown'] });
    expect(rig.batches).toHaveLength(1);

    rig.input({ kind: 'hurry', ids: [header.id] });
    expect(seqsOf(rig.lastBatch)).toEqual([header.seq]);

    rig.input({ kind: 'hurry', ids: [header.id] });
    expect(rig.batches).toHaveLength(2);
  });

  test('Q18 · to drain is no trouble when what was waited for has been taken back meanwhile', () => {
    const rig = EngineRig.leading();
    const [undone, waiting] = rig.addAll([{ delayMs: 5_000 }, {}]) as [MutationHeader, MutationHeader];
    rig.answerAll(({ seq, id }) => ({ seq, id, kind: 'refused', error: ERROR }));
    rig.input({ kind: 'cancel', ids: [undone.id, waiting.id], act: ACT });
    expect(rig.settlements.filter(({ kind }) => kind === 'cancelled')).toHaveLength(1);

    rig.input({ kind: 'hint', hint: 'nudge' });

    expect(seqsOf(rig.lastBatch)).toEqual([waiting.seq]);
  });
});

describe('when something happens next', () => {
  test('R3 · the next try is now while something is on its way, and else when the first wait ends', () => {
    const rig = EngineRig.leading();
    expect(rig.engine.nextAttemptAtMs(rig.nowMs), 'nothing to send').toBeNull();
    rig.add();
    expect(rig.engine.nextAttemptAtMs(rig.nowMs)).toBe(rig.nowMs);
    rig.answer({ kind: 'rateLimited', error: ERROR, retryAfterMs: 5_000 });
    expect(rig.engine.nextAttemptAtMs(rig.nowMs)).toBe(rig.nowMs + 5_000);
    rig.input({ kind: 'paused' });
    expect(rig.engine.nextAttemptAtMs(rig.nowMs), 'not before someone resumes').toBeNull();
  });

  test('Q3 · one that was given up, while that is being stored, waits for the storage', () => {
    const rig = EngineRig.leading();
    rig.isStorageSlow = true;
    const header = rig.add({ maxRetries: 0 });
    rig.answerAll(({ seq, id }) => ({ seq, id, kind: 'refused', error: ERROR }));
    expect(rig.waiting(header)).toEqual({ waitingFor: 'storage', error: ERROR, untilMs: null });
    expect(rig.engine.mutations.isSettling(header.seq)).toBe(true);

    rig.input({ kind: 'settlementsStored', seqs: [header.seq] });

    expect(rig.waiting(header).waitingFor).toBe('nothing');
    expect(rig.engine.mutations.isSettling(header.seq)).toBe(false);
  });

  test('Q3 · how many wait for one: those behind it in its lane, and those that depend on it, each once', () => {
    const rig = EngineRig.leading();
    const [first] = rig.addAll([{ lane: 'a' }, { lane: 'a', dependsOn: ['m1'] }, { lane: 'b', dependsOn: ['m1'] }]);
    const alone = rig.add({ lane: 'c' });
    expect(first && rig.engine.mutations.countWaitingFor(rig.entry(first))).toBe(2);
    expect(rig.engine.mutations.countWaitingFor(rig.entry(alone))).toBe(0);

    const other = EngineRig.leading();
    const dead = other.add();
    other.answerAll(rejected);
    expect(other.engine.mutations.countWaitingFor(other.entry(dead)), 'a dead letter, alone in its lane').toBe(0);
  });

  test('Q7 · for a dead letter that holds its lane waits also what waits for another one behind it', () => {
    const rig = EngineRig.leading();
    rig.onDeadLetter = 'hold';
    const [first, expiring] = rig.addAll([
      { lane: 'a' },
      { lane: 'a', expiresAtMs: rig.moment().wallMs + 60_000 },
      { lane: 'a' },
      { lane: 'b', dependsOn: ['m2'] },
    ]);
    rig.answerAll(rejected);
    rig.wake();
    const countFor = (header: MutationHeader | undefined): number | undefined =>
      header && rig.engine.mutations.countWaitingFor(rig.entry(header));

    expect(expiring && rig.entry(expiring).phase.kind).toBe('failed');
    expect([countFor(first), countFor(expiring)]).toEqual([2, 2]);
  });
});

test('R5 · signed out nothing is sent, whatever signs there are, and it says so; signed in again, it goes', () => {
  const rig = EngineRig.leading();
  rig.input({ kind: 'signedOut' });
  const header = rig.add();
  rig.input({ kind: 'hint', hint: 'nudge' });
  rig.pass(3_600_000);
  rig.input({ kind: 'tick' });

  expect(rig.batches).toEqual([]);
  expect(rig.waiting(header)).toMatchObject({ waitingFor: 'auth', error: { category: 'AUTH_ERROR' } });
  expect(rig.engine.nextAttemptAtMs(rig.nowMs), 'not before someone signs in').toBeNull();

  rig.input({ kind: 'signedIn' });
  expect(seqsOf(rig.lastBatch)).toEqual([header.seq]);
});

test('S4 · with the keys of the store away nothing is sent, and it says why; when they are back, it goes', () => {
  const rig = EngineRig.leading();
  rig.input({ kind: 'locked', error: ERROR });
  const header = rig.add();
  rig.pass(3_600_000);
  rig.input({ kind: 'tick' });

  expect(rig.batches).toEqual([]);
  expect(rig.waiting(header)).toMatchObject({ waitingFor: 'locked', error: ERROR });

  rig.input({ kind: 'unlocked' });
  expect(seqsOf(rig.lastBatch)).toEqual([header.seq]);
});

test('R5 · whoever signs out and discards also disposes of what may have been sent, and that is told apart', () => {
  const rig = EngineRig.leading();
  const header = rig.add();
  rig.answer({ kind: 'unknown', error: ERROR });
  rig.input({ kind: 'cancel', ids: [header.id], act: ACT });
  expect(rig.settlements, 'to take it back is too late').toEqual([]);

  rig.input({ kind: 'cancel', ids: [header.id], act: ACT, evenIfSent: true });

  expect(rig.settlements).toMatchObject([{ kind: 'cancelled', header: { id: header.id }, reason: 'unconfirmed' }]);
});

test('S12, Q3 · while its store fails nothing is sent, and it says so; when that works again it goes on', () => {
  const rig = EngineRig.leading();
  rig.input({ kind: 'storageFailed', error: ERROR });
  const header = rig.add();
  expect(rig.waiting(header)).toMatchObject({ waitingFor: 'storage', error: ERROR });

  rig.input({ kind: 'storageWorks' });

  expect(seqsOf(rig.lastBatch)).toEqual([header.seq]);
});
