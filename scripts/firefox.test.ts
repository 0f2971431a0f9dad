import { expect, test } from 'vitest';
import { findFirefox } from './firefox.ts';

test('house · a Firefox that is named and not there is said, and no other is taken for it', () => {
  const before = process.env.FIREFOX_PATH;
  process.env.FIREFOX_PATH = '/no/such/firefox';
  try {
    expect(findFirefox()).toEqual({ missing: 'FIREFOX_PATH names /no/such/firefox, which is not there' });
  } finally {
    if (before === undefined) delete process.env.FIREFOX_PATH;
    else process.env.FIREFOX_PATH = before;
  }
});
