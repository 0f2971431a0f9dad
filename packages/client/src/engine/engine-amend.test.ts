import { describe, expect, test } from 'vitest';
import { applied, EngineRig, ERROR, seqsOf } from './testing-engine/engine-rig.ts';

/** One that is paused, so that nothing is sent before the test says so. */
function pausedRig(): EngineRig {
  const rig = EngineRig.leading();
  rig.input({ kind: 'paused' });
  return rig;
}

describe('rewriting what was never sent', () => {
  test('Q21 · while it is rewritten it is not sent, its lane waits, and others go on', () => {
    const rig = pausedRig();
    const [first, second, other] = rig.addAll([{ lane: 'a' }, { lane: 'a' }, { lane: 'b' }]);
    rig.input({ kind: 'keepBack', ids: [first?.id ?? ''], amendId: 'amend 1' });

    rig.input({ kind: 'resumed' });

    expect(seqsOf(rig.lastBatch)).toEqual([other?.seq]);
    rig.answerAll(applied);
    expect(rig.engine.isBusy(rig.nowMs), 'a drain waits for it').toBe(true);
    expect(second && rig.waiting(second).waitingFor).toBe('lane');
  });

  test('Q21 · rewritten, it goes in its old place with its new header', () => {
    const rig = pausedRig();
    const [first] = rig.addAll([{ lane: 'a', payloadBytes: 100 }, { lane: 'a' }]);
    if (first === undefined) throw new Error('Two were added.');
    rig.input({ kind: 'keepBack', ids: [first.id], amendId: 'amend 1' });
    rig.input({ kind: 'resumed' });

    rig.input({ kind: 'amended', headers: [{ ...first, payloadBytes: 250, bodyChecksum: 7, revision: 1 }] });

    expect(rig.lastBatch.items).toMatchObject([{ header: { seq: first.seq, bodyChecksum: 7, revision: 1 } }]);
    expect(rig.engine.mutations.counts.pendingBytes).toBe(350);
  });

  test('Q21 · let go without a change, it goes as it was; let go under another id, it does not', () => {
    const rig = pausedRig();
    const header = rig.add();
    rig.input({ kind: 'keepBack', ids: [header.id], amendId: 'amend 2' });
    rig.input({ kind: 'resumed' });

    rig.input({ kind: 'letGo', amendId: 'amend 1' });
    expect(rig.batches).toEqual([]);

    rig.input({ kind: 'letGo', amendId: 'amend 2' });
    expect(seqsOf(rig.lastBatch)).toEqual([header.seq]);
  });

  test('Q21 · what is on its way, may have been sent, or is being rewritten is not kept back', () => {
    const rig = EngineRig.leading();
    const [uncertain, kept] = rig.addAll([{ lane: 'a' }, { lane: 'a' }]);
    rig.answer({ kind: 'unknown', error: ERROR });
    const ids = [uncertain, kept].map((header) => header?.id ?? '');

    rig.input({ kind: 'keepBack', ids, amendId: 'amend 1' });
    rig.input({ kind: 'keepBack', ids, amendId: 'amend 2' });

    expect(ids.map((id) => rig.engine.mutations.get(id)?.amendId)).toEqual([null, 'amend 1']);
  });

  test('Q21 · an older revision changes nothing, however late it comes', () => {
    const rig = pausedRig();
    const header = rig.add();
    rig.input({ kind: 'amended', headers: [{ ...header, payloadBytes: 2, revision: 2 }] });

    rig.input({ kind: 'amended', headers: [{ ...header, payloadBytes: 1, revision: 1 }] });
    rig.input({ kind: 'found', headers: [header], deadLetters: [] });

    expect(rig.entry(header).header).toMatchObject({ payloadBytes: 2, revision: 2 });
  });

  test('Q21 · a rewriting that this tab missed is found in storage', () => {
    const rig = new EngineRig();
    const header = rig.add();

    rig.input({ kind: 'found', headers: [{ ...header, payloadBytes: 1, revision: 1 }], deadLetters: [] });

    expect(rig.entry(header).header.revision).toBe(1);
    expect(rig.effect('changed')?.ids).toEqual([header.id]);
  });

  test('Q21 · with the lead everything is let go: the next one to deliver keeps back anew', () => {
    const rig = pausedRig();
    const header = rig.add();
    rig.input({ kind: 'keepBack', ids: [header.id], amendId: 'amend 1' });

    rig.input({ kind: 'leadership', isLeader: false });

    expect(rig.entry(header).amendId).toBeNull();
  });

  test('Q15 · an undo window that began anew is waited for', () => {
    const rig = EngineRig.leading();
    const header = { ...rig.header({ delayMs: 5_000 }), createdAtMs: rig.moment().wallMs };
    rig.input({ kind: 'added', headers: [header] });
    rig.pass(4_000);
    rig.input({ kind: 'keepBack', ids: [header.id], amendId: 'amend 1' });

    rig.input({ kind: 'amended', headers: [{ ...header, createdAtMs: rig.moment().wallMs, revision: 1 }] });

    expect(rig.waiting(header)).toMatchObject({ waitingFor: 'delay', untilMs: rig.nowMs + 5_000 });
    rig.wake();
    rig.wake();
    expect(seqsOf(rig.lastBatch)).toEqual([header.seq]);
  });

  test('Q8 · one whose parent dies meanwhile is a dead letter as soon as it is let go', () => {
    const rig = EngineRig.leading();
    const parent = rig.add({ lane: 'a' });
    const child = rig.add({ lane: 'b', dependsOn: [parent.id] });
    rig.input({ kind: 'keepBack', ids: [child.id], amendId: 'amend 1' });
    rig.answer([{ seq: parent.seq, id: parent.id, kind: 'rejected', error: ERROR }]);
    expect(rig.settlements).toHaveLength(1);

    rig.input({ kind: 'amended', headers: [{ ...child, revision: 1 }] });

    expect(rig.settlements).toMatchObject([
      {},
      { kind: 'failed', deadLetter: { header: { id: child.id, revision: 1 }, error: { code: 'PARENT_FAILED' } } },
    ]);
  });
});
