import { describe, expect, test } from 'vitest';
import { applied, EngineRig, ERROR, LINE_FAILURES, refused, seqsOf } from './testing-engine/engine-rig.ts';

/** By the rig's wall clock, this much from its beginning. */
const inMs = (rig: EngineRig, ms: number): number => rig.moment().wallMs + ms;

describe('expiry', () => {
  test('Q15 · one that expires before it can have been sent becomes a dead letter at that moment, kept and told', () => {
    const rig = EngineRig.leading();
    rig.input({ kind: 'paused' });
    const header = rig.add({ expiresAtMs: inMs(rig, 60_000), lane: 'a' });
    const next = rig.add({ lane: 'a' });
    rig.pass(59_999);
    rig.input({ kind: 'tick' });
    expect(rig.entry(header).phase.kind).toBe('waiting');

    rig.wake();

    expect(rig.nowMs).toBe(1_060_000);
    expect(rig.settlements).toMatchObject([{ kind: 'failed', deadLetter: { error: { code: 'EXPIRED' } } }]);
    expect(rig.engine.mutations.counts).toMatchObject({ pending: 1, failed: 1 });
    rig.input({ kind: 'resumed' });
    expect(seqsOf(rig.lastBatch)).toEqual([next.seq]);
  });

  test('Q15 · one that was added before its tab took the lead, and sent by nobody, expires as well', () => {
    const rig = new EngineRig();
    rig.input({ kind: 'paused' });
    const header = rig.add({ expiresAtMs: inMs(rig, 1_000) });
    rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 0 });

    rig.wake();

    expect(rig.entry(header).phase).toMatchObject({ kind: 'failed', error: { code: 'EXPIRED' } });
  });

  test('Q15 · what stands on an expired one falls with it', () => {
    const rig = EngineRig.leading();
    rig.input({ kind: 'paused' });
    const parent = rig.add({ expiresAtMs: inMs(rig, 1_000) });
    const child = rig.add({ dependsOn: [parent.id] });

    rig.wake();

    expect(rig.entry(child).phase).toMatchObject({ kind: 'failed', error: { code: 'PARENT_FAILED' } });
  });

  test.each(LINE_FAILURES.filter(({ kind }) => kind !== 'unreachable'))(
    'Q15 · one that may have been sent is still sent: $kind',
    (answer) => {
      const rig = EngineRig.leading();
      const header = rig.add({ expiresAtMs: inMs(rig, 1_000) });
      rig.answer(answer);
      rig.pass(3_600_000);

      rig.input({ kind: 'tick' });

      expect(rig.entry(header).phase.kind).not.toBe('failed');
      expect(rig.settlements).toEqual([]);
    },
  );

  test('Q15 · one that expires while it is on its way is judged by the answer', () => {
    const answered = EngineRig.leading();
    const lost = EngineRig.leading();
    const unsent = EngineRig.leading();
    for (const rig of [answered, lost, unsent]) {
      rig.add({ expiresAtMs: inMs(rig, 1_000) });
      rig.pass(2_000);
      rig.input({ kind: 'tick' });
      expect(rig.settlements).toEqual([]);
    }

    answered.answerAll(applied);
    lost.answer({ kind: 'unknown', error: ERROR });
    unsent.answer({ kind: 'unreachable', error: ERROR });

    expect(answered.settlements).toMatchObject([{ kind: 'completed' }]);
    expect(lost.settlements).toEqual([]);
    expect(unsent.settlements).toMatchObject([{ kind: 'failed', deadLetter: { error: { code: 'EXPIRED' } } }]);
  });

  test('Q15 · a refusal shows that it was sent: it is tried again, expired or not', () => {
    const rig = EngineRig.leading();
    rig.add({ expiresAtMs: inMs(rig, 500) });
    rig.answerAll(refused);

    rig.wake();

    expect(rig.nowMs).toBe(1_001_000);
    expect(rig.batches).toHaveLength(2);
  });

  test('Q15 · found in storage it may have been sent, so only what still has its undo window can expire', () => {
    const rig = EngineRig.leading();
    const wallMs = rig.moment().wallMs;
    const maybe = { ...rig.header({ expiresAtMs: wallMs + 1_000 }), createdAtMs: wallMs };
    const held = { ...rig.header({ expiresAtMs: wallMs + 1_000, delayMs: 5_000 }), createdAtMs: wallMs };
    rig.input({ kind: 'paused' });
    rig.input({ kind: 'leadership', isLeader: false });
    rig.input({ kind: 'found', headers: [maybe, held], deadLetters: [] });
    rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 2 });

    rig.wake();

    expect(rig.entry(maybe).phase.kind).toBe('waiting');
    expect(rig.entry(held).phase.kind).toBe('failed');
  });

  test('Q15 · only the tab that delivers says so', () => {
    const rig = new EngineRig();
    const header = rig.add({ expiresAtMs: inMs(rig, 1_000) });
    expect(rig.wakeAtMs).toBeNull();
    rig.pass(2_000);
    rig.input({ kind: 'tick' });
    expect(rig.entry(header).phase.kind).toBe('waiting');
  });

  test('Q15 · inv-I17 · a wall clock set forward makes dead letters at worst, and one set back wakes nobody early for good', () => {
    const rig = EngineRig.leading();
    rig.input({ kind: 'paused' });
    const first = rig.add({ expiresAtMs: inMs(rig, 60_000) });
    const second = rig.add({ expiresAtMs: inMs(rig, 3_600_000) });

    // when: an hour back, the alarm rings as it was set
    rig.wallOffsetMs -= 3_600_000;
    rig.wake();
    expect(rig.entry(first).phase.kind).toBe('waiting');
    expect(rig.wakeAtMs).toBe(1_060_000 + 3_600_000);

    // when: ten years forward
    rig.wallOffsetMs += 315_360_000_000;
    rig.input({ kind: 'tick' });

    // then: nothing is gone
    expect([first, second].map((header) => rig.entry(header).phase.kind)).toEqual(['failed', 'failed']);
    expect(rig.engine.mutations.deadLetters.size).toBe(2);
  });

  test('Q15 · the alarm is set once, however much happens before it', () => {
    const rig = EngineRig.leading();
    rig.input({ kind: 'paused' });
    rig.add({ expiresAtMs: inMs(rig, 60_000) });
    for (let number = 0; number < 20; number += 1) {
      rig.pass(0.3);
      rig.add({ lane: `other ${number}` });
      expect(rig.effect('wakeAt')).toBeUndefined();
    }
  });

  test('Q15 · those that are confirmed in time are not kept in mind', () => {
    const rig = EngineRig.leading();
    // one that waits, and expires before all the others
    rig.add({ expiresAtMs: inMs(rig, 60_000), delayMs: 3_600_000 });
    for (let number = 0; number < 1_000; number += 1) {
      rig.add({ expiresAtMs: inMs(rig, 86_400_000) });
      rig.answerAll(applied);
    }
    expect(rig.engine.mutations.counts.pending).toBe(1);
    expect(rig.engine.mutations.expiries.size).toBeLessThan(100);

    rig.wake();
    expect(rig.settlements.at(-1)).toMatchObject({ kind: 'failed', deadLetter: { error: { code: 'EXPIRED' } } });
  });

  test('Q15 · it wakes for what comes first: the end of an undo window, or the time at which another expires', () => {
    const rig = EngineRig.leading();
    rig.add({ delayMs: 5_000 });
    const never = rig.add({ delayMs: 60_000, expiresAtMs: inMs(rig, 9_000) });

    rig.wake();
    expect(rig.nowMs).toBe(1_005_000);
    expect(rig.batches).toHaveLength(1);
    rig.answerAll(applied);

    rig.wake();
    expect(rig.nowMs).toBe(1_009_000);
    expect(rig.entry(never).phase.kind).toBe('failed');
  });
});
