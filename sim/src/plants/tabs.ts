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
    name: 'stale-leader-sends',
    file: `${CLIENT}/queue/queue-store.ts`,
    find: 'isLeader: epoch === this.ownEpoch,',
    replace: 'isLeader: true,',
    suffering: 'A tab that woke up late sends what was taken back in another one meanwhile.',
  },
  {
    name: 'frozen-leader-waited-for',
    file: `${CLIENT}/queue/leadership.ts`,
    find: 'if (this.silenceCount >= SILENCES_MAX) {',
    replace: 'if (this.silenceCount >= 1e9) {',
    suffering: 'A tab that its browser has frozen keeps the lock, and nothing is sent until somebody looks at it.',
  },
  {
    name: 'put-away-while-taking-over',
    file: `${CLIENT}/queue/leadership.ts`,
    find: 'this.takingSinceMs = null;\n    if (this.ports.isLeader()) this.ports.standDown();',
    replace: 'if (this.ports.isLeader()) this.ports.standDown();',
    suffering: 'A page put away just when it began to lead never delivers again after it is back.',
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
