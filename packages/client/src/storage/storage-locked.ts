import { HoldfastError, isHoldfastError, messageOf } from '../mutation/holdfast-error.ts';

/** Nothing can be read or written, because the keys are not there; nothing is lost either. */
export function locked(cause: unknown, message: string): HoldfastError {
  return new HoldfastError({
    code: 'STORAGE_LOCKED',
    message,
    hint: 'Make the keys available again (unlock the device, open the key store). Everything that was stored is kept, and goes on then.',
    cause: cause ?? undefined,
  });
}

/** Runs what needs the keys; whatever goes wrong there means that they are away. */
export async function unlocked<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (isHoldfastError(error) && error.code === 'STORAGE_LOCKED') throw error;
    const reason = messageOf(error);
    throw locked(error, `The keys of the mutations on this device are away (${reason}).`);
  }
}

export function keyIsMissing(id: string): HoldfastError {
  return locked(null, `The key ${id} of the mutations on this device is not there, or is another one.`);
}

export function keyIsWornOut(id: string, count: number): HoldfastError {
  return new HoldfastError({
    code: 'STORAGE_LOCKED',
    message: `Not stored: the key ${id} has sealed ${count} values, as many as one key may (NIST SP 800-38D, 8.3).`,
    hint: 'Give the queue a new key (`rotate()`, or `renew` of your key provider). Everything that was stored is kept, and goes on then.',
  });
}
