import { expect, test } from 'vitest';
import { fingerprint } from './fingerprint.ts';

// They stand in stores: what an earlier version has written must still be recognised.
test.each([
  ['', '0sb6s380xqj1247s7v64qa'],
  ['a', '1n3ohf0jwqx16ayds5vhae'],
  ['= {"id":"1"}', '18xu60fija70uhz75tcm3x'],
  ['Zürich 😀', '278ehk1ndrd0ydj6wuriul'],
  ['n2', '00dzw91rg3p25ftjoh1qaq'],
  ['n6', '1s1yqzohsf200z9oxpm81d'],
  ['x'.repeat(5_000), '0nr0xr0u2350lw79079d9o'],
])('Q9 · the mark of a content is the same in every version: %.12s', (text, mark) => {
  expect(fingerprint(text)).toBe(mark);
});
