import { describe, expect, test } from 'vitest';
import type { EditHeader, MutationHeader } from '../mutation/record.ts';
import type { WireConflict, WireOutcome } from '../protocol/wire.ts';
import { conflictAmendId } from './entry.ts';
import { EngineRig, ERROR, seqsOf } from './testing-engine/engine-rig.ts';

const EDIT: EditHeader = {
  baseRowVersion: 3,
  ownSinceVersion: 3,
  rebases: 0,
  hlc: null,
  isPatch: false,
  conflict: null,
};

function addEdits(rig: EngineRig, count: number, edit: Partial<EditHeader> = {}): readonly MutationHeader[] {
  const headers = Array.from({ length: count }, () => ({
    ...rig.header({ lane: 'a' }),
    entity: { table: 'notes', id: 'a' },
    edit: { ...EDIT, ...edit },
  }));
  rig.input({ kind: 'added', headers });
  return headers;
}

const conflict = ({ seq, id }: MutationHeader, baseRowVersion = 3): WireConflict => ({
  seq,
  id,
  kind: 'conflict',
  baseRowVersion,
  current: {},
  rowVersion: 9,
  error: ERROR,
});

const applied = ({ seq, id }: MutationHeader, rowVersion: number): WireOutcome => ({
  seq,
  id,
  kind: 'applied',
  result: {},
  rowVersion,
});

function only(headers: readonly MutationHeader[]): MutationHeader {
  const [header] = headers;
  if (header === undefined) throw new Error('There is none.');
  return header;
}

test('Q8, C1 · while what an edit is made on is written, nobody fills in its values: one of the two would be lost', () => {
  const rig = EngineRig.leading();
  rig.keepsResult = true;
  rig.isStorageSlow = true;
  const parent = rig.header({ lane: 'parent', type: 'parent.create' });
  rig.input({ kind: 'added', headers: [parent] });
  const row = { entity: { table: 'notes', id: 'a' }, edit: EDIT };
  const first = { ...rig.header({ lane: 'a', delayMs: 1_000 }), ...row };
  const slot = { placeholder: 'p', parentId: parent.id, from: ['id'] };
  const second = { ...rig.header({ lane: 'a', dependsOn: [parent.id], slots: [slot] }), ...row };
  rig.input({ kind: 'added', headers: [first, second] });
  rig.answerAll((header) => applied(header, 1));
  rig.wake();
  rig.answerAll((header) => applied(header, 4));
  const rebased = rig.settlements.flatMap((each) => (each.kind === 'rebased' ? [each.header] : []));
  expect(rebased).toMatchObject([{ id: second.id, revision: 1, edit: { baseRowVersion: 4 } }]);

  rig.input({ kind: 'settlementsStored', seqs: [parent.seq] });
  expect(rig.effect('fillSlots')).toBeUndefined();
  rig.input({ kind: 'headersStored', headers: rebased });

  expect(rig.effect('fillSlots')?.headers).toEqual(rebased);
});

describe('an edit in conflict', () => {
  test('C1 · it asks for a decision, uses up no retry, and is not sent meanwhile', () => {
    const rig = EngineRig.leading();
    const header = only(addEdits(rig, 1));
    rig.answerAll(conflict);
    expect(rig.effect('resolve')).toMatchObject({ header: { id: header.id }, conflict: { rowVersion: 9 } });
    expect(rig.settlements).toEqual([]);
    rig.pass(600_000);
    rig.input({ kind: 'tick' });
    expect(rig.batches).toHaveLength(1);
  });

  test('C1 · a conflict about an earlier form is no answer: the later form goes again', () => {
    const rig = EngineRig.leading();
    const header = only(addEdits(rig, 1, { baseRowVersion: 9, rebases: 1 }));
    rig.answer([conflict(header, 3)]);
    expect(rig.effect('resolve')).toBeUndefined();
    rig.wake();
    expect(seqsOf(rig.lastBatch)).toEqual([header.seq]);
  });

  test('C1 · made anew it goes only once that is stored', () => {
    const rig = EngineRig.leading();
    const header = only(addEdits(rig, 1));
    rig.answerAll(conflict);
    rig.isStorageSlow = true;
    const edit = { ...EDIT, baseRowVersion: 9, ownSinceVersion: 9, rebases: 1 };
    rig.input({ kind: 'resolved', header: { ...header, revision: 1, bodyChecksum: 7, edit }, body: '{}' });
    expect(rig.settlements).toMatchObject([{ kind: 'rebased', body: '{}', header: { edit: { rebases: 1 } } }]);
    expect(rig.batches).toHaveLength(1);
    rig.input({ kind: 'headersStored', headers: [{ seq: header.seq, revision: 1 }] });
    expect(rig.lastBatch.items).toMatchObject([{ header: { bodyChecksum: 7 } }]);
  });

  test('C1 · in conflict time and again it lets some time pass', () => {
    const rig = EngineRig.leading();
    const header = only(addEdits(rig, 1, { baseRowVersion: 3, rebases: 4 }));
    rig.answerAll(conflict);
    rig.input({ kind: 'letGo', amendId: conflictAmendId(header.id) });
    expect(rig.batches).toHaveLength(1);
    expect(rig.waiting(header).waitingFor).toBe('backoff');
    rig.wake();
    expect(rig.batches).toHaveLength(2);
  });

  test('C1 · while a person has not chosen it waits for that, whatever the gates, and its lane with it', () => {
    const rig = EngineRig.leading();
    const openConflict = { detectedAtMs: 1, fields: [['title']] };
    const [header, behind] = addEdits(rig, 2, { conflict: openConflict });
    rig.input({ kind: 'hint', hint: 'nudge' });
    expect(rig.batches).toEqual([]);
    expect(header && rig.waiting(header)).toMatchObject({ waitingFor: 'conflict', error: { code: 'ROW_CHANGED' } });
    expect(behind && rig.waiting(behind).waitingFor).toBe('lane');
    expect(rig.engine.isBusy(rig.nowMs), 'a drain does not wait for a person').toBe(false);
  });

  test('C1 · giving way takes those with it that stand on it, and a decision of another tab is not taken', () => {
    const rig = EngineRig.leading();
    const header = only(addEdits(rig, 1));
    rig.add({ dependsOn: [header.id] });
    rig.input({ kind: 'superseded', id: header.id, payload: {} });
    expect(rig.settlements, 'it was not asked').toEqual([]);
    rig.answerAll(conflict);
    rig.input({ kind: 'superseded', id: header.id, payload: { title: 'lost' } });
    expect(rig.settlements).toMatchObject([
      { kind: 'cancelled', reason: 'superseded', payload: { title: 'lost' } },
      { kind: 'failed', deadLetter: { error: { code: 'PARENT_FAILED' } } },
    ]);
  });
});

describe('edits on top of each other', () => {
  test('C1 · each is made on what the one before it left, however many there are', () => {
    const rig = EngineRig.leading();
    addEdits(rig, 4);
    for (let rowVersion = 4; rowVersion < 8; rowVersion += 1) {
      expect(rig.lastBatch.items).toMatchObject([{ header: { edit: { baseRowVersion: rowVersion - 1 } } }]);
      rig.answerAll((header) => applied(header, rowVersion));
    }
    expect(rig.settlements.filter(({ kind }) => kind === 'rebased')).toHaveLength(3);
  });

  test('C1 · also behind changes that are held to no version', () => {
    const rig = EngineRig.leading();
    const entity = { table: 'notes', id: 'a' };
    const plain = [1, 2].map(() => ({ ...rig.header({ lane: 'a' }), entity }));
    rig.input({ kind: 'added', headers: plain });
    addEdits(rig, 2);
    for (let rowVersion = 4; rowVersion < 7; rowVersion += 1) rig.answerAll((header) => applied(header, rowVersion));
    expect(rig.lastBatch.items).toMatchObject([{ header: { edit: { baseRowVersion: 6, ownSinceVersion: 3 } } }]);
  });

  test.each<[string, string | null, object]>([
    [
      'behind a creation it is made on that, whatever its row begins to count at',
      null,
      { baseRowVersion: 7, ownSinceVersion: 0 },
    ],
    [
      'behind one that was made anew, it stays as it was made: the first may have left the row to others',
      'first',
      { baseRowVersion: 0 },
    ],
  ])('C1 · %s', (_, replaces, edit) => {
    const rig = EngineRig.leading();
    const row = { entity: { table: 'notes', id: 'a' } };
    const created = { ...rig.header({ lane: 'a', operation: 'create' }), ...row, replaces };
    const edited = { ...rig.header({ lane: 'a' }), ...row, edit: { ...EDIT, baseRowVersion: 0, ownSinceVersion: 0 } };
    rig.input({ kind: 'added', headers: [created, edited] });

    rig.answerAll((header) => applied(header, 7));

    expect(rig.lastBatch.items).toMatchObject([{ header: { id: edited.id, edit } }]);
  });

  test('C1 · what someone else changed in between stays a conflict', () => {
    const rig = EngineRig.leading();
    addEdits(rig, 2);
    // The first was made anew on version 8, which the second knows nothing of.
    const [first] = rig.lastBatch.items;
    if (first === undefined) throw new Error('One is on its way.');
    rig.answerAll(conflict);
    const edit = { ...EDIT, baseRowVersion: 8, ownSinceVersion: 8, rebases: 1 };
    rig.input({ kind: 'resolved', header: { ...first.header, revision: 1, edit }, body: '{}' });
    rig.answerAll((header) => applied(header, 9));
    expect(rig.lastBatch.items).toMatchObject([{ header: { edit: { baseRowVersion: 3 } } }]);
  });

  test('C1 · while the next one is being rewritten, the one before it is asked about again: a crash would lose what it has left', () => {
    const rig = EngineRig.leading();
    const [first, second] = addEdits(rig, 2);
    if (first === undefined || second === undefined) throw new Error('Two were added.');
    rig.input({ kind: 'keepBack', ids: [second.id], amendId: 'amend 1' });
    rig.answerAll((header) => applied(header, 4));
    expect(rig.settlements).toEqual([]);

    rig.input({ kind: 'amended', headers: [{ ...second, revision: 1, bodyChecksum: 5 }] });
    rig.wake();
    expect(seqsOf(rig.lastBatch)).toEqual([first.seq]);
    rig.answerAll(({ seq, id }) => ({ seq, id, kind: 'duplicate', verdict: 'applied', result: {}, rowVersion: 4 }));

    expect(rig.settlements).toMatchObject([
      { kind: 'completed', record: { id: first.id } },
      { kind: 'rebased', header: { revision: 2, bodyChecksum: 5, edit: { baseRowVersion: 4 } } },
    ]);
    expect(rig.lastBatch.items).toMatchObject([{ header: { bodyChecksum: 5, edit: { baseRowVersion: 4 } } }]);
  });

  test('C1 · one that was being stored while the one before it was confirmed is made on what that left', () => {
    const rig = EngineRig.leading();
    addEdits(rig, 1);
    rig.answerAll((header) => applied(header, 4));
    addEdits(rig, 1);
    expect(rig.lastBatch.items).toMatchObject([{ header: { edit: { baseRowVersion: 4, ownSinceVersion: 3 } } }]);
  });

  test('C1 · one that was made on fresher data than what was left here stays as it was made', () => {
    const rig = EngineRig.leading();
    addEdits(rig, 1);
    rig.answerAll((header) => applied(header, 4));
    addEdits(rig, 1, { baseRowVersion: 9, ownSinceVersion: 9 });
    expect(rig.lastBatch.items).toMatchObject([{ header: { edit: { baseRowVersion: 9, ownSinceVersion: 9 } } }]);
  });

  test('C1 · nobody rewrites one whose new base is not stored yet', () => {
    const rig = EngineRig.leading();
    const [, second] = addEdits(rig, 2);
    rig.isStorageSlow = true;
    rig.input({ kind: 'paused' });
    rig.answerAll((header) => applied(header, 4));
    rig.input({ kind: 'keepBack', ids: [second?.id ?? ''], amendId: 'amend 1' });
    expect(second && rig.entry(second).amendId).toBeNull();
    rig.input({ kind: 'headersStored', headers: [{ seq: second?.seq ?? 0, revision: 1 }] });
    rig.input({ kind: 'keepBack', ids: [second?.id ?? ''], amendId: 'amend 2' });
    expect(second && rig.entry(second).amendId).toBe('amend 2');
  });

  test('C1 · another tab hears of the new base, however the messages arrive', () => {
    const rig = new EngineRig();
    const [, second] = addEdits(rig, 2);
    if (second === undefined) throw new Error('Two were added.');
    const header = { ...second, revision: 1, edit: { ...EDIT, baseRowVersion: 4 } };
    rig.input({ kind: 'settledElsewhere', settlements: [{ kind: 'rebased', header, body: null }] });
    rig.input({ kind: 'settledElsewhere', settlements: [{ kind: 'rebased', header: second, body: null }] });
    expect(rig.entry(second).header.edit?.baseRowVersion).toBe(4);
  });
});

describe('what a decision comes too late for', () => {
  test('C1 · the tab that lost the lead decides nothing any more', () => {
    const rig = EngineRig.leading();
    const header = only(addEdits(rig, 1));
    rig.answerAll(conflict);
    rig.input({ kind: 'leadership', isLeader: false });

    rig.input({ kind: 'superseded', id: header.id, payload: {} });
    rig.input({ kind: 'resolved', header: { ...header, revision: 1 }, body: '{}' });

    expect(rig.settlements).toEqual([]);
    expect(rig.entry(header).header.revision).toBe(0);
  });

  test('C1 · a header that was stored after the lead was lost lets nothing go', () => {
    const rig = EngineRig.leading();
    const header = only(addEdits(rig, 1));
    rig.isStorageSlow = true;
    rig.answerAll(conflict);
    rig.input({ kind: 'resolved', header: { ...header, revision: 1, edit: { ...EDIT, rebases: 1 } }, body: '{}' });
    rig.input({ kind: 'leadership', isLeader: false });
    rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 0 });
    rig.input({ kind: 'paused' });

    rig.input({ kind: 'headersStored', headers: [{ seq: header.seq, revision: 1 }] });

    expect(rig.effect('changed')).toBeUndefined();
  });

  test('C1 · a conflict that was found and not stored before the lead was lost is none: led again, the edit is sent and decided anew', () => {
    const rig = EngineRig.leading();
    const header = only(addEdits(rig, 1));
    rig.isStorageSlow = true;
    rig.answerAll(conflict);
    const edit = { ...EDIT, conflict: { detectedAtMs: 1, fields: [['title']] } };
    rig.input({ kind: 'resolved', header: { ...header, revision: 1, edit }, body: '{}' });
    expect(rig.entry(header).header.edit?.conflict).not.toBeNull();

    rig.input({ kind: 'leadership', isLeader: false });

    expect(rig.entry(header).header).toEqual(header);
    expect(rig.engine.mutations.openConflicts.size).toBe(0);
    rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 1 });
    expect(seqsOf(rig.lastBatch)).toEqual([header.seq]);
    expect(rig.batches).toHaveLength(2);
  });

  test('C1 · what has become of it meanwhile stays when the lead is lost: rewritten once more, given up, or disposed of', () => {
    const rig = EngineRig.leading();
    const headers = ['x', 'y', 'z'].map((lane) => ({
      ...rig.header({ lane }),
      entity: { table: 'notes', id: lane },
      edit: EDIT,
    }));
    const [rewrittenOne, givenUp, gone] = headers as [MutationHeader, MutationHeader, MutationHeader];
    rig.input({ kind: 'added', headers });
    rig.isStorageSlow = true;
    rig.answerAll(conflict);
    const edit = { ...EDIT, conflict: { detectedAtMs: 1, fields: [['title']] } };
    for (const header of headers) rig.input({ kind: 'resolved', header: { ...header, revision: 1, edit }, body: '{}' });
    rig.input({ kind: 'amended', headers: [{ ...rewrittenOne, revision: 2 }] });
    rig.input({ kind: 'givenUp', seqs: [givenUp.seq], error: ERROR });
    rig.input({ kind: 'settlementsStored', seqs: [givenUp.seq] });
    rig.input({ kind: 'discarded', ids: [gone.id] });

    rig.input({ kind: 'leadership', isLeader: false });

    expect(rig.entry(rewrittenOne).header.revision).toBe(2);
    expect(rig.entry(givenUp).phase.kind).toBe('failed');
    expect(rig.engine.mutations.get(gone.id)).toBeUndefined();
  });

  test('C1 · what an edit is made on, and was not stored before the lead was lost, is as the store has it; another tab’s word of it counts', () => {
    const rig = EngineRig.leading();
    const [, second] = addEdits(rig, 2);
    if (second === undefined) throw new Error('Two were added.');
    rig.isStorageSlow = true;
    rig.input({ kind: 'paused' });
    rig.answerAll((header) => applied(header, 4));
    rig.input({ kind: 'leadership', isLeader: false });
    expect(rig.entry(second).header).toEqual(second);

    const theirs = { ...second, revision: 1, edit: { ...EDIT, baseRowVersion: 7 } };
    rig.input({ kind: 'amended', headers: [theirs] });

    expect(rig.entry(second).header).toEqual(theirs);
  });

  test('C1 · an edit that goes whatever the row is has no conflict: such an answer is none, and it goes again', () => {
    const rig = EngineRig.leading();
    const header = only(addEdits(rig, 1, { baseRowVersion: null, ownSinceVersion: null, rebases: 1 }));
    rig.answerAll((each) => conflict(each, 3));
    expect(rig.effect('resolve')).toBeUndefined();
    rig.wake();
    expect(seqsOf(rig.lastBatch)).toEqual([header.seq]);
  });
});

describe('what an edit without an effect leaves to the next', () => {
  const other = (rig: EngineRig, edit: Partial<EditHeader>): MutationHeader => ({
    ...rig.header({ lane: 'a' }),
    entity: { table: 'notes', id: 'a' },
    edit: { ...EDIT, ...edit },
  });

  test('C1 · of three edits made offline the second is refused for good: the third is made on what the first left', () => {
    const rig = EngineRig.leading();
    addEdits(rig, 3);
    rig.answerAll((header) => applied(header, 4));
    rig.answer([{ seq: 2, id: 'm2', kind: 'rejected', error: ERROR }]);

    expect(rig.lastBatch.items).toMatchObject([
      { header: { seq: 3, edit: { baseRowVersion: 4, ownSinceVersion: 3 } } },
    ]);
  });

  test('C1 · an edit that is held to no version stays so, whatever the ones before it leave', () => {
    const rig = EngineRig.leading();
    const headers = [other(rig, {}), other(rig, { baseRowVersion: null, ownSinceVersion: null }), other(rig, {})];
    rig.input({ kind: 'added', headers });
    rig.answerAll((header) => applied(header, 4));

    expect(rig.lastBatch.items).toMatchObject([{ header: { seq: 2, edit: { baseRowVersion: null } } }]);
    rig.answerAll((header) => applied(header, 5));
    expect(rig.lastBatch.items).toMatchObject([{ header: { seq: 3, edit: { baseRowVersion: 5 } } }]);
  });

  test('C1 · one that was made on no version by this device alone passes on where it stands now', () => {
    const rig = EngineRig.leading();
    rig.input({ kind: 'added', headers: [other(rig, {}), other(rig, { ownSinceVersion: null })] });
    rig.answerAll((header) => applied(header, 4));
    expect(rig.lastBatch.items).toMatchObject([
      { header: { seq: 2, edit: { baseRowVersion: 4, ownSinceVersion: 3 } } },
    ]);
  });

  test('C1 · what was left of a row is kept in mind for the last 200 rows', () => {
    const rig = EngineRig.leading();
    const editOf = (row: number): MutationHeader => ({
      ...rig.header({ lane: `row ${row}` }),
      entity: { table: 'notes', id: String(row) },
      edit: EDIT,
    });
    for (let row = 1; row <= 201; row += 1) {
      rig.input({ kind: 'added', headers: [editOf(row)] });
      rig.answerAll((header) => applied(header, 4));
    }

    rig.input({ kind: 'added', headers: [editOf(1)] });
    expect(rig.lastBatch.items).toMatchObject([{ header: { edit: { baseRowVersion: 3 } } }]);
    rig.answerAll((header) => applied(header, 5));
    rig.input({ kind: 'added', headers: [editOf(2)] });
    expect(rig.lastBatch.items).toMatchObject([{ header: { edit: { baseRowVersion: 3 } } }]);
    rig.answerAll((header) => applied(header, 5));
    rig.input({ kind: 'added', headers: [editOf(201)] });
    expect(rig.lastBatch.items).toMatchObject([{ header: { edit: { baseRowVersion: 4 } } }]);
  });
});

describe('edits that did not know of one another', () => {
  test('C1 · what another tab has stored just before is a conflict; what the tab knew is not', () => {
    const rig = EngineRig.leading();
    const first = only(addEdits(rig, 1, { afterSeq: 0 }));
    const unaware = only(addEdits(rig, 1, { afterSeq: 0 }));
    const aware = only(addEdits(rig, 1, { afterSeq: unaware.seq }));

    rig.answer([applied(first, 4)]);
    expect(rig.entry(unaware).header.edit).toMatchObject({ baseRowVersion: 3 });
    expect(rig.entry(aware).header.edit).toMatchObject({ baseRowVersion: 3 });

    rig.input({ kind: 'discarded', ids: [unaware.id] });
    expect(rig.entry(aware).header.edit).toMatchObject({ baseRowVersion: 3 });
  });

  test('C1 · those of another tab that knew of neither do not part an edit from the one it was made on', () => {
    const rig = EngineRig.leading();
    const first = only(addEdits(rig, 1, { afterSeq: 0 }));
    const unaware = only(addEdits(rig, 1, { afterSeq: 0 }));
    const onTop = only(addEdits(rig, 1, { afterSeq: unaware.seq }));
    const second = only(addEdits(rig, 1, { afterSeq: first.seq }));

    rig.answer([applied(first, 4)]);

    expect(rig.entry(unaware).header.edit).toMatchObject({ baseRowVersion: 3 });
    expect(rig.entry(onTop).header.edit).toMatchObject({ baseRowVersion: 3 });
    expect(rig.entry(second).header.edit).toMatchObject({ baseRowVersion: 4, ownSinceVersion: 3 });
  });

  test('C1 · one that comes to nothing leaves what it was made on to those that knew that, and not to those that did not', () => {
    const rig = EngineRig.leading();
    const first = only(addEdits(rig, 1, { afterSeq: 0 }));
    const second = only(addEdits(rig, 1, { afterSeq: first.seq }));
    const unaware = only(addEdits(rig, 1, { afterSeq: 0 }));
    const aware = only(addEdits(rig, 1, { afterSeq: first.seq }));
    rig.answer([applied(first, 4)]);

    rig.answer([{ seq: second.seq, id: second.id, kind: 'rejected', error: ERROR }]);

    expect(rig.entry(unaware).header.edit).toMatchObject({ baseRowVersion: 3 });
    expect(rig.entry(aware).header.edit).toMatchObject({ baseRowVersion: 4, ownSinceVersion: 3 });
  });

  test('C1 · nor is it lost where a tab that takes over does not know who has left it', () => {
    const rig = EngineRig.leading();
    const second = only(addEdits(rig, 1, { afterSeq: 0, baseRowVersion: 4, ownSinceVersion: 3 }));
    const third = only(addEdits(rig, 1, { afterSeq: second.seq }));

    rig.answer([{ seq: second.seq, id: second.id, kind: 'rejected', error: ERROR }]);

    expect(rig.entry(third).header.edit).toMatchObject({ baseRowVersion: 4, ownSinceVersion: 3 });
  });

  test('C1 · one that was on its way into the store when the other was confirmed takes up only what its tab knew', () => {
    const rig = EngineRig.leading();
    const first = only(addEdits(rig, 1, { afterSeq: 0 }));
    rig.answer([applied(first, 4)]);

    const unaware = only(addEdits(rig, 1, { afterSeq: 0 }));
    expect(rig.entry(unaware).header.edit).toMatchObject({ baseRowVersion: 3 });

    const again = EngineRig.leading();
    const known = only(addEdits(again, 1, { afterSeq: 0 }));
    again.answer([applied(known, 4)]);
    const aware = only(addEdits(again, 1, { afterSeq: known.seq }));
    expect(again.entry(aware).header.edit).toMatchObject({ baseRowVersion: 4 });
  });
});

describe('an edit behind an atomic one that changes its row', () => {
  /** In the lanes of two rows, and an edit of the first behind it. */
  function behindGroup(rig: EngineRig): { readonly group: MutationHeader; readonly edit: MutationHeader } {
    const group = { ...rig.header({ lane: 'b', alsoLanes: ['a'] }), type: 'holdfast.atomic', entity: null };
    const edit = { ...rig.header({ lane: 'a' }), entity: { table: 'notes', id: 'a' }, edit: EDIT };
    rig.input({ kind: 'added', headers: [group, edit] });
    return { group, edit };
  }
  const row = (id: string, rowVersion: number | null) => ({ table: 'notes', id, rowVersion });

  test('C1, R8 · is made on what the last of its members has left, in whichever lane it stands', () => {
    const rig = EngineRig.leading();
    behindGroup(rig);

    rig.answerAll(({ seq, id }) => ({
      ...{ seq, id, kind: 'applied', result: [{}, {}, {}, null, null] },
      memberRows: [row('a', 4), row('b', 9), row('a', 5), row('c', null), null],
    }));

    expect(rig.lastBatch.items).toMatchObject([{ header: { edit: { baseRowVersion: 5, ownSinceVersion: 3 } } }]);
    expect(rig.effect('settle')?.settlements[0]).toMatchObject({
      record: {
        leftRows: [
          { id: 'b', left: { untilVersion: 8, rowVersion: 9 }, member: 1 },
          { id: 'a', left: { sinceVersion: 3, untilVersion: 4, rowVersion: 5 }, member: 2 },
          { id: 'c', left: null, member: 3 },
        ],
      },
    });
  });

  test('C1, R8 · with someone else in between it stays as it was made, and meets a conflict', () => {
    const rig = EngineRig.leading();
    behindGroup(rig);

    rig.answerAll(({ seq, id }) => ({
      ...{ seq, id, kind: 'applied', result: [{}, {}] },
      memberRows: [row('a', 7), row('a', 9)],
    }));

    expect(rig.lastBatch.items).toMatchObject([{ header: { edit: { baseRowVersion: 3 } } }]);
  });
});
