import { describe, expect, test } from 'vitest';
import { completePolicy, complaintAboutPolicy, type DeliveryPolicy } from '../mutation/delivery-policy.ts';
import { decide, type PolicyDecision, type PolicyFacts, PolicyGate } from './policy-gate.ts';
import { applied, EngineRig, type HeaderOptions } from './testing-engine/engine-rig.ts';

const DAY_MS = 86_400_000;
const KIB = 1_024;

const FACTS: PolicyFacts = {
  connection: 'cellular',
  appState: 'active',
  pendingCount: 1,
  pendingBytes: 100,
  oldestAgeMs: 0,
  outageMs: 0,
  sinceReleaseMs: 0,
};

function decided(policy: DeliveryPolicy | 'wifiPreferred', facts: Partial<PolicyFacts>): PolicyDecision['kind'] {
  const complete = completePolicy(policy);
  if (complete === null) throw new Error('This policy holds nothing back.');
  return decide(complete, { ...FACTS, ...facts }).kind;
}

describe('N4 · wifiPreferred', () => {
  const BIG = 256 * KIB + 1;
  test.each<[string, Partial<PolicyFacts>, PolicyDecision['kind']]>([
    ['256 KiB − 1', { pendingBytes: 256 * KIB - 1 }, 'send'],
    ['256 KiB', { pendingBytes: 256 * KIB }, 'send'],
    ['256 KiB + 1', { pendingBytes: BIG }, 'hold'],
    ['more, over Wi-Fi', { pendingBytes: BIG, connection: 'wifi' }, 'send'],
    ['more, over a cable', { pendingBytes: BIG, connection: 'ethernet' }, 'send'],
    ['more, over nobody knows what', { pendingBytes: BIG, connection: 'unknown' }, 'send'],
    ['1 MB − 1', { pendingBytes: 999_999 }, 'hold'],
    ['1 MB', { pendingBytes: 1_000_000 }, 'sendAll'],
    ['1 MB + 1', { pendingBytes: 1_000_001 }, 'sendAll'],
    ['more, the oldest 24 h − 1 ms old', { pendingBytes: BIG, oldestAgeMs: DAY_MS - 1 }, 'hold'],
    ['more, the oldest 24 h old', { pendingBytes: BIG, oldestAgeMs: DAY_MS }, 'sendAll'],
    ['more, the oldest 24 h + 1 ms old', { pendingBytes: BIG, oldestAgeMs: DAY_MS + 1 }, 'sendAll'],
    ['more, after an outage of 24 h − 1 ms', { pendingBytes: BIG, outageMs: DAY_MS - 1 }, 'hold'],
    ['more, after an outage of 24 h', { pendingBytes: BIG, outageMs: DAY_MS }, 'sendAll'],
  ])('%s', (_name, facts, kind) => {
    expect(decided('wifiPreferred', facts)).toBe(kind);
  });
});

test.each<[string, DeliveryPolicy, Partial<PolicyFacts>, PolicyDecision['kind']]>([
  ['batched: too few', { strategy: 'batched', batchCount: 5 }, { pendingCount: 4 }, 'hold'],
  ['batched: enough', { strategy: 'batched', batchCount: 5 }, { pendingCount: 5 }, 'sendAll'],
  ['batched: bytes − 1', { strategy: 'batched', batchBytes: 900 }, { pendingBytes: 899 }, 'hold'],
  ['batched: bytes', { strategy: 'batched', batchBytes: 900 }, { pendingBytes: 900 }, 'sendAll'],
  ['batched: young', { strategy: 'batched', batchDelayMs: 5_000 }, { oldestAgeMs: 4_999 }, 'hold'],
  ['batched: old enough', { strategy: 'batched', batchDelayMs: 5_000 }, { oldestAgeMs: 5_000 }, 'sendAll'],
  ['scheduled: before its time', { strategy: 'scheduled', intervalMs: 60_000 }, { sinceReleaseMs: 59_999 }, 'hold'],
  ['scheduled: in time', { strategy: 'scheduled', intervalMs: 60_000 }, { sinceReleaseMs: 60_000 }, 'sendAll'],
  ['in the foreground', { inBackground: 'hold' }, {}, 'send'],
  ['in the background', { inBackground: 'hold' }, { appState: 'background' }, 'hold'],
  ['inactive', { inBackground: 'hold' }, { appState: 'inactive' }, 'hold'],
  [
    'in the background, a day old',
    { inBackground: 'hold' },
    { appState: 'background', oldestAgeMs: DAY_MS },
    'sendAll',
  ],
])('N4 · %s', (_name, policy, facts, kind) => {
  expect(decided(policy, facts)).toBe(kind);
});

test.each([
  ['fast', 'there is no policy named fast'],
  [7, 'it is neither a name nor an object'],
  [{ strategy: 'sometimes' }, 'there is no strategy sometimes'],
  [{ batchCount: 0 }, '`batchCount` is not above 0'],
  [{ wifiAboveBytes: -1 }, '`wifiAboveBytes` is below 0'],
  [{ holdMsMax: DAY_MS + 1 }, '`holdMsMax` is not between 0 and 24 hours'],
  [{ inBackground: 'sleep' }, '`inBackground` is neither send nor hold'],
  ['wifiPreferred', null],
  [{ holdMsMax: DAY_MS }, null],
])('N4 · what makes no sense is said: %o', (policy, complaint) => {
  expect(complaintAboutPolicy(policy)).toBe(complaint);
});

/** At 0 the changes were made, by the wall clock. A device on a cellular network; types that begin with `big` wait for Wi-Fi, the others do not. */
function onTheRoad(policy: DeliveryPolicy | 'wifiPreferred' = 'wifiPreferred'): EngineRig {
  const complete = completePolicy(policy);
  const rig = new EngineRig({ jitter: 'none' }, (type) => (type.startsWith('big') ? complete : null));
  rig.input({ kind: 'conditions', conditions: { connection: 'cellular', appState: 'active' } });
  rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 0 });
  return rig;
}
const BIG: HeaderOptions = { type: 'big.save', payloadBytes: 200 * KIB };
const sentIds = (rig: EngineRig): readonly string[] =>
  rig.batches.flatMap(({ items }) => items.map(({ header }) => header.id));

test('N4 · what is left of a wait may be less than the clock can tell: it is looked at again later, and not at once for ever', () => {
  const gate = new PolicyGate(() => completePolicy({ strategy: 'batched', batchCount: 5, batchDelayMs: 5_000 }));
  const [nowMs, oldestAgeMs] = [35_011.102041819104, 4_999.999999999999];
  expect(nowMs + (5_000 - oldestAgeMs)).toBe(nowMs);
  const rig = new EngineRig();
  gate.holds(rig.entry(rig.add()));

  gate.update({ pendingCount: 1, pendingBytes: 1, oldestAgeMs }, { highestSeq: 1, isLineDown: false, nowMs });

  expect(gate.nextCheckAtMs).toBeGreaterThan(nowMs);
});

test('N4 · a held-back mutation says so, and Wi-Fi lets it go; other types go at once', () => {
  const rig = onTheRoad();
  const [first, second, small] = rig.addAll([BIG, BIG, { type: 'note.save' }]);
  if (first === undefined || second === undefined || small === undefined) throw new Error('Not added.');
  expect(sentIds(rig)).toEqual([small.id]);
  rig.answerAll(applied);
  expect(rig.waiting(first)).toEqual({ waitingFor: 'policy', error: null, untilMs: DAY_MS });

  rig.input({ kind: 'conditions', conditions: { connection: 'wifi', appState: 'active' } });

  expect(sentIds(rig)).toEqual([small.id, first.id]);
});

test('N4 · back on a cellular network, what Wi-Fi did not finish waits again', () => {
  const rig = onTheRoad();
  rig.addAll([BIG, BIG, BIG]);
  rig.input({ kind: 'conditions', conditions: { connection: 'wifi', appState: 'active' } });
  rig.input({ kind: 'conditions', conditions: { connection: 'cellular', appState: 'active' } });

  rig.answerAll(applied);

  expect(sentIds(rig)).toHaveLength(1);
});

test('N4 · one of high priority goes, and takes with it those before it in its lane', () => {
  const rig = onTheRoad();
  const [low, , high] = rig.addAll([
    { ...BIG, lane: 'a', priority: 'low' },
    { ...BIG, lane: 'b' },
    { ...BIG, lane: 'a', priority: 'high' },
  ]);

  rig.answerAll(applied);

  expect(sentIds(rig)).toEqual([low?.id, high?.id]);
});

test('N4 · whoever asks to drain gets all that waits, and not what is added later', () => {
  const rig = onTheRoad();
  rig.addAll([BIG, BIG]);
  expect(sentIds(rig)).toEqual([]);

  rig.input({ kind: 'hint', hint: 'nudge' });
  rig.answerAll(applied);
  rig.answerAll(applied);
  rig.addAll([BIG, BIG]);

  expect(sentIds(rig)).toHaveLength(2);
});

test('N4 · nothing is held back longer than a day, by whichever clock', () => {
  const rig = onTheRoad();
  rig.addAll([BIG, BIG]);

  rig.wake();
  rig.answerAll(applied);

  expect(rig.nowMs).toBe(DAY_MS);
  expect(sentIds(rig)).toHaveLength(2);
});

test('N4 · a schedule sends all that waits, every so often', () => {
  const rig = onTheRoad({ strategy: 'scheduled', intervalMs: 60_000 });
  rig.addAll([{ type: 'big.first' }]);
  rig.answerAll(applied);
  rig.pass(10_000);
  rig.addAll([{ type: 'big.second' }, { type: 'big.third' }]);
  expect(sentIds(rig)).toEqual(['m1']);

  rig.wake();

  expect(rig.nowMs).toBe(1_060_000);
  expect(sentIds(rig)).toEqual(['m1', 'm2', 'm3']);
});

test('N4 · with a type that waits for Wi-Fi and one that does not, only the first is waited for', () => {
  const [big, plain] = [completePolicy('wifiPreferred'), completePolicy({ inBackground: 'hold' })];
  const rig = new EngineRig({ jitter: 'none' }, (type) => (type.startsWith('big') ? big : plain));
  rig.input({ kind: 'conditions', conditions: { connection: 'cellular', appState: 'active' } });
  rig.input({ kind: 'leadership', isLeader: true, earlierSeq: 0 });
  const [small, first] = rig.addAll([{ type: 'note.save' }, BIG, BIG]);
  rig.answerAll(applied);

  expect(sentIds(rig)).toEqual([small?.id]);
  expect(first && rig.waiting(first)).toEqual({ waitingFor: 'policy', error: null, untilMs: DAY_MS });
  expect(rig.wakeAtMs).toBe(DAY_MS);
});

test('N4 · it wakes for what comes first: the end of an undo window, or the time a policy names', () => {
  const rig = onTheRoad();
  rig.addAll([BIG, BIG, { delayMs: 5_000 }]);
  expect(rig.wakeAtMs).toBe(1_005_000);

  rig.wake();

  expect(sentIds(rig)).toEqual(['m3']);
  rig.answerAll(applied);
  expect(rig.wakeAtMs).toBe(DAY_MS);
});
