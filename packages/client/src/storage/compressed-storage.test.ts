import { deflateSync } from 'fflate';
import { describe, expect, test } from 'vitest';
import { memoryStorage } from './memory-storage.ts';
import { compressedStorage } from './compressed-storage.ts';
import { compressText, decompressText, writeDeflated } from './compressed-text.ts';
import { storageContract } from './storage-contract.ts';

const OVER = 1_024;

/** Rows as an app has them: repeated names of fields, ids and values that differ. */
function rows(count: number): string {
  return JSON.stringify(
    Array.from({ length: count }, (_, index) => ({
      id: `0192f0c0-7b1a-7${(index * 7_919) % 1_000}-8000-${String(index * 104_729).padStart(12, '0')}`,
      name: `Customer ${index}`,
      email: `customer.${index}@example.com`,
      isPrimary: index % 3 === 0,
      updatedAt: `2026-11-2${index % 10}T10:00:00.000Z`,
    })),
  );
}

describe('compressed, in memory', () => {
  const cases = storageContract({
    open: compressedStorage(memoryStorage(), 3),
    capabilities: { durability: 'volatile', keepsAfterClose: true, hasSeveralWriters: true },
  });
  for (const { name, skip, run } of cases) test.skipIf(skip !== null)(name, run);
});

test('S5 · what is longer than the threshold is compressed, and nothing else', () => {
  const at = 'x'.repeat(OVER);

  expect(compressText(at, OVER)).toBe(at);
  expect(compressText(`${at}x`, OVER).length).toBeLessThan(100);
  expect(decompressText(compressText(`${at}x`, OVER))).toBe(`${at}x`);
});

test('S5 · JSON of a few kilobytes takes at most 40 % of its room', () => {
  const text = rows(20);

  expect(text.length).toBeGreaterThan(2_000);
  expect(compressText(text, OVER).length / text.length).toBeLessThan(0.4);
});

test('S5 · what does not get smaller is stored as it is', () => {
  let state = 1;
  const noise = Array.from({ length: 3_000 }, () => {
    state = (state * 48_271) % 2_147_483_647;
    return String.fromCharCode(33 + (state % 90));
  }).join('');

  expect(compressText(noise, OVER)).toBe(noise);
});

test('S5 · every text comes back as it was, whatever it begins with and however it is written', () => {
  const texts = [
    '',
    '~',
    '~0',
    '~d',
    '~dx',
    '~s',
    '~~',
    'ä',
    '\ufeffx',
    '\ud800',
    `${'é\u{1f600}'.repeat(900)}`,
    `~${'~'.repeat(2_000)}`,
  ];
  texts.push(`${'x'.repeat(2_000)}\udc00`, `\ufeff${'x'.repeat(2_000)}`);

  for (const text of texts) {
    const stored = compressText(text, OVER);
    expect(decompressText(stored)).toBe(text);
    expect(decompressText(compressText(stored, OVER))).toBe(stored);
  }
});

test('S5 · any bit of a compressed text that is flipped makes it unreadable, and its bytes come as they stand', () => {
  const stored = compressText(rows(20), OVER);
  const step = 7;

  for (let index = 0; index < stored.length; index += step) {
    for (let bit = 0; bit < 7; bit += 1) {
      const unit = String.fromCharCode(stored.charCodeAt(index) ^ (1 << bit));
      const damaged = stored.slice(0, index) + unit + stored.slice(index + 1);
      if (index === 0) expect(damaged.startsWith('~')).toBe(false);
      else if (!damaged.startsWith('~0')) expect(decompressText(damaged)).toBe(damaged);
    }
  }
});

test('S5 · sec-W6: a text that says it were larger than any is not opened, and one that is larger than it says stays within it', () => {
  const bomb = deflateSync(new Uint8Array(64 * 2 ** 20));
  expect(bomb.length).toBeLessThan(100_000);

  const honest = writeDeflated({ bytes: bomb, textBytes: 64 * 2 ** 20 });
  const lying = writeDeflated({ bytes: bomb, textBytes: 1_000 });
  const short = writeDeflated({ bytes: deflateSync(new Uint8Array(10)), textBytes: 1_000 });

  expect(decompressText(honest)).toBe(honest);
  expect(decompressText(lying).length).toBe(1_000);
  expect(decompressText(short)).toBe(short);
});

test('S5 · a value that another version has compressed otherwise is the same value', async () => {
  // given: a store in which a value stands compressed at another level
  const open = memoryStorage();
  const below = await open('store');
  const text = rows(30);
  const bytes = new TextEncoder().encode(text);
  const otherwise = writeDeflated({ bytes: deflateSync(bytes, { level: 1 }), textBytes: bytes.length });
  expect(otherwise).not.toBe(compressText(text, OVER));
  await below.commit({ expect: [], changes: [{ kind: 'put', key: 'a', value: otherwise }] });

  // when: someone expects the value
  const storage = await compressedStorage(open)('store');
  const result = await storage.commit({
    expect: [{ key: 'a', value: text }],
    changes: [{ kind: 'put', key: 'b', value: 'x' }],
  });

  // then
  expect(result).toEqual({ kind: 'committed' });
  expect(await storage.read(['a', 'b'])).toEqual([text, 'x']);
});
