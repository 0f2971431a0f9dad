import { describe, expect, test } from 'vitest';
import { LIMITS } from '../protocol/wire.ts';
import {
  applied,
  deferred,
  EngineRig,
  ERROR,
  refused,
  rejected,
  repeated,
  repeatedRejection,
  seqsOf,
} from './testing-engine/engine-rig.ts';

describe('order', () => {
  test('Q7 · a mutation goes at once when nothing stands in its way', () => {
    const rig = EngineRig.leading();

    const header = rig.add();

    expect(rig.lastBatch).toMatchObject({ batchId: 1, items: [{ header, after: null }], acknowledgedFloor: 0 });
    expect(rig.entry(header).phase).toEqual({ kind: 'sending', batchId: 1 });
    expect(rig.waiting(header).waitingFor).toBe('nothing');
  });

  test('Q7 · of one lane only the first is on its way; the next follows when it is settled', () => {
    const rig = EngineRig.leading();
    const [first, second, third] = rig.addAll([{ lane: 'a' }, { lane: 'a' }, { lane: 'a' }]);

    expect(seqsOf(rig.lastBatch)).toEqual([first?.seq]);
    expect(second && rig.waiting(second)).toEqual({ waitingFor: 'lane', error: null, untilMs: null });

    rig.answerAll(applied);
    expect(seqsOf(rig.lastBatch)).toEqual([second?.seq]);
    rig.answerAll(applied);
    expect(seqsOf(rig.lastBatch)).toEqual([third?.seq]);
  });

  test('Q7 · lanes do not wait for each other', () => {
    const rig = EngineRig.leading({ maxRetries: 0 });
    const [a, , b] = rig.addAll([{ lane: 'a' }, { lane: 'a' }, { lane: 'b' }, { lane: 'b' }]);
    expect(seqsOf(rig.lastBatch)).toEqual([a?.seq, b?.seq]);

    // a lane whose head waits out a delay does not hold up another
    rig.answer(rig.lastBatch.items.map(({ header }) => (header.lane === 'a' ? deferred(header) : applied(header))));

    expect(seqsOf(rig.lastBatch)).toEqual([4]);
  });

  test('Q7 · one batch is on its way at a time', () => {
    const rig = EngineRig.leading();
    rig.add({ lane: 'a' });
    rig.add({ lane: 'b' });
    expect(rig.batches.length).toBe(1);

    rig.answerAll(applied);

    expect(seqsOf(rig.lastBatch)).toEqual([2]);
  });

  test('P12 · `after` names the one before in the lane while the lane lasts, and nothing when the lane was empty', () => {
    const rig = EngineRig.leading();
    rig.addAll([{ lane: 'a' }, { lane: 'b' }, { lane: 'a' }]);
    expect(rig.lastBatch.items.map(({ after }) => after)).toEqual([null, null]);

    rig.answerAll(applied);
    expect(rig.lastBatch.items.map(({ header, after }) => [header.seq, after])).toEqual([[3, 1]]);

    rig.answerAll(applied);
    rig.add({ lane: 'a' });
    expect(rig.lastBatch.items.map(({ header, after }) => [header.seq, after])).toEqual([[4, null]]);
  });

  test('P12 · `after` never names one that the server has no verdict on, or the next of its lane would be put off for ever', () => {
    // spent retries, an unreadable body, a refusal at the door and a death in another tab leave no row in the ledger
    const spent = EngineRig.leading({ maxRetries: 0, jitter: 'none' });
    spent.addAll([{ lane: 'a' }, { lane: 'a' }]);
    spent.answerAll(refused);

    const unreadable = EngineRig.leading();
    unreadable.addAll([{ lane: 'a' }, { lane: 'a' }]);
    unreadable.input({ kind: 'givenUp', seqs: [1], error: ERROR });
    unreadable.answer([]);

    const atTheDoor = EngineRig.leading();
    atTheDoor.addAll([{ lane: 'a' }, { lane: 'a' }]);
    atTheDoor.answer({ kind: 'batchRefused', error: ERROR });

    const elsewhere = new EngineRig();
    const [first] = elsewhere.addAll([{ lane: 'a' }, { lane: 'a' }]);
    if (first !== undefined) {
      const deadLetter = { header: first, error: ERROR, failedAtMs: 1, holdsLane: false };
      elsewhere.input({ kind: 'settledElsewhere', settlements: [{ kind: 'failed', deadLetter }] });
    }
    elsewhere.input({ kind: 'leadership', isLeader: true, earlierSeq: 0 });

    for (const rig of [spent, unreadable, atTheDoor, elsewhere]) {
      expect(rig.lastBatch.items.map(({ header, after }) => [header.seq, after])).toEqual([[2, null]]);
    }
  });

  test.each([
    { verdict: 'an effect', answer: repeated },
    { verdict: 'a refusal', answer: repeatedRejection },
  ])(
    'P12 · `after` does not name one of which the server repeats $verdict: it may know it of another client only',
    ({ answer }) => {
      const rig = EngineRig.leading();
      rig.addAll([{ lane: 'a' }, { lane: 'a' }, { lane: 'a' }]);

      rig.answerAll(answer);
      expect(rig.lastBatch.items.map(({ header, after }) => [header.seq, after])).toEqual([[2, null]]);
      rig.answerAll(applied);

      expect(rig.lastBatch.items.map(({ header, after }) => [header.seq, after])).toEqual([[3, 2]]);
    },
  );

  test('P12 · `after` names one that the server has rejected', () => {
    const rig = EngineRig.leading();
    rig.addAll([{ lane: 'a' }, { lane: 'a' }]);

    rig.answerAll(rejected);

    expect(rig.lastBatch.items.map(({ header, after }) => [header.seq, after])).toEqual([[2, 1]]);
  });
});

describe('limits of a batch', () => {
  const many = (count: number): { readonly lane: string }[] =>
    Array.from({ length: count }, (_, index) => ({ lane: `${index}` }));

  test.each([
    { count: LIMITS.batchCount - 1, sentCount: LIMITS.batchCount - 1 },
    { count: LIMITS.batchCount, sentCount: LIMITS.batchCount },
    { count: LIMITS.batchCount + 1, sentCount: LIMITS.batchCount },
  ])('P9 · of $count that are ready $sentCount go in one batch', ({ count, sentCount }) => {
    const rig = EngineRig.leading();

    rig.addAll(many(count));

    expect(rig.lastBatch.items.length).toBe(sentCount);
  });

  const half = LIMITS.batchBytes / 2;
  test.each([
    { name: 'one byte less than the limit', bytes: [half, half - 1], sentCount: 2 },
    { name: 'exactly the limit', bytes: [half, half], sentCount: 2 },
    { name: 'one byte more than the limit', bytes: [half, half + 1], sentCount: 1 },
    { name: 'a single one that is larger than the limit', bytes: [LIMITS.batchBytes + 1, 1], sentCount: 1 },
  ])('P9 · payloads of $name: $sentCount go', ({ bytes, sentCount }) => {
    const rig = EngineRig.leading();

    rig.addAll(bytes.map((payloadBytes) => ({ payloadBytes })));

    expect(rig.lastBatch.items.length).toBe(sentCount);
  });

  test('P9 · one that did not fit goes first next time', () => {
    const rig = EngineRig.leading();
    rig.addAll([{ payloadBytes: half }, { payloadBytes: half + 1 }, { payloadBytes: 1 }]);
    expect(seqsOf(rig.lastBatch)).toEqual([1]);

    rig.answerAll(applied);

    expect(seqsOf(rig.lastBatch)).toEqual([2, 3]);
  });
});

describe('outcomes', () => {
  test('Q1 · applied completes it, with the result and the number of attempts', () => {
    const rig = EngineRig.leading();
    const header = rig.add();

    rig.answerAll(applied);

    expect(rig.settlements).toEqual([
      {
        kind: 'completed',
        result: { seq: 1 },
        wasRepeat: false,
        record: {
          id: 'm1',
          seq: 1,
          type: 'note.save',
          entity: null,
          createdAtMs: header.createdAtMs,
          confirmedAtMs: rig.moment().wallMs,
          attemptCount: 1,
          priority: 'normal',
        },
      },
    ]);
    expect(rig.engine.mutations.get('m1')).toBeUndefined();
    expect(rig.engine.mutations.counts).toEqual({ pending: 0, processing: 0, failed: 0, pendingBytes: 0 });
  });

  test('P1 · a repetition of an applied one completes it, and says that it was one', () => {
    const rig = EngineRig.leading();
    rig.add();

    rig.answerAll(repeated);

    expect(rig.settlements).toMatchObject([{ kind: 'completed', result: null, wasRepeat: true }]);
  });

  test.each([
    { name: 'rejected', outcome: rejected },
    { name: 'a repetition of a rejected one', outcome: repeatedRejection },
  ])('R6 · $name makes it a dead letter at once, with its attempt', ({ outcome }) => {
    const rig = EngineRig.leading();
    const header = rig.add();

    rig.answerAll(outcome);

    const attempts = [{ attemptNumber: 1, answeredAtMs: rig.moment().wallMs, error: ERROR }];
    expect(rig.settlements).toEqual([
      {
        kind: 'failed',
        deadLetter: {
          header: { ...header, attempts },
          error: ERROR,
          failedAtMs: rig.moment().wallMs,
          holdsLane: false,
        },
      },
    ]);
    expect(rig.entry(header).phase).toEqual({
      kind: 'failed',
      error: ERROR,
      failedAtMs: rig.moment().wallMs,
      holdsLane: false,
    });
    expect(rig.waiting(header).waitingFor).toBe('nothing');
    expect(rig.engine.mutations.counts).toMatchObject({ pending: 0, processing: 0, failed: 1 });
    expect([...rig.engine.mutations.deadLetters]).toEqual([rig.entry(header)]);
  });

  test('Q7 · a dead-lettered head frees its lane', () => {
    const rig = EngineRig.leading();
    rig.addAll([{ lane: 'a' }, { lane: 'a' }]);

    rig.answerAll(rejected);

    expect(seqsOf(rig.lastBatch)).toEqual([2]);
  });

  test('R2 · a refusal waits for its delay and goes again under the same id and number', () => {
    const rig = EngineRig.leading();
    const header = rig.add();

    rig.answerAll(refused);

    expect(rig.settlements).toMatchObject([
      { kind: 'refused', header: { id: header.id, seq: header.seq, attempts: [{ attemptNumber: 1 }] } },
    ]);
    expect(rig.waiting(header)).toEqual({ waitingFor: 'backoff', error: ERROR, untilMs: rig.nowMs + 1_000 });
    expect(rig.wakeAtMs).toBe(rig.nowMs + 1_000);

    rig.pass(999);
    rig.input({ kind: 'tick' });
    expect(rig.batches.length).toBe(1);
    rig.pass(1);
    rig.input({ kind: 'tick' });
    expect(rig.lastBatch).toMatchObject({ batchId: 2, items: [{ header: { id: header.id, seq: header.seq } }] });
  });

  test('R6 · after five retries a refusal is final, with every attempt kept', () => {
    const rig = EngineRig.leading();
    const header = rig.add();

    for (let attempt = 1; attempt <= 6; attempt += 1) {
      expect(rig.batches.length).toBe(attempt);
      rig.answerAll(refused);
      if (attempt < 6) rig.wake();
    }

    expect(rig.settlements.map(({ kind }) => kind)).toEqual([
      'refused',
      'refused',
      'refused',
      'refused',
      'refused',
      'failed',
    ]);
    expect(rig.entry(header).header.attempts.map(({ attemptNumber }) => attemptNumber)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(rig.wakeAtMs).toBeNull();
  });

  test('R2 · a type without retries is given up at its first refusal', () => {
    const rig = EngineRig.leading({ maxRetries: 0 });
    rig.add();

    rig.answerAll(refused);

    expect(rig.settlements).toMatchObject([{ kind: 'failed' }]);
  });

  test('P12 · one that was put off goes again after 200 ms, doubling to 30 s, and uses no attempt', () => {
    const rig = EngineRig.leading();
    const header = rig.add();
    const delaysMs: number[] = [];

    for (let round = 1; round <= 10; round += 1) {
      rig.answerAll(deferred);
      delaysMs.push((rig.wakeAtMs ?? 0) - rig.nowMs);
      expect(rig.waiting(header).waitingFor).toBe('backoff');
      rig.wake();
    }

    expect(delaysMs).toEqual([200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
    expect(rig.entry(header).header.attempts).toEqual([]);
    expect(rig.settlements).toEqual([]);
  });

  test('R8 · each mutation of a batch has its own end', () => {
    const rig = EngineRig.leading();
    rig.addAll([{}, {}, {}, {}]);
    const [first, second, third, fourth] = rig.lastBatch.items.map(({ header }) => header);
    if (!first || !second || !third || !fourth) throw new Error('Four were sent.');

    // when: they are answered in another order than they were sent in
    rig.answer([deferred(fourth), refused(third), rejected(second), applied(first)]);

    expect(rig.settlements.map((settlement) => settlement.kind)).toEqual(['completed', 'failed', 'refused']);
    expect(rig.engine.mutations.counts).toMatchObject({ pending: 2, processing: 0, failed: 1 });
  });

  test('P1 · one that was sent and not answered goes again; the others stand', () => {
    const rig = EngineRig.leading();
    const [first, second] = rig.addAll([{}, {}]);
    if (!first || !second) throw new Error('Two were added.');

    rig.answer([applied(first)]);

    expect(rig.settlements).toMatchObject([{ kind: 'completed', record: { id: first.id } }]);
    expect(seqsOf(rig.lastBatch)).toEqual([second.seq]);
    expect(rig.entry(second).mayHaveBeenSent).toBe(true);
  });

  test('P1 · an outcome under another id, or about one that was not sent, is no answer', () => {
    const rig = EngineRig.leading();
    const [first, second] = rig.addAll([{}, {}]);
    if (!first || !second) throw new Error('Two were added.');

    rig.answer([applied(first), { ...applied(second), id: 'of somebody else' }, applied(rig.header({ seq: 99 }))]);

    expect(rig.settlements).toMatchObject([{ kind: 'completed', record: { id: first.id } }]);
    expect(seqsOf(rig.lastBatch)).toEqual([second.seq]);
  });

  test('R4 · an answer about none of what was sent is a failure of the line', () => {
    const rig = EngineRig.leading();
    const header = rig.add();

    rig.answer([]);

    expect(rig.batches.length).toBe(1);
    expect(rig.waiting(header)).toMatchObject({ waitingFor: 'circuit', error: { code: 'UNREADABLE_ANSWER' } });
    expect(rig.entry(header).header.attempts).toEqual([]);
  });

  test('Q7 · a late answer of an earlier batch changes nothing', () => {
    // given: a batch that was given up when the leadership changed, and a new one on its way
    const rig = EngineRig.leading();
    const header = rig.add();
    rig.input({ kind: 'leadership', isLeader: false });
    rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 0 });
    expect(rig.lastBatch.batchId).toBe(2);

    // when
    rig.answer([rejected(header)], 1);

    // then
    expect(rig.settlements).toEqual([]);
    expect(rig.entry(header).phase).toEqual({ kind: 'sending', batchId: 2 });
  });
});

describe('a batch that is refused as it is', () => {
  test('P9 · it goes in halves until one alone is refused, and only that one becomes a dead letter', () => {
    const rig = EngineRig.leading();
    rig.addAll(Array.from({ length: 8 }, () => ({})));
    const poison = 3;
    const sizes: number[] = [];

    for (let round = 0; rig.engine.mutations.counts.pending > 0; round += 1) {
      expect(round).toBeLessThan(20);
      sizes.push(rig.lastBatch.items.length);
      if (seqsOf(rig.lastBatch).includes(poison)) rig.answer({ kind: 'batchRefused', error: ERROR });
      else rig.answerAll(applied);
    }

    expect(sizes.slice(0, 3)).toEqual([8, 4, 2]);
    expect(rig.settlements.filter(({ kind }) => kind === 'failed')).toMatchObject([
      { deadLetter: { error: ERROR, header: { seq: poison, attempts: [{ attemptNumber: 1 }] } } },
    ]);
    expect(rig.settlements.filter(({ kind }) => kind === 'completed').length).toBe(7);
  });
});

describe('a batch without an answer', () => {
  test('R4 · is halved down to one, and grows back with each answer', () => {
    const rig = EngineRig.leading();
    rig.addAll(Array.from({ length: 300 }, () => ({})));
    const sizes: number[] = [];
    const failAndComeBack = (): void => {
      sizes.push(rig.lastBatch.items.length);
      rig.answer({ kind: 'unknown', error: ERROR });
      rig.wake();
      if (rig.effect('probe') !== undefined) rig.input({ kind: 'probed', result: { kind: 'reached', latencyMs: 1 } });
    };

    for (let round = 1; round <= 8; round += 1) failAndComeBack();
    for (let round = 1; round <= 8; round += 1) {
      sizes.push(rig.lastBatch.items.length);
      rig.answerAll(applied);
    }

    expect(sizes).toEqual([100, 50, 25, 12, 6, 3, 1, 1, 1, 2, 4, 8, 16, 32, 64, 100]);
  });
});

describe('bodies that cannot be read', () => {
  test('S10 · become dead letters without an attempt, and the others of the batch go on', () => {
    const rig = EngineRig.leading();
    const [bad, good] = rig.addAll([{ lane: 'a' }, { lane: 'b' }, { lane: 'a' }]);
    if (!bad || !good) throw new Error('They were added.');

    rig.input({ kind: 'givenUp', seqs: [bad.seq, 99], error: ERROR });
    rig.input({ kind: 'givenUp', seqs: [bad.seq], error: ERROR });
    expect(rig.settlements).toMatchObject([{ kind: 'failed', deadLetter: { header: { seq: bad.seq, attempts: [] } } }]);
    expect(rig.entry(good).phase.kind).toBe('sending');
    rig.answer([applied(good)]);

    expect(rig.settlements.map(({ kind }) => kind)).toEqual(['failed', 'completed']);
    expect(seqsOf(rig.lastBatch)).toEqual([3]);
  });

  test('S10 · a batch of nothing else ends without harm to the line', () => {
    const rig = EngineRig.leading();
    const header = rig.add();
    rig.input({ kind: 'givenUp', seqs: [header.seq], error: ERROR });
    rig.answer([]);

    rig.add();

    expect(seqsOf(rig.lastBatch)).toEqual([2]);
  });

  test('S10 · an outcome for one that turned out unreadable changes nothing', () => {
    const rig = EngineRig.leading();
    const [bad, good] = rig.addAll([{}, {}]);
    if (!bad || !good) throw new Error('They were added.');
    rig.input({ kind: 'givenUp', seqs: [bad.seq], error: ERROR });

    rig.answer([applied(bad), applied(good)]);

    expect(rig.settlements.map(({ kind }) => kind)).toEqual(['failed', 'completed']);
    expect(rig.entry(bad).phase.kind).toBe('failed');
  });
});

describe('the floor', () => {
  test('P12 · covers every number that is settled and stored, and nothing above one that is not', () => {
    const rig = EngineRig.leading();
    rig.isStorageSlow = true;
    rig.addAll([{}, {}, {}]);
    const [first, second, third] = rig.lastBatch.items.map(({ header }) => header);
    if (!first || !second || !third) throw new Error('Three were sent.');
    const floor = (): number => rig.engine.mutations.acknowledgedFloor;
    expect(floor()).toBe(0);

    // settled and not yet stored: a crash now would bring them back
    rig.answer([applied(first), rejected(second), refused(third)]);
    expect(floor()).toBe(0);

    rig.input({ kind: 'settlementsStored', seqs: [2] });
    expect(floor()).toBe(0);
    rig.input({ kind: 'settlementsStored', seqs: [1] });
    expect(floor()).toBe(2);

    rig.wake();
    expect(rig.lastBatch.acknowledgedFloor).toBe(2);
    rig.answerAll(applied);
    rig.input({ kind: 'settlementsStored', seqs: [3] });
    expect(floor()).toBe(3);
  });

  test('P12 · a number that is settled late does not hold it back twice', () => {
    const rig = EngineRig.leading();
    rig.add();
    rig.answerAll(applied);
    rig.add();

    expect(rig.lastBatch.acknowledgedFloor).toBe(1);
  });

  test('Q4 · the oldest pending one is told also while the one before it is being stored', () => {
    const rig = EngineRig.leading({ maxRetries: 0 });
    rig.isStorageSlow = true;
    rig.addAll([{}, {}, {}]);
    const [first, second, third] = rig.lastBatch.items.map(({ header }) => header);
    if (!first || !second || !third) throw new Error('Three were sent.');
    expect(rig.engine.mutations.oldestPending?.header.seq).toBe(1);

    rig.answer([applied(first), rejected(second)]);

    expect(rig.engine.mutations.oldestPending?.header.seq).toBe(3);
    rig.answerAll(applied);
    expect(rig.engine.mutations.oldestPending).toBeUndefined();
  });
});
