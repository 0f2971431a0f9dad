import { expect, test } from 'vitest';
import { findWebKit } from './webkit.ts';

test('house · where there is no WebKitGTK, what is missing is said, and how to get it', () => {
  const before = process.env.PATH;
  process.env.PATH = '/no/such/folder';
  try {
    expect(findWebKit()).toEqual({
      missing:
        'there is no WebKitGTK with its driver and Xvfb on this machine (on Debian: `apt-get install webkit2gtk-driver xvfb`)',
    });
  } finally {
    process.env.PATH = before;
  }
});
