import { describe, expect, test } from 'vitest';
import type { MutationHeader } from '../mutation/record.ts';
import { completePolicy } from '../mutation/delivery-policy.ts';
import { applied, EngineRig, rejected, seqsOf } from './testing-engine/engine-rig.ts';

const EDIT = { baseRowVersion: 1, ownSinceVersion: 1, rebases: 0, hlc: null, isPatch: false, conflict: null };
const ROW = { table: 'notes', id: 'n' };

/** A tab that has taken over, and reads what stands in the store. */
class ReadingRig extends EngineRig {
  begin(): void {
    this.input({ kind: 'reading', upToSeq: 0 });
    this.input({ kind: 'leadership', isLeader: true, earlierSeq: 1_000 });
  }

  /** A page is found; null for the last. */
  page(headers: readonly MutationHeader[], upToSeq: number | null): void {
    this.input({ kind: 'found', headers, deadLetters: [] });
    this.input({ kind: 'reading', upToSeq });
  }
}

describe('while the store is being read', () => {
  test('Q8 · what stands on two, found page by page, goes when both are confirmed', () => {
    const rig = new ReadingRig();
    rig.begin();
    const parents = [rig.header(), rig.header()];
    rig.page([...parents, rig.header({ dependsOn: ['m1', 'm2'] })], null);
    rig.answer([applied(parents[0] as MutationHeader)]);
    expect(seqsOf(rig.lastBatch)).toEqual([2]);
    rig.answerAll(applied);
    expect(seqsOf(rig.lastBatch)).toEqual([3]);
  });

  test('Q8 · nothing is given up that may have been taken back already: its page is read first', () => {
    const rig = new ReadingRig();
    const parents = [rig.header({ lane: 'a' }), rig.header({ lane: 'b' })];
    const children = [rig.header({ lane: 'c', dependsOn: ['m1'] }), rig.header({ lane: 'd', dependsOn: ['m2'] })];
    rig.input({ kind: 'found', headers: [...parents, ...children], deadLetters: [] });
    rig.begin();

    // One parent is disposed of by someone, the other is rejected; of a child this tab has missed that it was taken back.
    rig.input({ kind: 'discarded', ids: ['m1'] });
    rig.input({ kind: 'reading', upToSeq: 2 });
    rig.answerAll(rejected);
    expect(rig.settlements.map(({ kind }) => kind)).toEqual(['failed']);
    rig.input({ kind: 'discarded', ids: ['m3'] });

    rig.input({ kind: 'reading', upToSeq: null });
    expect(rig.settlements.slice(1)).toMatchObject([
      { kind: 'failed', deadLetter: { header: { id: 'm4' }, error: { code: 'PARENT_FAILED' } } },
    ]);
  });

  test('Q15, Q17, Q12 · nor does it expire, is too old or makes room before it is known to be there still: it may have been retried', () => {
    const rig = new ReadingRig();
    // In their undo windows, so that nobody can have sent them.
    const createdAtMs = rig.moment().wallMs;
    const expiring = { ...rig.header({ delayMs: 60_000, expiresAtMs: createdAtMs + 1_000 }), createdAtMs };
    const outdated = { ...rig.header({ delayMs: 60_000 }), createdAtMs };
    const low = { ...rig.header({ delayMs: 60_000, priority: 'low' }), createdAtMs };
    rig.standingOf = ({ id }) => (id === outdated.id ? 'outdated' : 'current');
    rig.input({ kind: 'found', headers: [expiring, outdated, low], deadLetters: [] });
    rig.begin();
    rig.pass(2_000);
    rig.input({ kind: 'tick' });
    rig.input({ kind: 'evict', count: 1, bytes: 0 });
    expect(rig.settlements).toEqual([]);

    rig.input({ kind: 'discarded', ids: [expiring.id] });
    rig.input({ kind: 'reading', upToSeq: 2 });
    expect(rig.settlements).toMatchObject([
      { kind: 'failed', deadLetter: { header: { id: outdated.id }, error: { code: 'OUTDATED' } } },
    ]);
    rig.input({ kind: 'reading', upToSeq: null });
    rig.input({ kind: 'evict', count: 1, bytes: 0 });
    expect(rig.settlements).toMatchObject([
      { deadLetter: { header: { id: outdated.id } } },
      { deadLetter: { header: { id: low.id }, error: { code: 'EVICTED' } } },
    ]);
  });

  test('S3 · what stands on the first pages goes, and the rest when all before it is read', () => {
    const rig = new ReadingRig();
    rig.begin();
    const first = [rig.header({ lane: 'a' }), rig.header({ lane: 'b' })];
    const second = [rig.header({ lane: 'a' }), rig.header({ lane: 'c' })];
    rig.input({ kind: 'found', headers: first, deadLetters: [] });
    expect(rig.batches).toEqual([]);
    rig.input({ kind: 'reading', upToSeq: 2 });
    expect(seqsOf(rig.lastBatch)).toEqual([1, 2]);

    rig.input({ kind: 'found', headers: second, deadLetters: [] });
    rig.answerAll(applied);
    expect(rig.batches.length).toBe(1);
    expect(rig.engine.isBusy(rig.nowMs)).toBe(true);

    rig.input({ kind: 'reading', upToSeq: null });
    expect(seqsOf(rig.lastBatch)).toEqual([3, 4]);
  });

  test('S3 · a lane is let go page by page, and one that is read only later is not looked at before', () => {
    const rig = new ReadingRig();
    rig.begin();
    rig.page([rig.header({ lane: 'a' }), rig.header({ lane: 'b' }), rig.header({ lane: 'c' })], 1);
    expect(seqsOf(rig.lastBatch)).toEqual([1]);
    rig.answerAll(applied);

    rig.input({ kind: 'reading', upToSeq: 2 });
    expect(seqsOf(rig.lastBatch)).toEqual([2]);
  });

  test('P12 · the server is never told that something is settled which is not read yet', () => {
    const rig = new ReadingRig();
    const dead = rig.header({ seq: 90 });
    rig.input({
      kind: 'found',
      headers: [],
      deadLetters: [
        { header: dead, error: { category: 'NOT_FOUND', code: 'X', message: 'x' }, failedAtMs: 0, holdsLane: false },
      ],
    });
    rig.begin();
    rig.page([rig.header({ seq: 1 })], 1);
    expect(rig.lastBatch.acknowledgedFloor).toBe(0);
    rig.answerAll(applied);

    rig.page([rig.header({ seq: 50 })], 60);
    expect(rig.lastBatch.acknowledgedFloor).toBe(49);
    rig.answerAll(applied);
    rig.page([rig.header({ seq: 100 }), rig.header({ seq: 101 })], 100);
    expect(rig.lastBatch.acknowledgedFloor).toBe(99);
  });

  test('S3 · an edit waits until all edits of its row are read', () => {
    const rig = new ReadingRig();
    rig.begin();
    rig.page([{ ...rig.header({ entity: ROW }), edit: EDIT }], 1);
    expect(rig.batches).toEqual([]);

    rig.input({ kind: 'reading', upToSeq: null });
    expect(seqsOf(rig.lastBatch)).toEqual([1]);
  });

  test('S3 · an edit that is read only now takes note of what this device has left of its row meanwhile', () => {
    const rig = new ReadingRig();
    rig.begin();
    rig.page([rig.header({ lane: 'n', entity: ROW })], 1);
    rig.answer([{ seq: 1, id: 'm1', kind: 'applied', result: null, rowVersion: 2 }]);

    rig.page([{ ...rig.header({ lane: 'n', entity: ROW }), edit: EDIT }], null);

    expect(rig.lastBatch.items[0]?.header.edit).toMatchObject({ baseRowVersion: 2 });
  });

  test('S3 · what is left of rows is remembered for as long as edits are read, however many rows there are', () => {
    const rig = new ReadingRig();
    rig.begin();
    const rowOf = (id: number) => ({ lane: `row ${id}`, entity: { table: 'notes', id: `row ${id}` } });
    const headers = Array.from({ length: 300 }, (_, index) => rig.header(rowOf(index)));
    rig.page(headers, 300);
    for (let answered = 0; answered < 300; ) {
      const { items } = rig.lastBatch;
      answered += items.length;
      rig.answer(items.map(({ header: { seq, id } }) => ({ seq, id, kind: 'applied', result: null, rowVersion: 2 })));
    }

    rig.page([{ ...rig.header(rowOf(0)), edit: EDIT }, rig.header(rowOf(301))], null);
    expect(rig.lastBatch.items[0]?.header.edit).toMatchObject({ baseRowVersion: 2 });

    // Then only the last ones.
    rig.answer([
      { seq: 301, id: 'm301', kind: 'applied', result: null, rowVersion: 3 },
      { seq: 302, id: 'm302', kind: 'applied', result: null, rowVersion: 2 },
    ]);
    expect(rig.engine.mutations.leftOf(headers[0] as MutationHeader)).not.toBeNull();
    expect(rig.engine.mutations.leftOf(headers[1] as MutationHeader)).toBeNull();
  });

  test('N4 · what a policy may hold back waits until it is known how much waits', () => {
    const policy = completePolicy({ strategy: 'batched', batchCount: 1 });
    const rig = new ReadingRig({ jitter: 'none' }, () => policy);
    rig.begin();
    rig.page([rig.header()], 1);
    expect(rig.batches).toEqual([]);

    rig.input({ kind: 'reading', upToSeq: null });
    expect(seqsOf(rig.lastBatch)).toEqual([1]);
  });

  test('Q8 · what stands behind a creation that has failed is not sent, though it is read only now', () => {
    const rig = new ReadingRig();
    rig.begin();
    rig.page([rig.header({ lane: 'n', entity: ROW, operation: 'create' })], 1);
    rig.answerAll(rejected);

    rig.page([rig.header({ lane: 'n', entity: ROW }), rig.header({ lane: 'o', entity: { ...ROW, id: 'o' } })], null);

    expect(seqsOf(rig.lastBatch)).toEqual([3]);
    expect(rig.settlements.at(-1)).toMatchObject({
      kind: 'failed',
      deadLetter: { header: { seq: 2 }, error: { code: 'PARENT_FAILED' } },
    });
    // What is added from now on is the app's own decision.
    rig.answerAll(applied);
    rig.add({ lane: 'n', entity: ROW });
    expect(seqsOf(rig.lastBatch)).toEqual([4]);
  });

  test('Q8 · a row that is made again carries what stands behind it', () => {
    const rig = new ReadingRig();
    const row = { lane: 'n', entity: ROW };
    const create = { ...row, operation: 'create' } as const;
    rig.begin();
    rig.page([rig.header(create)], 1);
    rig.answerAll(rejected);

    rig.page([rig.header(create), rig.header(row)], 3);
    expect(seqsOf(rig.lastBatch)).toEqual([2]);
    rig.page([rig.header(create)], 4);
    rig.answerAll(rejected);
    // Made once more by 4, which was known when 2 failed.
    rig.answerAll(applied);
    rig.page([rig.header(row)], null);
    expect(seqsOf(rig.lastBatch)).toEqual([5]);
    expect(rig.engine.mutations.counts.failed).toBe(3);
  });

  test('Q7 · behind a creation that holds its lane it waits with the lane', () => {
    const rig = new ReadingRig();
    rig.onDeadLetter = 'hold';
    rig.begin();
    rig.page([rig.header({ lane: 'n', entity: ROW, operation: 'create' })], 1);
    rig.answerAll(rejected);
    const behind = rig.header({ lane: 'n', entity: ROW });
    rig.page([behind], null);

    expect(rig.batches.length).toBe(1);
    expect(rig.waiting(behind).waitingFor).toBe('lane');
  });

  test('Q8 · what the server returns is kept whole while those that may wait for it are read', () => {
    const rig = new ReadingRig();
    const result = { deep: { id: 'given' }, text: 'x'.repeat(100_000) };
    rig.begin();
    rig.page([rig.header()], 1);
    rig.answer([{ seq: 1, id: 'm1', kind: 'applied', result }]);
    expect(rig.settlements[0]).toMatchObject({ record: { result } });

    rig.page([rig.header()], null);
    rig.answer([{ seq: 2, id: 'm2', kind: 'applied', result }]);
    expect(rig.settlements[1]).not.toHaveProperty('record.result');
  });
});
