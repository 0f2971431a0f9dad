import { BAD_WORD } from './notebook.ts';
import type { Scenario } from './scenarios.ts';

const COMPLETED = 'completed';

/** Changes that are dropped as duplicates. */
const DUPLICATES: readonly Scenario[] = [
  {
    name: 'Q9 the same twice, while paused',
    notebook: { endings: [COMPLETED, 'deduplicated, completed', COMPLETED] },
    play: (stage) => {
      stage.at(40, () => stage.pause());
      stage.at(1_040, () => stage.resume());
      stage.at(200, () => stage.write({ id: 'n', words: ['a'] }));
      stage.at(350, () => stage.write({ id: 'n', words: ['a'] }));
      stage.at(450, () => stage.write({ id: 'n', words: ['b'] }));
    },
  },
  {
    name: 'Q9 the same twice at once',
    notebook: { endings: [COMPLETED, 'deduplicated, completed'] },
    play: (stage) => {
      stage.at(40, () => stage.pause());
      stage.at(540, () => stage.resume());
      stage.at(200, () => {
        stage.write({ id: 'n', words: ['a'] });
        stage.write({ id: 'n', words: ['a'] });
      });
    },
  },
  {
    name: 'Q9 the same in two tabs at once',
    notebook: { endings: [COMPLETED, 'deduplicated, completed'] },
    play: (stage) => {
      stage.at(20, () => stage.openTab());
      stage.at(40, () => stage.pause());
      stage.at(1_040, () => stage.resume());
      stage.at(210, () => {
        stage.write({ id: 'n', words: ['a'] }, { tab: 0 });
        stage.write({ id: 'n', words: ['a'] }, { tab: 1 });
      });
    },
  },
  {
    name: 'Q9 an id of the app’s own, again when the app is not sure',
    notebook: { endings: [COMPLETED, 'deduplicated, completed'] },
    play: (stage) => {
      const id = '00000000-0000-7000-8000-000000000001';
      stage.at(50, () => stage.write({ id: 'n', words: ['a'] }, { id }));
      stage.at(1_500, () => stage.write({ id: 'n', words: ['a'] }, { id }));
    },
  },
];

/** Changes that are merged into one that was never sent. */
const MERGED: readonly Scenario[] = [
  {
    name: 'Q11 three that are merged, while paused',
    notebook: { endings: [COMPLETED, 'coalesced, completed', 'coalesced, completed'] },
    play: (stage) => {
      stage.at(40, () => stage.pause());
      stage.at(1_040, () => stage.resume());
      for (const [index, word] of ['a', 'b', 'c'].entries())
        stage.at(200 + 100 * index, () => stage.extend({ id: 'n', words: [word] }));
    },
  },
  {
    name: 'Q11 merged while the line is there, or just too late',
    notebook: { endings: [COMPLETED, COMPLETED, 'coalesced, completed', 'coalesced, completed'] },
    play: (stage) => {
      for (const [index, word] of ['a', 'b', 'c', 'd'].entries())
        stage.at(50 + (index < 2 ? 0 : 8), () => stage.extend({ id: 'n', words: [word] }));
    },
  },
  {
    name: 'Q11 merged by the tab that does not deliver',
    notebook: { endings: [COMPLETED, 'coalesced, completed'] },
    play: (stage) => {
      stage.at(20, () => stage.openTab());
      stage.at(40, () => stage.pause());
      stage.at(1_040, () => stage.resume());
      stage.at(210, () => stage.extend({ id: 'n', words: ['a'] }, { tab: 0 }));
      stage.at(450, () => stage.extend({ id: 'n', words: ['b'] }, { tab: 1 }));
    },
  },
];

/** Changes that take effect together or not at all. */
const TOGETHER: readonly Scenario[] = [
  {
    name: 'R8 two together, between others of their lanes',
    notebook: { endings: [COMPLETED, COMPLETED, COMPLETED] },
    play: (stage) =>
      stage.at(50, () => {
        stage.write({ id: 'n', words: ['a'] });
        stage.writeTogether([
          { id: 'n', words: ['b'] },
          { id: 'm', words: ['c'] },
        ]);
        stage.write({ id: 'm', words: ['d'] });
      }),
  },
  {
    name: 'R8 two together, of which one is refused',
    notebook: { failures: ['HTTP_422'], endings: ['failed HTTP_422', COMPLETED] },
    play: (stage) =>
      stage.at(50, () => {
        stage.writeTogether([
          { id: 'n', words: ['a'] },
          { id: 'm', words: [BAD_WORD] },
        ]);
        stage.write({ id: 'm', words: ['d'] });
      }),
  },
];

/** A queue that is full. */
const FULL: readonly Scenario[] = [
  {
    name: 'Q12 one of low priority makes room',
    notebook: {
      options: { queueCapCount: 2, evict: 'lowPriority' },
      failures: ['EVICTED'],
      endings: ['failed EVICTED', COMPLETED, COMPLETED],
    },
    play: (stage) => {
      stage.at(40, () => stage.pause());
      stage.at(1_040, () => stage.resume());
      stage.at(200, () => stage.write({ id: 'n', words: ['a'] }, { priority: 'low' }));
      stage.at(250, () => stage.write({ id: 'm', words: ['b'] }, { priority: 'low' }));
      stage.at(350, () => stage.write({ id: 'o', words: ['c'] }));
    },
  },
  {
    name: 'Q12 it makes room for another tab',
    notebook: {
      options: { queueCapCount: 1, evict: 'lowPriority' },
      failures: ['EVICTED'],
      endings: ['failed EVICTED', COMPLETED],
    },
    play: (stage) => {
      stage.at(20, () => stage.openTab());
      stage.at(40, () => stage.pause());
      stage.at(1_040, () => stage.resume());
      stage.at(210, () => stage.write({ id: 'n', words: ['a'] }, { priority: 'low' }));
      stage.at(450, () => stage.write({ id: 'o', words: ['b'] }, { tab: 1 }));
    },
  },
  {
    name: 'Q12 none makes room, and the last is refused',
    notebook: { options: { queueCapCount: 2 }, endings: [COMPLETED, COMPLETED, 'refused, unknown'] },
    play: (stage) => {
      stage.at(40, () => stage.pause());
      stage.at(1_040, () => stage.resume());
      for (const [index, word] of ['a', 'b', 'c'].entries())
        stage.at(200 + 10 * index, () => stage.write({ id: word, words: [word] }));
    },
  },
];

/** Edits of a page that others change meanwhile. */
const CONFLICTS: readonly Scenario[] = [
  {
    name: 'C1 merged with what others changed',
    notebook: { endings: [COMPLETED] },
    play: (stage) => {
      stage.at(40, () => stage.othersEdit());
      stage.at(50, () => stage.editTitle('page.merge', 'a'));
    },
  },
  {
    name: 'C1 an edit gives way',
    notebook: { mayGiveWay: true, endings: ['cancelled'] },
    play: (stage) => {
      stage.at(40, () => stage.othersEdit('b'));
      stage.at(50, () => stage.editTitle('page.yield', 'a'));
    },
  },
  {
    name: 'C1 someone chooses their own version',
    notebook: { endings: [COMPLETED] },
    plan: { durationMs: 8_000 },
    play: (stage) => {
      stage.at(40, () => stage.othersEdit('b'));
      stage.at(50, () => stage.editTitle('page.ask', 'a'));
      for (const atMs of [1_000, 3_000, 5_000, 7_000]) stage.at(atMs, () => stage.choose());
    },
  },
  {
    name: 'C1 two edits of one page, of which the first is in conflict',
    notebook: { endings: [COMPLETED, COMPLETED] },
    play: (stage) => {
      stage.at(40, () => stage.othersEdit());
      stage.at(50, () => stage.editTitle('page.merge', 'a'));
      stage.at(55, () => stage.editTitle('page.merge', 'b'));
      // Made while a queue opens, after a crash, the second was made without the first, and somebody is asked.
      for (const atMs of [1_000, 3_000, 5_000, 7_000]) stage.at(atMs, () => stage.choose());
    },
  },
];

/** Acts, and who is behind them. */
const RECORDED: readonly Scenario[] = [
  {
    name: 'Q14 taken back by someone with a name',
    notebook: { isRemoved: true, endings: ['cancelled', COMPLETED] },
    play: (stage) => {
      stage.at(40, () => stage.pause());
      stage.at(200, () => stage.write({ id: 'n', words: ['a'] }));
      stage.at(210, () => stage.write({ id: 'n', words: ['b'] }));
      stage.at(500, () => stage.remove('a'));
      stage.at(1_040, () => stage.resume());
    },
  },
  {
    name: 'Q14 a dead letter is disposed of by someone with a name',
    notebook: { isRemoved: true, failures: ['HTTP_422'], endings: ['cancelled', COMPLETED] },
    play: (stage) => {
      stage.at(50, () => stage.write({ id: 'n', words: [BAD_WORD] }));
      stage.at(60, () => stage.write({ id: 'n', words: ['b'] }));
      stage.at(1_000, () => stage.remove(BAD_WORD));
    },
  },
];

/** Told with an app of their own: what the simulated one does not do. */
export const NOTEBOOK_SCENARIOS: readonly Scenario[] = [
  ...DUPLICATES,
  ...MERGED,
  ...TOGETHER,
  ...FULL,
  ...CONFLICTS,
  ...RECORDED,
];
