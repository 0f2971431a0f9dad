import { isHoldfastError } from '../../mutation/holdfast-error.ts';

/** What another connection may mend. A newer database is not broken, and must be left alone. */
export function isBroken(error: unknown): boolean {
  // A browser may throw what it likes where it should answer.
  if (!isHoldfastError(error)) return true;
  const { cause } = error;
  const isNewer = typeof cause === 'object' && cause !== null && 'name' in cause && cause.name === 'VersionError';
  return (error.code === 'STORAGE_FAILED' || error.code === 'STORAGE_UNAVAILABLE') && !isNewer;
}

export function isFull(error: unknown): boolean {
  return hasCode(error, 'STORAGE_FULL');
}

/** The keys of the store are away. */
export function isLocked(error: unknown): boolean {
  return hasCode(error, 'STORAGE_LOCKED');
}

/** The queue goes on in another store, and this has to be done again there. */
export function isMoved(error: unknown): boolean {
  return hasCode(error, 'STORAGE_MOVED');
}

function hasCode(error: unknown, code: string): boolean {
  return isHoldfastError(error) && error.code === code;
}
