import type { Scenario } from './scenarios.ts';

/** Another payload for what is there. */
const EDITS: readonly Scenario[] = [
  {
    name: 'Q21 edited before it was sent',
    play: (stage) => {
      stage.at(40, () => stage.cutLine(1_000));
      stage.at(50, () => stage.change('a', { delayMs: 500 }));
      stage.at(100, () => stage.edit('a'));
      stage.at(300, () => stage.change('b'));
    },
  },
  {
    name: 'Q21 edited while it is sent, or just after',
    play: (stage) => {
      stage.at(50, () => stage.change('a'));
      stage.at(300, () => stage.change('b'));
      stage.at(308, () => stage.edit('b'));
      stage.at(309, () => stage.change('c'));
    },
  },
  {
    name: 'Q21 edited by the tab that does not deliver',
    play: (stage) => {
      stage.at(20, () => stage.openTab());
      stage.at(50, () => stage.change('a', { delayMs: 1_000 }));
      stage.at(300, () => stage.edit('a', 1));
    },
  },
  {
    name: 'Q21 a dead letter is edited',
    play: (stage) => {
      stage.at(50, () => stage.change('a'));
      stage.at(60, () => stage.change('b', { isBad: true }));
      stage.at(1_000, () => stage.edit('b'));
    },
  },
];

/** Lanes that wait for a decision. */
const HELD: readonly Scenario[] = [
  {
    name: 'Q7 a held lane, and its dead letter is retried',
    play: (stage) => {
      stage.at(40, () => stage.tire(20_000));
      stage.at(50, () => stage.change('a'));
      stage.at(60, () => stage.change('b', { isMoody: true }));
      stage.at(70, () => stage.change('c'));
      stage.at(25_000, () => stage.retry('b'));
    },
    plan: { areLanesHeld: true, durationMs: 30_000 },
  },
  {
    name: 'Q7 a held lane is released',
    play: (stage) => {
      stage.at(50, () => stage.change('a'));
      stage.at(60, () => stage.change('b', { isBad: true }));
      stage.at(70, () => stage.change('c'));
      stage.at(1_000, () => stage.release());
    },
    plan: { areLanesHeld: true },
  },
  {
    name: 'Q7 a held lane, and its dead letter is discarded by the other tab',
    play: (stage) => {
      stage.at(20, () => stage.openTab());
      stage.at(50, () => stage.change('a', { row: 1, isBad: true }));
      stage.at(70, () => stage.change('b', { row: 1 }));
      stage.at(1_000, () => stage.discard('a'));
    },
    plan: { areLanesHeld: true },
  },
  {
    name: 'Q7 nobody decides on a held lane before long',
    play: (stage) => {
      stage.at(50, () => stage.change('a'));
      stage.at(60, () => stage.change('b', { isBad: true }));
      stage.at(70, () => stage.change('c'));
      stage.at(80, () => stage.change('d', { row: 1 }));
    },
    plan: { areLanesHeld: true },
  },
];

/** Values that only the server knows, and times after which nothing is sent. */
const LATER: readonly Scenario[] = [
  {
    name: 'Q8 an id that the server gives stands in the next',
    play: (stage) =>
      stage.at(50, () => {
        stage.change('a');
        stage.change('b', { row: 1, slot: 'a' });
        stage.change('c', { row: 1 });
      }),
  },
  {
    name: 'Q8 an id that is never given',
    play: (stage) =>
      stage.at(50, () => {
        stage.change('a', { isBad: true });
        stage.change('b', { row: 1, slot: 'a' });
      }),
  },
  {
    name: 'Q8 an id that is given while the disk is full',
    play: (stage) => {
      stage.at(50, () => stage.change('a'));
      stage.at(51, () => stage.change('b', { row: 1, slot: 'a' }));
      stage.at(54, () => stage.fillDisk(600));
    },
  },
  {
    name: 'Q15 one expires without a line',
    play: (stage) => {
      stage.at(40, () => stage.cutLine(2_000));
      stage.at(50, () => stage.change('a', { delayMs: 100, expiresInMs: 1_000 }));
      stage.at(60, () => stage.change('b'));
    },
  },
  {
    name: 'Q15 one expires while it is on its way',
    tape: { 'request d0 1 responseLost': [[0, 1]] },
    play: (stage) => stage.at(50, () => stage.change('a', { expiresInMs: 8 })),
  },
];

/** Acts on many at once. */
const ACTS: readonly Scenario[] = [
  {
    name: 'Q14 a lane is cleared',
    play: (stage) => {
      stage.at(40, () => stage.cutLine(1_000));
      stage.at(50, () => stage.change('a'));
      stage.at(51, () => stage.change('b', { isBad: true }));
      stage.at(52, () => stage.change('c', { row: 1 }));
      stage.at(300, () => stage.clear());
      stage.at(301, () => stage.change('d', { type: 'create' }));
    },
  },
  {
    name: 'Q14 a lane is cleared by the tab that does not deliver',
    play: (stage) => {
      stage.at(20, () => stage.openTab());
      stage.at(50, () => stage.change('a', { delayMs: 1_000 }));
      stage.at(51, () => stage.change('b', { row: 1, isBad: true }));
      stage.at(500, () => stage.clear(0, 1));
      stage.at(600, () => stage.clear(1, 1));
    },
  },
  {
    name: 'Q14 all dead letters are retried',
    play: (stage) => {
      stage.at(40, () => stage.tire(20_000));
      stage.at(50, () => stage.change('a', { isMoody: true }));
      stage.at(51, () => stage.change('b', { row: 1, isBad: true }));
      stage.at(25_000, () => stage.retryAll());
    },
    plan: { durationMs: 30_000 },
  },
  {
    name: 'Q14 one that waits for its backoff is forced by the other tab',
    play: (stage) => {
      stage.at(20, () => stage.openTab());
      stage.at(40, () => stage.tire(200));
      stage.at(50, () => stage.change('a', { isMoody: true }));
      stage.at(300, () => stage.forceRetry('a', 1));
    },
  },
];

/** What people do to what is there. */
export const STEERING_SCENARIOS: readonly Scenario[] = [...EDITS, ...HELD, ...LATER, ...ACTS];
