import fc from 'fast-check';
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { ERROR_CATEGORIES, type WireError } from '../protocol/wire.ts';
import { checksum, checksumText } from './checksum.ts';
import {
  type CompletedRecord,
  type DeadLetter,
  headerOfBody,
  type MutationHeader,
  parseBody,
  parseCompleted,
  parseDeadLetter,
  parseHeader,
  sealRecord,
  SENSITIVE_MARK,
  writeBody,
} from './record.ts';

const error: WireError = {
  category: 'CONFLICT',
  code: '23505',
  message: 'It is there already: "ä".',
  hint: 'Take another.',
};
const header: MutationHeader = {
  seq: 7,
  id: '0190e0a5-0000-7000-8000-000000000001',
  generation: 1,
  revision: 0,
  replaces: null,
  dedupeKey: null,
  dedupeNear: null,
  type: 'account.rename',
  version: 1,
  lane: 'accounts:a',
  alsoLanes: [],
  place: 3,
  operation: 'update',
  entity: { table: 'accounts', id: 'a' },
  priority: 'normal',
  maxRetries: null,
  retryDelayMs: null,
  delayMs: 0,
  dependsOn: [],
  slots: [{ placeholder: 'p', parentId: 'p', from: ['id'] }],
  expiresAtMs: null,
  createdAtMs: 1_700_000_000_000,
  payloadBytes: 12,
  bodyChecksum: 99,
  attempts: [{ attemptNumber: 1, answeredAtMs: 1_700_000_000_001, error }],
};
const deadLetter: DeadLetter = { header, error, failedAtMs: 5, holdsLane: false };
const completed: CompletedRecord = {
  id: header.id,
  seq: 7,
  type: header.type,
  entity: null,
  createdAtMs: 1,
  confirmedAtMs: 2,
  attemptCount: 1,
  priority: 'high',
  result: { id: 'a' },
};

/** What nearly is, or just is, what a field may be. */
const EDGES = [0, 1, 1.5, -1, 2 ** 53, '', 'create', 'high', 'merge', [], [1], ['a'], [null], {}, { table: 'a' }, null];
const EDITED = {
  edit: {
    baseRowVersion: 3,
    ownSinceVersion: null,
    rebases: 0,
    hlc: null,
    isPatch: true,
    conflict: { detectedAtMs: 1, fields: [['a']] },
  },
};

/** What a header must be, written for reading; the code that reads long queues checks the same by hand. */
const referenceHeader = v.object({
  seq: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  id: v.string(),
  generation: v.number(),
  type: v.string(),
  version: v.number(),
  lane: v.string(),
  alsoLanes: v.array(v.string()),
  place: v.optional(v.nullable(v.number()), null),
  operation: v.picklist(['create', 'update', 'delete', 'custom']),
  entity: v.nullable(v.object({ table: v.string(), id: v.string() })),
  priority: v.picklist(['high', 'normal', 'low']),
  maxRetries: v.nullable(v.number()),
  retryDelayMs: v.nullable(v.number()),
  delayMs: v.number(),
  dependsOn: v.array(v.string()),
  slots: v.array(
    v.object({
      placeholder: v.union([v.string(), v.number()]),
      parentId: v.string(),
      from: v.array(v.union([v.string(), v.number()])),
    }),
  ),
  expiresAtMs: v.nullable(v.number()),
  createdAtMs: v.number(),
  payloadBytes: v.number(),
  bodyChecksum: v.number(),
  attempts: v.array(
    v.object({
      attemptNumber: v.number(),
      answeredAtMs: v.number(),
      error: v.object({
        category: v.picklist(ERROR_CATEGORIES),
        code: v.string(),
        message: v.string(),
        hint: v.optional(v.string()),
      }),
    }),
  ),
  revision: v.number(),
  replaces: v.nullable(v.string()),
  dedupeKey: v.nullable(v.string()),
  dedupeNear: v.nullable(v.array(v.number())),
  edit: v.exactOptional(
    v.object({
      baseRowVersion: v.nullable(v.number()),
      ownSinceVersion: v.nullable(v.number()),
      rebases: v.number(),
      hlc: v.nullable(v.string()),
      isPatch: v.boolean(),
      conflict: v.nullable(v.object({ detectedAtMs: v.number(), fields: v.array(v.array(v.string())) })),
    }),
  ),
  mark: v.exactOptional(v.picklist(['!sensitive!bound!', '!sensitive!'])),
});

describe('sealed records', () => {
  test('S1 · the checksum is CRC-32 over code units, low byte first', () => {
    // "123456789" is the check value of every CRC catalogue, over bytes; ours runs over two bytes a character.
    expect(checksum('')).toBe(0);
    const pairs = '\u3231\u3433\u3635\u3837'; // the bytes of "12345678" as four characters
    expect(checksum(pairs)).toBe(0x9ae0daaf);
  });

  test('S1 · the checksum of a text of any length is that of its bytes, one after the other', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 20 }), (text) => {
        let crc = 0xffffffff;
        for (let index = 0; index < 2 * text.length; index += 1) {
          crc ^= (text.charCodeAt(index >> 1) >> (8 * (index & 1))) & 0xff;
          for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
        }
        expect(checksum(text)).toBe((crc ^ 0xffffffff) >>> 0);
        expect(checksumText(text)).toBe(((crc ^ 0xffffffff) >>> 0).toString(16).padStart(8, '0'));
      }),
    );
  });

  test.each([
    { name: 'header', record: header, parse: parseHeader },
    { name: 'dead letter', record: deadLetter, parse: parseDeadLetter },
    { name: 'completed record', record: completed, parse: parseCompleted },
  ])('S10 · a $name reads back as it was written', ({ record, parse }) => {
    expect(parse(sealRecord(record))).toEqual({ kind: 'record', record });
  });

  test('S10 · every single flipped bit of a record is noticed', () => {
    const sealed = sealRecord(completed);
    for (let index = 0; index < sealed.length; index += 1) {
      for (let bit = 0; bit < 16; bit += 1) {
        const flipped = String.fromCharCode(sealed.charCodeAt(index) ^ (1 << bit));
        const text = sealed.slice(0, index) + flipped + sealed.slice(index + 1);
        expect(parseCompleted(text), `bit ${bit} of character ${index}`).toEqual({ kind: 'unreadable', text });
      }
    }
  });

  test('S10 · every record cut short, and every one with something behind it, is noticed', () => {
    const sealed = sealRecord(completed);
    for (let length = 0; length < sealed.length; length += 1)
      expect(parseCompleted(sealed.slice(0, length)).kind).toBe('unreadable');
    expect(parseCompleted(`${sealed} `).kind).toBe('unreadable');
  });

  test.each([
    { name: 'another sort of record', json: JSON.stringify(deadLetter) },
    { name: 'a number below 1', json: JSON.stringify({ ...header, seq: 0 }) },
    { name: 'a number that is not whole', json: JSON.stringify({ ...header, seq: 1.5 }) },
    { name: 'a number that is not exact', json: JSON.stringify({ ...header, seq: 2 ** 53 }) },
    { name: 'an entity whose id is no text', json: JSON.stringify({ ...header, entity: { table: 'a', id: 1 } }) },
    { name: 'an operation that we do not know', json: JSON.stringify({ ...header, operation: 'merge' }) },
    { name: 'null', json: 'null' },
    { name: 'no JSON', json: '{' },
  ])('S10 · $name under a right checksum is unreadable', ({ json }) => {
    const text = `${checksum(json).toString(16).padStart(8, '0')} ${json}`;

    expect(parseHeader(text)).toEqual({ kind: 'unreadable', text });
  });

  test('S3 · a header is taken or refused as the schema of its fields says', () => {
    const field = fc.constantFrom(...Object.keys(referenceHeader.entries), 'unheardOf');
    const change = fc.record({
      field,
      value: fc.option(fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom(...EDGES)), { nil: undefined }),
    });
    const full: object = {
      ...header,
      ...EDITED,
      mark: '!sensitive!',
      dedupeNear: [1, 2],
      alsoLanes: ['b'],
      dependsOn: ['p'],
    };
    const bare = { ...header, attempts: [], slots: [], entity: null, place: null };
    fc.assert(
      fc.property(fc.constantFrom(full, bare), fc.array(change, { maxLength: 2 }), (base, changes) => {
        const changed = Object.fromEntries(changes.map(({ field: name, value }) => [name, value]));
        const json = JSON.stringify({ ...base, ...changed });
        const expected = v.safeParse(referenceHeader, JSON.parse(json));
        const parsed = parseHeader(`${checksum(json).toString(16).padStart(8, '0')} ${json}`);
        expect(parsed.kind).toBe(expected.success ? 'record' : 'unreadable');
        if (expected.success) expect(parsed).toMatchObject({ record: expected.output });
      }),
      { numRuns: 5_000 },
    );
  });

  test('S10 · a body is read only when it is the one its header names, and an object', () => {
    const body = (text: string, sum = checksum(text)): unknown => parseBody(text, { bodyChecksum: sum });
    const text = writeBody('{"a":1}', {});
    expect(body(text)).toEqual({ kind: 'record', record: { payload: { a: 1 } } });
    expect(body(text, 5)).toEqual({ kind: 'unreadable', text });
    for (const broken of ['[1]', 'null', '"a"', '1', '{', '', '{}', '{"payload":[]}', '{"payload":null}'])
      expect(body(broken)).toEqual({ kind: 'unreadable', text: broken });
  });

  test('Q20 · sec-E3: a body with sensitive fields reads only with a header that has its mark; one of format 2 with any', () => {
    const text = writeBody('{"pin":1}', { isSensitive: true });
    const read = { kind: 'record', record: { payload: { pin: 1 }, isSensitive: true } };
    const { mark, bodyChecksum } = headerOfBody(text);
    expect(parseBody(text, { bodyChecksum, ...(mark === undefined ? {} : { mark }) })).toEqual(read);
    expect(parseBody(text, { bodyChecksum })).toEqual({ kind: 'unreadable', text });
    expect(parseBody(text, { bodyChecksum, mark: SENSITIVE_MARK })).toEqual({ kind: 'unreadable', text });

    const old = `${SENSITIVE_MARK}{"pin":1}`.replace('{', '{"payload":{').concat('}');
    const oldHeader = headerOfBody(old);
    expect(oldHeader.mark).toBeUndefined();
    expect(parseBody(old, oldHeader)).toEqual(read);
    expect(parseBody(old, { ...oldHeader, mark: SENSITIVE_MARK })).toEqual(read);
  });

  test('Q15 · where a mutation comes from is kept beside its payload', () => {
    const origin = { metadata: { userId: 'ann' }, source: { screen: 'notes' } };
    const text = writeBody('{"a":1}', origin);
    expect(parseBody(text, { bodyChecksum: checksum(text) })).toEqual({
      kind: 'record',
      record: { payload: { a: 1 }, ...origin },
    });
  });
});
