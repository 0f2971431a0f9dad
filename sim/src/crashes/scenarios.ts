import type { ChoiceTape } from '../choice-tape.ts';
import type { Plan } from '../plan.ts';
import type { NotebookOptions } from './notebook.ts';
import { NOTEBOOK_SCENARIOS } from './notebook-scenarios.ts';
import { STEERING_SCENARIOS } from './steering-scenarios.ts';
import type { Stage } from './stage.ts';

/** A small story that is told again and again, with a crash at another point each time. */
export interface Scenario {
  readonly name: string;
  readonly play: (stage: Stage) => void;
  /** What goes wrong by chance, as on a tape; nothing else does. */
  readonly tape?: ChoiceTape;
  readonly plan?: Partial<Plan>;
  /** It has an app of its own. */
  readonly notebook?: NotebookOptions;
}

/** The fault that strikes the first request. */
function atFirstRequest(fault: string): ChoiceTape {
  return { [`request d0 1 ${fault}`]: [[0, 1]] };
}

/** Two in one lane and one beside them, which the first request carries. */
function threeChanges(stage: Stage): void {
  stage.at(50, () => {
    stage.change('a');
    stage.change('b');
    stage.change('c', { row: 1 });
  });
}

const SENDING: readonly Scenario[] = [
  { name: 'Q1 one change', play: (stage) => stage.at(50, () => stage.change('a')) },
  { name: 'Q1 three changes together', play: threeChanges },
  {
    name: 'Q1 a change while the queue opens, and one after',
    play: (stage) => {
      stage.change('a');
      stage.at(30, () => stage.change('b'));
    },
  },
  {
    name: 'Q7 a lane of four, one after the other',
    play: (stage) => {
      for (const [index, tag] of ['a', 'b', 'c', 'd'].entries()) stage.at(50 + 5 * index, () => stage.change(tag));
    },
  },
  {
    name: 'Q6 priorities',
    play: (stage) => {
      stage.at(40, () => stage.cutLine(300));
      stage.at(50, () => {
        stage.change('a', { priority: 'low' });
        stage.change('b', { row: 1, priority: 'high' });
        stage.change('c', { row: 2 });
      });
    },
  },
  { name: 'N2 a request is lost', tape: atFirstRequest('requestLost'), play: threeChanges },
  { name: 'N3 an answer is lost', tape: atFirstRequest('responseLost'), play: threeChanges },
  { name: 'N3 the server fails after its commit', tape: atFirstRequest('failedAfterCommit'), play: threeChanges },
  { name: 'V1 the server fails before its commit', tape: atFirstRequest('failedBeforeCommit'), play: threeChanges },
  { name: 'N4 a request is doubled', tape: atFirstRequest('requestDuplicated'), play: threeChanges },
  { name: 'N5 an answer in another order', tape: atFirstRequest('answerShuffled'), play: threeChanges },
  { name: 'N5 half an answer', tape: atFirstRequest('answerPartial'), play: threeChanges },
  { name: 'N10 an answer cut short', tape: atFirstRequest('bodyTruncated'), play: threeChanges },
  { name: 'N9 an answer of someone else', tape: atFirstRequest('bodyForeign'), play: threeChanges },
  { name: 'R5 a rate limit', tape: atFirstRequest('rateLimited'), play: threeChanges },
  {
    name: 'N1 added without a line, sent when it is back',
    play: (stage) => {
      stage.at(40, () => stage.cutLine(2_000));
      stage.at(50, () => stage.change('a'));
      stage.at(500, () => stage.change('b'));
    },
  },
  {
    name: 'N9 a captive portal',
    play: (stage) => {
      stage.at(40, () => stage.captivePortal(2_000));
      threeChanges(stage);
    },
  },
];

const FAILING: readonly Scenario[] = [
  {
    name: 'R4 refused, and applied at the next try',
    play: (stage) => {
      stage.at(40, () => stage.tire(300));
      stage.at(50, () => stage.change('a', { isMoody: true }));
      stage.at(51, () => stage.change('b'));
    },
  },
  {
    name: 'R4 refused until it is a dead letter',
    play: (stage) => {
      stage.at(40, () => stage.tire(60_000));
      stage.at(50, () => stage.change('a', { isMoody: true }));
      stage.at(51, () => stage.change('b', { row: 1 }));
    },
    plan: { durationMs: 40_000 },
  },
  {
    name: 'Q7 a rejected one leaves its lane',
    play: (stage) => {
      stage.at(50, () => stage.change('a'));
      stage.at(60, () => stage.change('b', { isBad: true }));
      stage.at(61, () => stage.change('c'));
    },
  },
  {
    name: 'Q14 a dead letter is retried, and applied',
    play: (stage) => {
      stage.at(40, () => stage.tire(20_000));
      stage.at(50, () => stage.change('a', { isMoody: true }));
      stage.at(25_000, () => stage.retry('a'));
    },
    plan: { durationMs: 30_000 },
  },
  {
    name: 'Q14 a dead letter is retried, and rejected again',
    play: (stage) => {
      stage.at(50, () => stage.change('a', { isBad: true }));
      stage.at(1_000, () => stage.retry('a'));
      stage.at(1_001, () => stage.change('b', { row: 1 }));
    },
  },
  {
    name: 'Q14 a dead letter is retried behind another change',
    play: (stage) => {
      stage.at(50, () => stage.change('a'));
      stage.at(60, () => stage.change('b', { isBad: true }));
      stage.at(500, () => {
        stage.change('c');
        stage.retry('b');
      });
    },
  },
  {
    name: 'Q14 a dead letter is discarded',
    play: (stage) => {
      stage.at(50, () => stage.change('a', { isBad: true }));
      stage.at(1_000, () => stage.discard('a'));
      stage.at(1_001, () => stage.change('b', { row: 1 }));
    },
  },
  {
    name: 'Q14 a dead letter is discarded while it is retried',
    play: (stage) => {
      stage.at(50, () => stage.change('a', { isBad: true }));
      stage.at(1_000, () => {
        stage.retry('a');
        stage.discard('a');
      });
    },
  },
  {
    name: 'Q8 a change and its parent in another lane',
    play: (stage) =>
      stage.at(50, () => {
        stage.change('a');
        stage.change('b', { row: 1, parents: ['a'] });
      }),
  },
  {
    name: 'Q8 a parent is rejected, and takes its children along',
    play: (stage) =>
      stage.at(50, () => {
        stage.change('a', { isBad: true });
        stage.change('b', { row: 1, parents: ['a'] });
        stage.change('c', { row: 2, parents: ['b'] });
      }),
  },
  {
    name: 'Q8 a parent is cancelled',
    play: (stage) => {
      stage.at(50, () => stage.change('a', { delayMs: 3_000 }));
      stage.at(60, () => stage.change('b', { row: 1, parents: ['a'] }));
      stage.at(200, () => stage.cancel('a'));
    },
  },
  {
    name: 'Q7 a creation is rejected, and with it what follows',
    play: (stage) =>
      stage.at(50, () => {
        stage.change('a', { isBad: true });
        stage.change('b');
        stage.change('c', { row: 1 });
      }),
  },
];

const PEOPLE: readonly Scenario[] = [
  {
    name: 'Q14 cancelled in time',
    play: (stage) => {
      stage.at(50, () => stage.change('a', { delayMs: 2_000 }));
      stage.at(500, () => stage.cancel('a'));
      stage.at(501, () => stage.change('b'));
    },
  },
  {
    name: 'Q14 cancelled too late, or at the last moment',
    play: (stage) => {
      stage.at(50, () => stage.change('a'));
      stage.at(50.4, () => stage.cancel('a'));
    },
  },
  {
    name: 'Q14 cancelled by the tab that does not deliver',
    play: (stage) => {
      stage.at(20, () => stage.openTab());
      stage.at(50, () => stage.change('a', { tab: 1, delayMs: 1_000 }));
      stage.at(300, () => stage.cancel('a', 1));
    },
  },
  {
    name: 'Q15 an undo window passes',
    play: (stage) => {
      stage.at(50, () => stage.change('a', { delayMs: 1_000 }));
      stage.at(60, () => stage.change('b', { row: 1 }));
    },
  },
  {
    name: 'Q13 paused, added to, resumed',
    play: (stage) => {
      stage.at(50, () => stage.pause());
      stage.at(100, () => stage.change('a'));
      stage.at(500, () => stage.resume());
    },
  },
  {
    name: 'Q13 paused while it sends',
    play: (stage) => {
      threeChanges(stage);
      stage.at(53, () => stage.pause());
      stage.at(800, () => stage.resume());
    },
  },
  {
    name: 'Q13 paused in one tab, resumed in another',
    play: (stage) => {
      stage.at(20, () => stage.openTab());
      stage.at(50, () => stage.pause(1));
      stage.at(100, () => stage.change('a'));
      stage.at(500, () => stage.resume(0));
    },
  },
  {
    name: 'Q13 restarted with work waiting',
    play: (stage) => {
      stage.at(40, () => stage.cutLine(500));
      stage.at(50, () => stage.change('a'));
      stage.at(200, () => stage.restart());
      stage.at(201, () => stage.change('b'));
    },
  },
  {
    name: 'R5 signed out with work that is kept, and back',
    play: (stage) => {
      stage.at(40, () => stage.cutLine(500));
      stage.at(50, () => stage.change('a'));
      stage.at(200, () => stage.signOut('keep'));
      stage.at(2_000, () => stage.openTab());
    },
  },
  {
    name: 'R5 signed out, what is pending discarded, and back',
    play: (stage) => {
      stage.at(40, () => stage.pause());
      stage.at(50, () => stage.change('a'));
      stage.at(51, () => stage.change('b', { row: 1, parents: ['a'] }));
      stage.at(60, () => stage.signOut('discard'));
      stage.at(600, () => stage.openTab());
      stage.at(700, () => stage.resume());
    },
  },
  {
    name: 'R5 signed out in the tab that does not deliver, and discarded',
    play: (stage) => {
      stage.at(20, () => stage.openTab());
      stage.at(50, () => stage.change('a', { delayMs: 500 }));
      stage.at(60, () => stage.signOut('discard', 1));
      stage.at(600, () => stage.closeTab());
    },
  },
  {
    name: 'R5 signed out while it sends, and discarded',
    play: (stage) => {
      threeChanges(stage);
      stage.at(53, () => stage.signOut('discard'));
      stage.at(2_000, () => stage.openTab());
    },
  },
  {
    name: 'Q18 drained without a line',
    play: (stage) => {
      stage.at(40, () => stage.cutLine(1_000));
      stage.at(50, () => stage.change('a'));
      stage.at(100, () => stage.drain());
    },
  },
  {
    name: 'O2 refreshed while changes wait',
    play: (stage) => {
      stage.at(50, () => stage.change('a'));
      stage.at(52, () => stage.refresh());
      stage.at(60, () => stage.change('b'));
      stage.at(80, () => stage.refresh());
    },
  },
  {
    name: 'P3 created, changed and deleted',
    play: (stage) => {
      stage.at(50, () => stage.change('a'));
      stage.at(51, () => stage.change('b'));
      stage.at(52, () => stage.change('c', { type: 'delete' }));
    },
  },
];

const TABS: readonly Scenario[] = [
  {
    name: 'Q19 two tabs add at once',
    play: (stage) => {
      stage.at(20, () => stage.openTab());
      stage.at(60, () => {
        stage.change('a', { tab: 0 });
        stage.change('b', { tab: 1 });
        stage.change('c', { tab: 1, row: 1 });
      });
    },
  },
  {
    name: 'Q19 the tab that delivers is closed',
    play: (stage) => {
      stage.at(20, () => stage.openTab());
      stage.at(60, () => stage.change('a', { tab: 1 }));
      stage.at(63, () => stage.closeTab(0));
      stage.at(200, () => stage.change('b'));
    },
  },
  {
    name: 'Q19 the tab that delivers is killed while it sends',
    play: (stage) => {
      stage.at(20, () => stage.openTab());
      stage.at(60, () => stage.change('a', { tab: 1 }));
      stage.at(64, () => stage.killTab(0));
      stage.at(65, () => stage.change('b', { tab: 1 }));
    },
  },
  {
    name: 'Q19 the tab that delivers is put away, and comes back',
    play: (stage) => {
      stage.at(20, () => stage.openTab());
      stage.at(60, () => stage.change('a'));
      stage.at(61, () => stage.freezeTab(0, 3_000, true));
      stage.at(100, () => stage.change('b', { tab: 1 }));
    },
  },
  {
    name: 'Q19 the tab that delivers is frozen, and wakes up late',
    play: (stage) => {
      stage.at(20, () => stage.openTab());
      stage.at(60, () => stage.change('a'));
      stage.at(61, () => stage.freezeTab(0, 40_000, false));
      stage.at(100, () => stage.change('b', { tab: 1 }));
    },
    plan: { durationMs: 45_000 },
  },
  {
    name: 'Q19 two tabs that both believe they lead',
    tape: { 'locks 0 lockBroken': [[0, 1]] },
    play: (stage) => {
      stage.at(20, () => stage.openTab());
      stage.at(60, () => stage.change('a'));
      stage.at(61, () => stage.change('b', { tab: 1 }));
    },
  },
];

const SURROUNDINGS: readonly Scenario[] = [
  {
    name: 'N12 a token expires',
    play: (stage) => {
      stage.at(50, () => stage.change('a'));
      stage.at(200, () => stage.expireToken());
      stage.at(300, () => stage.change('b'));
    },
  },
  {
    name: 'R6 the login is gone for a while',
    play: (stage) => {
      stage.at(40, () => stage.loseLogin(2_000));
      stage.at(50, () => stage.change('a'));
    },
  },
  {
    name: 'S12 the disk is full for a while',
    play: (stage) => {
      stage.at(50, () => stage.change('a'));
      stage.at(55, () => stage.fillDisk(500));
      stage.at(100, () => stage.change('b'));
      stage.at(700, () => stage.change('c'));
    },
  },
  {
    name: 'T1 the clock goes back by a year',
    play: (stage) => {
      stage.at(50, () => stage.change('a'));
      stage.at(55, () => stage.setClock(-31_536_000_000));
      stage.at(56, () => stage.change('b'));
    },
  },
  {
    name: 'S12 closed with work waiting, and opened again',
    play: (stage) => {
      stage.at(40, () => stage.cutLine(300));
      stage.at(50, () => stage.change('a'));
      stage.at(60, () => stage.closeTab());
      stage.at(1_000, () => stage.openTab());
    },
  },
];

/** Each at most six changes and two tabs, with one thing that goes wrong. */
export const SCENARIOS: readonly Scenario[] = [
  ...SENDING,
  ...FAILING,
  ...PEOPLE,
  ...TABS,
  ...SURROUNDINGS,
  ...STEERING_SCENARIOS,
  ...NOTEBOOK_SCENARIOS,
];
