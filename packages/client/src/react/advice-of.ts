import { toHoldfastError } from '../mutation/holdfast-error.ts';

/** What went wrong and what to do about it, in sentences for people. */
export function adviceOf(error: unknown): string {
  const { message, hint } = toHoldfastError(error);
  return [message, hint].filter(Boolean).join(' ');
}
