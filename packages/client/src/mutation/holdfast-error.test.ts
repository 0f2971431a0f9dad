import { expect, test } from 'vitest';
import { ERROR_CODES } from '../protocol/error-codes.ts';
import { ERROR_CATEGORIES } from '../protocol/wire.ts';
import { categoryOfCode, errorFromWire, HoldfastError, isErrorCategory, isHoldfastError } from './holdfast-error.ts';

test('R1 · each code of our own has a category of the closed list', () => {
  for (const [code, category] of Object.entries(ERROR_CODES)) {
    expect(isErrorCategory(category)).toBe(true);
    expect(categoryOfCode(code)).toBe(category);
  }
});

test('R1 · a code of somebody else is UNKNOWN_ERROR until they say otherwise', () => {
  expect(new HoldfastError({ code: '23505', message: 'x' }).category).toBe('UNKNOWN_ERROR');
  expect(new HoldfastError({ code: '23505', category: 'CONFLICT', message: 'x' }).category).toBe('CONFLICT');
  // a name that every object has is no code of ours
  expect(categoryOfCode('toString')).toBe('UNKNOWN_ERROR');
});

test('R1 · an error carries code, category, message, hint and the original', () => {
  const cause = new Error('disk');
  const error = new HoldfastError({ code: 'STORAGE_FULL', message: 'Not stored.', hint: 'Free space.', cause });

  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({
    name: 'HoldfastError',
    code: 'STORAGE_FULL',
    category: 'STORAGE_ERROR',
    hint: 'Free space.',
    issues: [],
  });
  expect(error.cause).toBe(cause);
  expect(error.toWire()).toEqual({
    category: 'STORAGE_ERROR',
    code: 'STORAGE_FULL',
    message: 'Not stored.',
    hint: 'Free space.',
  });
  const details = { mutationId: 'm', type: 't', entity: null, attemptCount: 1, isFinal: true };
  expect(errorFromWire(error.toWire(), details).toWire()).toEqual(error.toWire());
  expect(errorFromWire(error.toWire(), details).details).toEqual(details);
});

test('R1 · without a hint the wire has none', () => {
  expect(new HoldfastError({ code: 'X', message: 'y' }).toWire()).toEqual({
    category: 'UNKNOWN_ERROR',
    code: 'X',
    message: 'y',
  });
});

test('R1 · an error of another loaded copy of the package is known too, and others are not', () => {
  const fromAnotherCopy = Object.assign(new Error('x'), { '@@holdfast/error': true });

  expect(isHoldfastError(fromAnotherCopy)).toBe(true);
  for (const other of [new Error('x'), null, undefined, 'x', {}]) expect(isHoldfastError(other)).toBe(false);
});

test('R1 · only the closed list is a category', () => {
  for (const category of ERROR_CATEGORIES) expect(isErrorCategory(category)).toBe(true);
  for (const other of ['OTHER', '', 5, null]) expect(isErrorCategory(other)).toBe(false);
});
