import { expect, test } from 'vitest';
import { fromBase64, toBase64 } from './base64.ts';

test('S4 · bytes of every length come back from text as they were', () => {
  for (const length of [0, 1, 2, 3, 4, 5, 255, 8_191, 8_192, 8_193, 20_000]) {
    const bytes = Uint8Array.from({ length }, (_, index) => (index * 167) % 256);
    expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'));
    expect(fromBase64(toBase64(bytes))).toEqual(bytes);
  }
});

test('S4 · a text that only reads like another is none', () => {
  expect(fromBase64('QQ==')).toEqual(new Uint8Array([65]));
  for (const text of [
    'QR==',
    'QUJ=',
    'QQ',
    'QQ= ',
    ' QQ=',
    'QQ==\n',
    'Q===',
    'QQ-_',
    '====',
    'QQ==QQ==',
    'QQ=Q',
    'QQé',
    'QQ\ud83d',
    '\u0141QQQ',
  ])
    expect(fromBase64(text)).toBe(null);
});
