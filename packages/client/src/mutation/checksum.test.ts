import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checksum, checksumOfBytes, checksumText } from './checksum.ts';

test('S10 · the checksum of a text is the CRC-32 of its UTF-16 code units', () => {
  const texts = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
  );
  fc.assert(
    fc.property(texts, (text) => {
      const expected = crc32(Buffer.from(text, 'utf16le'));
      expect(checksum(text)).toBe(expected);
      expect(checksumText(text)).toBe(expected.toString(16).padStart(8, '0'));
    }),
  );
});

test('S10 · the checksum of bytes is their CRC-32, also when they come in two parts', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(200), (bytes, at) => {
      const expected = crc32(bytes);
      expect(checksumOfBytes(bytes)).toBe(expected);
      expect(checksumOfBytes(bytes.subarray(at), checksumOfBytes(bytes.subarray(0, at)))).toBe(expected);
    }),
  );
});
