import type { Fault, SimulationSettings } from './simulation.ts';

export const FAULT_WORDS: Readonly<Record<Fault, { readonly label: string; readonly hint: string }>> = {
  none: { label: 'It answers', hint: 'The server itself.' },
  login: { label: '401 · login expired', hint: 'Whatever login is shown. Changes wait for a new one; none is lost.' },
  rateLimit: { label: '429 · too many requests', hint: 'It asks for ten seconds. The whole queue keeps them.' },
  serverError: { label: '500 · server error', hint: 'Before anything has happened.' },
  lostAnswers: {
    label: '500 · after it has done the work',
    hint: 'The change takes effect, and the page hears of an error. It is sent again, and takes effect once.',
  },
  captivePortal: {
    label: '200 · from somebody else',
    hint: 'As in hotels: a page that asks to sign in. It confirms nothing.',
  },
};

/** What is simulated, in a few words. */
export function describeSimulation({
  isOffline,
  latencyMs,
  lossPercent,
  fault,
  isDiskFull,
}: SimulationSettings): string {
  const parts = [
    isOffline ? 'offline' : '',
    latencyMs > 0 ? `${latencyMs} ms latency` : '',
    lossPercent > 0 ? `${lossPercent} % loss` : '',
    fault === 'none' ? '' : FAULT_WORDS[fault].label,
    isDiskFull ? 'full disk' : '',
  ];
  return parts.filter((part) => part !== '').join(', ');
}
