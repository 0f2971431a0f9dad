import { CLIENT, type Plant } from '../plant.ts';

/** Bugs in how tabs share one store. */
export const TABS_PLANTS: readonly Plant[] = [
  {
    name: 'pause-not-read-before-sending',
    file: `${CLIENT}/queue/queue-store.ts`,
    find: 'isPaused: paused !== null,',
    replace: 'isPaused: false,',
    suffering: 'Paused in one tab, while another goes on sending.',
  },
  {
    name: 'epoch-not-compared',
    file: `${CLIENT}/queue/queue-store.ts`,
    find: 'expect: [isOwn],',
    replace: 'expect: [],',
    suffering: 'A tab that woke up late writes over what the new leader has settled.',
    isRare: true,
  },
  {
    name: 'message-trusted',
    file: `${CLIENT}/queue/runner.ts`,
    find: 'const LOOK_AGAIN_MS = 60_000;',
    replace: 'const LOOK_AGAIN_MS = 1e12;',
    suffering: 'A change made in a second tab waits until that tab is opened again.',
  },
  {
    name: 'stale-look-believed',
    file: `${CLIENT}/queue/store-watch.ts`,
    find: 'this.gone.set(id, {',
    replace: 'this.gone.set(`${id} `, {',
    suffering: 'A change that was confirmed comes back, and ends as a dead letter nobody made.',
    isRare: true,
  },
];
