import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AttemptRecord, EditHeader, MutationHeader } from '../mutation/record.ts';
import { KeptHeader } from './kept-header.ts';
import { EngineRig } from './testing-engine/engine-rig.ts';

const text = fc.string({ maxLength: 8 });
const count = fc.integer({ min: 0, max: 3 });
const orNull = <Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<Value | null> => fc.option(value);
/** Plain objects, as they come out of JSON. */
const PLAIN = { noNullPrototype: true } as const;
const entity = fc.record({ table: text, id: text }, PLAIN);
const EDIT: EditHeader = {
  baseRowVersion: 3,
  ownSinceVersion: null,
  afterSeq: 4,
  rebases: 0,
  hlc: null,
  isPatch: false,
  conflict: null,
};

const ATTEMPT: AttemptRecord = {
  attemptNumber: 1,
  answeredAtMs: 1,
  error: { category: 'SERVER_ERROR', code: 'X', message: 'It did not work.' },
};

/** Few values of each field, so that many are alike. */
const anyHeader: fc.Arbitrary<MutationHeader> = fc
  .record({
    seq: fc.integer({ min: 1 }),
    id: text,
    generation: count,
    type: fc.constantFrom('a', 'b', '__proto__'),
    version: count,
    lane: text,
    alsoLanes: fc.array(text, { maxLength: 2 }),
    place: orNull(count),
    operation: fc.constantFrom('create', 'update'),
    entity: orNull(entity),
    priority: fc.constantFrom('high', 'normal', 'low'),
    maxRetries: orNull(count),
    retryDelayMs: orNull(count),
    delayMs: count,
    dependsOn: fc.array(text, { maxLength: 2 }),
    slots: fc.array(fc.record({ placeholder: text, parentId: text, from: fc.array(text) }, PLAIN), { maxLength: 2 }),
    expiresAtMs: orNull(fc.integer({ min: 0 })),
    createdAtMs: fc.oneof(fc.integer({ min: 0 }), fc.constantFrom(1_700_000_000_000, 0)),
    payloadBytes: count,
    bodyChecksum: fc.integer({ min: 0, max: 0xffff_ffff }),
    attempts: fc.array(fc.constant(ATTEMPT), { maxLength: 2 }),
    revision: count,
    replaces: orNull(text),
    dedupeKey: orNull(text),
    dedupeNear: orNull(fc.array(count, { maxLength: 2 })),
  })
  .chain((header) =>
    fc.record({
      header: fc.constant(header),
      isNamed: fc.boolean(),
      edit: fc.option(fc.constant(EDIT)),
      members: fc.option(fc.array(fc.record({ type: text, version: count }, PLAIN), { maxLength: 2 })),
      mark: fc.option(fc.constantFrom('!sensitive!', '!sensitive!bound!')),
    }),
  )
  .map(({ header, isNamed, edit, members, mark }) => {
    const lane = isNamed && header.entity !== null ? `${header.entity.table}:${header.entity.id}` : header.lane;
    return {
      ...header,
      lane,
      ...(edit === null ? {} : { edit }),
      ...(members === null ? {} : { members }),
      ...(mark === null ? {} : { mark }),
    };
  });

test('Q2 · a header that is kept in little room says all that it said', () => {
  fc.assert(
    fc.property(fc.array(anyHeader, { minLength: 1, maxLength: 20 }), (headers) => {
      const kept = headers.map((header) => new KeptHeader(header));

      for (const [index, header] of headers.entries()) {
        const one = kept[index] as KeptHeader;
        expect(one.header).toStrictEqual(header);
        for (const field of Object.keys(header) as (keyof MutationHeader)[]) expect(one[field]).toEqual(header[field]);
      }
    }),
  );
});

test('Q2 · a header that takes the place of another leaves nothing of it', () => {
  fc.assert(
    fc.property(anyHeader, anyHeader, (before, after) => {
      const kept = new KeptHeader(before);
      kept.header = after;
      expect(kept.header).toStrictEqual(after);
    }),
  );
});

test('Q2 · a whole header is a copy: whoever changes it does not change what is kept', () => {
  const header = new EngineRig().header({});
  const kept = new KeptHeader(header);

  expect(kept.header).not.toBe(kept.header);
  expect({ ...kept.header, seq: 7 }).toStrictEqual({ ...header, seq: 7 });
});

test('Q2 · one that was made long after the first of its type says when, to the millisecond', () => {
  const rig = new EngineRig();
  const first = rig.header({ type: 'of.its.own' });
  const later = { ...first, seq: 2, createdAtMs: first.createdAtMs + 2 ** 40 + 0.5 };

  expect(new KeptHeader(first).createdAtMs).toBe(first.createdAtMs);
  expect(new KeptHeader(later).createdAtMs).toBe(later.createdAtMs);
});
