import type { MutationStatus } from '../queue/mutation-status.ts';

/** Two readings of one moment lie less than this apart, in milliseconds: each is reckoned anew from two clocks. */
const SAME_TIME_MS = 100;

/** Whether nothing that a status says has changed. */
export function isSameStatus(one: MutationStatus | undefined, other: MutationStatus | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  // What it is about is made anew at each look, and another one only by an edit, which counts as a revision.
  return (Object.keys(one) as (keyof MutationStatus)[]).every((key) => {
    if (key === 'entity') return true;
    if (key === 'attempts')
      return one.attempts.length === other.attempts.length && one.attempts.at(-1) === other.attempts.at(-1);
    if (key === 'nextAttemptAtMs' && one[key] !== null && other[key] !== null)
      return Math.abs(one[key] - other[key]) < SAME_TIME_MS;
    return one[key] === other[key];
  });
}

export function areSameStatuses(some: readonly MutationStatus[], others: readonly MutationStatus[]): boolean {
  return some.length === others.length && some.every((each, index) => isSameStatus(each, others[index]));
}
