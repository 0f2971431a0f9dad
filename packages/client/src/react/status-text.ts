import type { QueueSnapshot } from '../queue/queue-snapshot.ts';
import type { MutationStatus } from '../queue/mutation-status.ts';

/** What a pill says, and how it looks. */
export interface PillState {
  readonly tone: 'calm' | 'busy' | 'waiting' | 'alert';
  readonly text: string;
}

/** The truth about the queue in a few words. */
export function describeQueue(snapshot: QueueSnapshot): PillState {
  const { pendingCount, processingCount, failedCount, conflictCount, waitingFor } = snapshot;
  if (failedCount > 0) return { tone: 'alert', text: `${count(failedCount, 'change')} not accepted` };
  if (conflictCount > 0) return { tone: 'alert', text: `${count(conflictCount, 'change')} for you to decide` };
  if (!snapshot.isReady) return { tone: 'waiting', text: waitingFor === 'locked' ? 'Locked' : 'Opening' };
  if (pendingCount === 0)
    return waitingFor === 'network'
      ? { tone: 'waiting', text: 'Offline' }
      : { tone: 'calm', text: 'All changes confirmed' };
  if (processingCount > 0) return { tone: 'busy', text: `Sending ${count(pendingCount, 'change')}` };
  const saved = `${count(pendingCount, 'change')} ${snapshot.isVolatile ? 'in this tab only' : 'saved on this device'}`;
  return { tone: snapshot.isVolatile ? 'alert' : 'waiting', text: `${REASONS[waitingFor]}${saved}` };
}

const REASONS: Readonly<Record<QueueSnapshot['waitingFor'], string>> = {
  network: 'Offline · ',
  rateLimit: 'Waiting · ',
  circuit: 'Server unavailable · ',
  backoff: '',
  delay: '',
  dependency: '',
  lane: '',
  paused: 'Paused · ',
  auth: 'Sign in again · ',
  policy: 'Waiting for Wi-Fi · ',
  upgrade: 'Update needed · ',
  locked: 'Locked · ',
  conflict: '',
  storage: '',
  nothing: '',
};

/** How far one mutation has come, in the words that the user was promised. `isVolatile`: as the queue's snapshot says. */
export function describeStage(status: MutationStatus, isVolatile = false): PillState {
  switch (status.status) {
    case 'pending':
      if (isVolatile) return { tone: 'alert', text: 'In this tab only' };
      if (status.waitingFor === 'conflict') return { tone: 'alert', text: 'For you to decide' };
      return { tone: 'waiting', text: 'Saved on this device' };
    case 'processing':
      return { tone: 'busy', text: 'Sending' };
    case 'completed':
      return { tone: 'calm', text: 'Confirmed' };
    case 'failed':
      return { tone: 'alert', text: 'Not accepted' };
    case 'cancelled':
      return { tone: 'calm', text: 'Discarded' };
  }
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
