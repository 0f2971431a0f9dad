import { expect, test } from 'vitest';
import { isNewEnough } from './node-at-hand.mjs';

test.each([
  ['20.20.2', false],
  ['22.17.9', false],
  ['22.18.0', true],
  ['23.11.0', false],
  ['24.0.0', true],
  ['26.10.0', true],
])('house · Node %s is new enough to run the repository: %s', (version, isEnough) => {
  expect(isNewEnough(version)).toBe(isEnough);
});
