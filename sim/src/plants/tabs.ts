import { CLIENT, type Plant } from '../plant.ts';

/** Bugs in how tabs share one store. */
export const TABS_PLANTS: readonly Plant[] = [
  {
    name: 'pause-not-read-before-sending',
    firstSeed: 1_811,
    file: `${CLIENT}/queue/store/queue-store.ts`,
    find: 'isPaused: paused !== null,',
    replace: 'isPaused: false,',
    suffering: 'Paused in one tab, while another goes on sending.',
  },
  {
    name: 'epoch-not-compared',
    firstSeed: 3847,
    file: `${CLIENT}/queue/delivering/settlement-store.ts`,
    find: 'expect: [isOwn, ...expect],',
    replace: 'expect: [...expect],',
    suffering: 'A tab that woke up late writes over what the new leader has settled.',
  },
  {
    name: 'stale-leader-sends',
    firstSeed: 59,
    file: `${CLIENT}/queue/store/queue-store.ts`,
    find: 'isLeader: epoch === this.ownEpoch,',
    replace: 'isLeader: true,',
    suffering: 'A tab that woke up late sends what was taken back in another one meanwhile.',
  },
  {
    name: 'frozen-leader-waited-for',
    firstSeed: 13,
    file: `${CLIENT}/queue/tabs/leadership.ts`,
    find: 'if (this.silenceCount >= SILENCES_MAX) {',
    replace: 'if (this.silenceCount >= 1e9) {',
    suffering: 'A tab that its browser has frozen keeps the lock, and nothing is sent until somebody looks at it.',
  },
  {
    name: 'put-away-while-taking-over',
    firstSeed: 439,
    file: `${CLIENT}/queue/tabs/leadership.ts`,
    find: 'this.takingSinceMs = null;\n    this.storeWorks();\n    if (this.ports.isLeader()) this.ports.standDown();',
    replace: 'if (this.ports.isLeader()) this.ports.standDown();',
    suffering: 'A page put away just when it began to lead never delivers again after it is back.',
  },
  {
    name: 'message-trusted',
    firstSeed: 56,
    file: `${CLIENT}/queue/runner.ts`,
    find: 'const LOOK_AGAIN_MS = 60_000;',
    replace: 'const LOOK_AGAIN_MS = 1e12;',
    suffering: 'A change made in a second tab waits until that tab is opened again.',
  },
  {
    name: 'stale-look-believed',
    firstSeed: 587,
    file: `${CLIENT}/queue/store/store-watch.ts`,
    find: 'this.gone.set(id, {',
    replace: 'this.gone.set(`${id} `, {',
    suffering: 'A change that was confirmed comes back, and ends as a dead letter nobody made.',
  },
  {
    name: 'epoch-not-raised',
    file: `${CLIENT}/queue/store/queue-store.ts`,
    find: 'const next = countText(number);',
    replace: 'const next = epoch === null || count === 0 ? countText(number) : epoch;',
    suffering: 'Two tabs both think that they deliver, and undo each other’s work.',
  },
  {
    name: 'stands-down-without-stopping',
    file: `${CLIENT}/queue/runner.ts`,
    find: `    this.dispatch({ kind: 'leadership', isLeader: false });
`,
    replace: '',
    suffering: 'A tab that has lost the lead goes on sending.',
  },
  {
    name: 'takes-over-without-looking',
    firstSeed: 58,
    shape: {
      durationMs: 30_000,
      tabCountMax: 3,
      laneCount: 1,
      editRate: 0,
      actionsPerMinute: 20,
      rates: { freezeTab: 15, closeTab: 6, messageLost: 0.7, messageLate: 0.5, storageSlow: 0.3, partition: 3 },
    },
    file: `${CLIENT}/queue/runner.ts`,
    find: 'if (earlierSeq === null) return null;\n    await this.watch.takeOver();',
    replace: 'if (earlierSeq === null) return null;',
    suffering: 'The next tab sends again what was taken back.',
  },
  {
    name: 'messages-answered-with-messages',
    file: `${CLIENT}/queue/runner.ts`,
    find: `case 'stored':
        this.watch.catchUpLater();`,
    replace: `case 'stored':
        this.post({ kind: 'stored' });
        this.watch.catchUpLater();`,
    suffering: 'Two tabs tell each other the same news for ever, and the phone gets hot.',
  },
  {
    name: 'settled-not-heard',
    file: `${CLIENT}/queue/runner.ts`,
    find: 'this.watch.settledElsewhere(message.settlements);',
    replace: '',
    suffering: 'What was confirmed stays "sending" in every other tab.',
  },
  {
    name: 'store-shared-by-users',
    file: `${CLIENT}/queue/queue-life.ts`,
    find: "['holdfast', name, identity.workspaceId, identity.userId]",
    replace: "['holdfast', name, identity.workspaceId]",
    suffering: 'What one user has not sent yet is sent under the login of the next.',
  },
];
