import type { MutationStatus } from '../../queue/mutation-status.ts';

/** What asking to hurry shortens: not a pause that the server asked for, nor the time in which it can be taken back. */
const SHORTENED: ReadonlySet<MutationStatus['waitingFor']> = new Set([
  'network',
  'circuit',
  'backoff',
  'policy',
] as const);

/** Whether it may be sent sooner if someone asks for it. */
export function canTryNow({ status, waitingFor }: Pick<MutationStatus, 'status' | 'waitingFor'>): boolean {
  return status === 'failed' || (status === 'pending' && SHORTENED.has(waitingFor));
}
