import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fingerprint } from '../mutation/fingerprint.ts';
import type { MutationHeader } from '../mutation/record.ts';
import { Entry } from './entry.ts';
import { LEVEL_MS } from './lanes.ts';
import { PackedEntries } from './packed-entries.ts';
import { EngineRig } from './testing-engine/engine-rig.ts';

const rig = new EngineRig();

/** A UUID for each number, all digits of which differ. */
function uuid(number: number, kind: number): string {
  const digits = (Math.imul(number + 1, 0x9e3779b1) >>> 0).toString(16).padStart(8, '0');
  return `${digits}-000${kind}-7${digits.slice(0, 3)}-8${digits.slice(3, 6)}-${digits}${String(number).padStart(4, '0')}`;
}

interface Drawn {
  readonly seqStep: number;
  readonly waitedMs: number;
  readonly laneKind: 'row' | 'other row' | 'name' | 'row beside';
  readonly priority: 'high' | 'normal';
  readonly operation: 'create' | 'update';
  readonly keyKind: 'none' | 'usual' | 'unusual' | 'zero';
  readonly idKind: 'uuid' | 'text';
  readonly createdStepMs: number;
  readonly payloadBytes: number;
  readonly mayHaveBeenSent: boolean;
  readonly isHeld: boolean;
}

const usually = <Value>(usual: Value, ...others: readonly Value[]): fc.Arbitrary<Value> =>
  fc.oneof({ weight: 12, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) });

const drawn: fc.Arbitrary<Drawn> = fc.record({
  seqStep: usually(1, 2, -3, 20_000_000),
  waitedMs: usually(0, 1, 5_000, 70_000),
  laneKind: fc.constantFrom<Drawn['laneKind'][]>('row', 'row', 'row', 'other row', 'name', 'row beside'),
  priority: usually<Drawn['priority']>('normal', 'high'),
  operation: usually<Drawn['operation']>('update', 'create'),
  keyKind: fc.constantFrom<Drawn['keyKind'][]>('none', 'usual', 'usual', 'unusual', 'zero'),
  idKind: usually<Drawn['idKind']>('uuid', 'text'),
  createdStepMs: usually(3, -100_000, 2 ** 33, 0.5),
  payloadBytes: usually(300, 0, 2 ** 31),
  mayHaveBeenSent: fc.boolean(),
  isHeld: usually(false, true),
});

const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('add' as const), all: fc.array(drawn, { maxLength: 8 }) }) },
  // More than a chunk.
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('addMany' as const),
      one: drawn,
      count: fc.integer({ min: 1, max: 300 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('seq', 'id', 'lane'), at: fc.nat() }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('takeFirst' as const), count: fc.integer({ min: 1, max: 400 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('sent' as const), at: fc.nat() }) },
);

interface Known {
  readonly header: MutationHeader;
  readonly waitingSinceMs: number;
  mayHaveBeenSent: boolean;
}

/** The same with a plain list. */
class Model {
  known: Known[] = [];
  lastSeq = 0;
  lastRankMs = 0;
  createdFromMs = 0;
  rowCount = 0;
  chunkFromSeq = 0;

  add(known: Known, one: Drawn): boolean {
    const { header, waitingSinceMs } = known;
    const rankMs = waitingSinceMs + (header.priority === 'high' ? 0 : LEVEL_MS);
    if (this.known.length === 0) {
      this.lastSeq = 0;
      this.lastRankMs = rankMs;
      this.createdFromMs = header.createdAtMs;
      this.rowCount = 0;
    }
    // Of 256 that stand together none may be too far from the first.
    const fromSeq = this.rowCount % 256 === 0 ? header.seq : this.chunkFromSeq;
    if (header.seq - fromSeq >= 2 ** 24) return false;
    const createdAfterMs = header.createdAtMs - this.createdFromMs;
    const isPlain = one.laneKind !== 'row beside' && one.idKind === 'uuid' && !one.isHeld;
    const hasKey = one.keyKind === 'none' || one.keyKind === 'usual';
    const fits = createdAfterMs >= 0 && createdAfterMs < 2 ** 32 && Number.isInteger(createdAfterMs);
    if (!isPlain || !hasKey || !fits || header.seq <= this.lastSeq || rankMs < this.lastRankMs) return false;
    this.known.push(known);
    this.rowCount += 1;
    this.chunkFromSeq = fromSeq;
    this.lastSeq = header.seq;
    this.lastRankMs = rankMs;
    return true;
  }
}

test('S3 · what is packed comes out as it was put in, whichever way it is asked for', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const packed = new PackedEntries(0);
      const model = new Model();
      let [seq, nowMs, createdAtMs, number] = [10, 0, 1_700_000_000_000, 0];
      const add = (one: Drawn): void => {
        number += 1;
        seq = Math.max(1, seq + one.seqStep);
        nowMs += one.waitedMs;
        createdAtMs += one.createdStepMs;
        const row = uuid(number, 2);
        const header: MutationHeader = {
          ...rig.header({
            seq,
            id: one.idKind === 'uuid' ? uuid(number, 1) : `m${number}`,
            lane: { row: `notes:${row}`, 'other row': `parts:${row}`, name: `lane ${number}`, 'row beside': 'all' }[
              one.laneKind
            ],
            entity:
              one.laneKind === 'name' ? null : { table: one.laneKind === 'other row' ? 'parts' : 'notes', id: row },
            priority: one.priority,
            type: 'note.packed',
            operation: one.operation,
            payloadBytes: one.payloadBytes,
          }),
          dedupeKey: { none: null, usual: fingerprint(row), unusual: 'like that', zero: '0'.repeat(22) }[one.keyKind],
          createdAtMs,
          bodyChecksum: Math.imul(number, 0x85ebca6b) >>> 0,
        };
        const { mayHaveBeenSent } = one;
        const heldUntilMs = one.isHeld ? nowMs + 1_000 : 0;
        const entry = new Entry(header, { mayHaveBeenSent, waitingSinceMs: nowMs, heldUntilMs });
        if (model.known.some((known) => known.header.seq === seq)) return;
        expect(packed.add(entry, 1, () => true)).toBe(
          model.add({ header, waitingSinceMs: nowMs, mayHaveBeenSent }, one),
        );
      };
      const isSame = (entry: Entry | undefined, known: Known | undefined): void => {
        expect(entry?.header).toEqual(known?.header);
        expect(entry?.mayHaveBeenSent).toBe(known?.mayHaveBeenSent);
        expect(entry?.waitingSinceMs).toBe(known?.waitingSinceMs);
      };
      for (const each of steps) {
        if (each.kind === 'add') each.all.forEach(add);
        if (each.kind === 'addMany')
          for (let count = 0; count < each.count; count += 1) add({ ...each.one, seqStep: 1 });
        if ('at' in each) {
          const at = each.at % (model.known.length + 1);
          const known = model.known[at];
          if (each.kind === 'sent') {
            const upToSeq = known?.header.seq ?? 0;
            packed.sentUpTo(upToSeq);
            for (const one of model.known) one.mayHaveBeenSent = one.header.seq <= upToSeq;
          } else if (known === undefined) {
            expect([
              packed.takeSeq(Number.MAX_SAFE_INTEGER),
              packed.takeId(uuid(number, 3)),
              packed.takeLane('lane'),
            ]).toEqual([undefined, undefined, undefined]);
          } else {
            const { header } = known;
            const taken = {
              seq: () => packed.takeSeq(header.seq),
              id: () => packed.takeId(header.id),
              lane: () => packed.takeLane(header.lane),
            }[each.kind as 'seq' | 'id' | 'lane']();
            isSame(taken, known);
            expect([packed.hasSeq(header.seq), packed.hasId(header.id), packed.takeLane(header.lane)]).toEqual([
              false,
              false,
              undefined,
            ]);
            model.known.splice(at, 1);
          }
        }
        if (each.kind === 'takeFirst')
          for (const known of model.known.splice(0, each.count)) {
            expect(packed.firstRankMs).toBe(known.waitingSinceMs + (known.header.priority === 'high' ? 0 : LEVEL_MS));
            isSame(packed.takeSeq(packed.firstSeq), known);
          }
        expect(packed.size).toBe(model.known.length);
        expect(packed.firstSeq).toBe(model.known[0]?.header.seq ?? Number.POSITIVE_INFINITY);
        expect([...packed.places()].map((place) => place.seq).join()).toBe(
          model.known.map(({ header }) => header.seq).join(),
        );
        const middle = model.known[Math.floor(model.known.length / 2)]?.header;
        const creation = model.known.find(({ header }) => header.operation === 'create')?.header.seq;
        expect(packed.hasCreationBefore(middle?.seq ?? 0)).toBe(
          (creation ?? Number.POSITIVE_INFINITY) < (middle?.seq ?? 0),
        );
        if (middle !== undefined) {
          expect([packed.hasSeq(middle.seq), packed.hasId(middle.id)]).toEqual([true, true]);
          const isNext = model.known.some(({ header }) => header.seq === middle.seq + 1);
          expect(packed.hasSeq(middle.seq + 1)).toBe(isNext);
        }
      }
      expect([...packed.among([])].map(({ header }) => header)).toEqual(model.known.map(({ header }) => header));
    }),
  );
});

test('S3 · what is left of many that were packed is found as before, and the room of the others is given back', () => {
  const packed = new PackedEntries(0);
  const headers = Array.from({ length: 700 }, (_, index) => ({
    ...rig.header({
      seq: index + 1,
      id: uuid(index, 1),
      lane: index === 99 ? 'named' : `notes:${uuid(index, 2)}`,
      type: 'note.packed',
    }),
    dedupeKey: index % 2 === 0 ? fingerprint(String(index)) : null,
  }));
  for (const header of headers)
    expect(
      packed.add(new Entry(header, { mayHaveBeenSent: false, waitingSinceMs: 0, heldUntilMs: 0 }), 1, () => true),
    ).toBe(true);

  // All but the last of each hundred, from the end to the front.
  for (const { seq, lane } of headers.toReversed()) if (seq % 100 > 0) expect(packed.takeLane(lane)?.seq).toBe(seq);
  expect([...packed.places()].map((place) => place.seq)).toEqual([100, 200, 300, 400, 500, 600, 700]);
  for (const seq of [300, 200]) expect(packed.takeSeq(seq)?.header).toEqual(headers[seq - 1]);
  expect([packed.takeLane('Named'), packed.takeLane('named')?.header]).toEqual([undefined, headers[99]]);

  expect([packed.size, packed.firstSeq, packed.hasSeq(200), packed.hasSeq(300)]).toEqual([4, 400, false, false]);
  expect(packed.takeLane(`parts:${uuid(599, 2)}`)).toBeUndefined();
  expect(packed.takeId(uuid(599, 1))?.header).toEqual(headers[599]);
  expect([...packed.among([])].map(({ header }) => header)).toEqual([headers[399], headers[499], headers[699]]);
});

test('S3 · only so many sorts are packed; what is of yet another stays as it is', () => {
  const packed = new PackedEntries(0);
  const added = Array.from({ length: 130 }, (_, index) => {
    const header = rig.header({
      seq: index + 1,
      id: uuid(index, 1),
      lane: `list ${index}/${uuid(index, 2)}`,
      type: 'note.packed',
    });
    return packed.add(new Entry(header, { mayHaveBeenSent: false, waitingSinceMs: 0, heldUntilMs: 0 }), 1, () => true);
  });
  expect(added.lastIndexOf(true)).toBe(126);
  expect(packed.size).toBe(127);
  expect(packed.takeLane(`list 3/${uuid(4, 2)}`)).toBeUndefined();
  expect(packed.takeLane(`list 3/${uuid(3, 2)}`)?.seq).toBe(4);
});
