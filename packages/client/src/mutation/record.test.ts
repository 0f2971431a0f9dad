import { describe, expect, test } from 'vitest';
import type { WireError } from '../protocol/wire.ts';
import { checksum } from './checksum.ts';
import {
  type CompletedRecord,
  type DeadLetter,
  type MutationHeader,
  parseBody,
  parseCompleted,
  parseDeadLetter,
  parseHeader,
  sealRecord,
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

describe('sealed records', () => {
  test('S1 · the checksum is CRC-32 over code units, low byte first', () => {
    // "123456789" is the check value of every CRC catalogue, over bytes; ours runs over two bytes a character.
    expect(checksum('')).toBe(0);
    const pairs = '\u3231\u3433\u3635\u3837'; // the bytes of "12345678" as four characters
    expect(checksum(pairs)).toBe(0x9ae0daaf);
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

  test('S10 · a body is read only when it is the one its header names, and an object', () => {
    const body = (text: string, sum = checksum(text)): unknown => parseBody(text, sum);
    const text = writeBody('{"a":1}', {});
    expect(body(text)).toEqual({ kind: 'record', record: { payload: { a: 1 } } });
    expect(body(text, 5)).toEqual({ kind: 'unreadable', text });
    for (const broken of ['[1]', 'null', '"a"', '1', '{', '', '{}', '{"payload":[]}', '{"payload":null}'])
      expect(body(broken)).toEqual({ kind: 'unreadable', text: broken });
  });

  test('Q15 · where a mutation comes from is kept beside its payload', () => {
    const origin = { metadata: { userId: 'ann' }, source: { screen: 'notes' } };
    const text = writeBody('{"a":1}', origin);
    expect(parseBody(text, checksum(text))).toEqual({ kind: 'record', record: { payload: { a: 1 }, ...origin } });
  });
});
