import { CLIENT, type Plant } from '../plant.ts';

/** Bugs by which somebody who has asked is never answered, or a queue stops after a chore. */
export const ANSWERING_PLANTS: readonly Plant[] = [
  {
    name: 'known-verdict-answers-nobody',
    firstSeed: 620_000_155,
    file: `${CLIENT}/queue/delivering/verdict-book.ts`,
    find: 'if (isKnown) this.answer(settled);',
    replace: 'if (isKnown) return;',
    suffering: 'A button spins for ever, although what it saved is on the server.',
    shape: { dense: 'any', tabCountMax: 4, rates: { storageSlow: 0.2, killTab: 0, closeTab: 0 } },
  },
  {
    name: 'closed-tab-waits-for-the-leader',
    firstSeed: 69,
    file: `${CLIENT}/queue/tabs/ask-leader.ts`,
    find: 'if (this.isEnded) return Promise.resolve(null);',
    replace: '',
    suffering: 'Whoever pauses in a tab that is just being closed is never told anything.',
    shape: { dense: 'chores', tabCountMax: 4 },
  },
  {
    name: 'drain-of-a-closed-tab-stays-open',
    file: `${CLIENT}/queue/delivering/drain.ts`,
    find: 'if (engine.isLeader || isEnded) {',
    replace: 'if (engine.isLeader) {',
    suffering: '"Sync now" spins for ever in a tab whose user has signed out.',
    shape: { dense: 'chores', tabCountMax: 4 },
  },
  {
    name: 'look-through-all-stops-delivery',
    firstSeed: 267,
    file: `${CLIENT}/queue/store/recovery.ts`,
    find: '      watch.takeOverLater(error);\n',
    replace: '',
    suffering:
      'Support lets the app repair its store, which is busy, and nothing is sent any more until the page is loaded again.',
    shape: { dense: 'chores' },
  },
  {
    name: 'keys-back-unnoticed',
    firstSeed: 11,
    file: `${CLIENT}/queue/tabs/lock-watch.ts`,
    find: "        this.ports.dispatch({ kind: 'unlocked' });\n",
    replace: '',
    suffering: 'The phone is unlocked, and the app goes on waiting for that.',
    shape: { dense: 'chores', locksPerMinute: 6 },
  },
];
