import { expect, test } from 'vitest';
import { Alarms } from '../delivering/alarms.ts';
import { AskLeader, type CancelAnswer } from './ask-leader.ts';
import type { TabMessage } from './tab-message.ts';
import { FakeClock } from '../testing-queue/fake-clock.ts';

const act = { id: 'act', kind: 'cancel', actor: 'ann', reason: null, atMs: 0 } as const;
const cancel = (id: string) => ({ kind: 'cancel', ids: [id], act }) as const;

/** Two tabs whose messages travel only when the test says so. */
function twoTabs(answer: (id: string) => Promise<CancelAnswer>) {
  const clock = new FakeClock();
  const sent: TabMessage[] = [];
  let count = 0;
  const tab = (isLeader: boolean): AskLeader =>
    new AskLeader({
      isLeader: () => isLeader,
      answers: {
        cancel: ({ ids }) => Promise.all(ids.map(answer)),
        stop: async () => 'stopped',
        hurry: async () => [],
        unstick: async () => [],
        evict: async () => false,
        keepBack: async () => ({ amendId: 'none', epoch: '0', headers: [] }),
        recover: async () => ({ removedCount: 0, restoredCount: 0, checkedPayloadCount: 0 }),
        isDraining: async () => false,
        nextAttempt: async () => null,
      },
      post: (message) => sent.push(message),
      alarms: new Alarms(clock),
      newId: () => {
        count += 1;
        return `ask-${count}`;
      },
      report: () => {},
    });
  const leader = tab(true);
  const follower = tab(false);
  const arrive = async (message: TabMessage | undefined): Promise<void> => {
    if (message?.kind === 'ask') leader.asked(message);
    if (message?.kind === 'answer') follower.hear(message.askId, message.answer);
    await clock.settle();
  };
  return { clock, sent, leader, follower, arrive };
}

test('Q14 · each question gets its own answer, whichever comes first', async () => {
  const { follower, sent, arrive } = twoTabs(async (id) => (id === 'a' ? 'cancelled' : 'tooLate'));

  const answers = Promise.all([follower.ask(cancel('a')), follower.ask(cancel('b'))]);
  const [first, second] = sent.splice(0);
  await arrive(second);
  await arrive(first);
  for (const message of sent.splice(0)) await arrive(message);

  expect(await answers).toEqual([['cancelled'], ['tooLate']]);
});

test('Q14 · a question that arrives twice is acted on once', async () => {
  const acted: string[] = [];
  const { follower, sent, arrive } = twoTabs(async (id) => {
    acted.push(id);
    return acted.length === 1 ? 'cancelled' : 'tooLate';
  });

  const answer = follower.ask(cancel('a'));
  const [question] = sent.splice(0);
  await arrive(question);
  await arrive(question);
  expect(sent).toHaveLength(1);
  await arrive(sent[0]);

  expect(await answer).toEqual(['cancelled']);
  expect(acted).toEqual(['a']);
});

test('Q14 · an answer that comes too late, or to nobody, changes nothing', async () => {
  const { clock, follower, sent, arrive } = twoTabs(async () => 'cancelled');

  const answer = follower.ask(cancel('a'), 250);
  await clock.pass(250);
  for (const message of sent.splice(0)) await arrive(message);
  for (const message of sent.splice(0)) await arrive(message);

  expect(await answer).toBeNull();
});

test('Q21 · what was kept back for an asker that has given up waiting is let go by it', async () => {
  const { clock, follower, sent, arrive } = twoTabs(async () => 'cancelled');
  const late: string[] = [];

  const answer = follower.ask({ kind: 'keepBack', ids: [] }, 250, ({ amendId }) => late.push(amendId));
  await clock.pass(250);
  for (let hop = 0; hop < 2; hop += 1) for (const message of sent.splice(0)) await arrive(message);

  expect(await answer).toBeNull();
  expect(late).toEqual(['none']);
});

test('Q14 · the tab that delivers asks itself, without a message', async () => {
  const { leader, sent } = twoTabs(async () => 'cancelled');

  expect(await leader.ask(cancel('a'))).toEqual(['cancelled']);
  expect(sent).toEqual([]);
});

test('Q14 · whoever still waits when the queue is closed, or asks then, is told that nobody knows', async () => {
  const { follower } = twoTabs(async () => 'cancelled');

  const answer = follower.ask(cancel('a'));
  follower.end();

  expect(await answer).toBeNull();
  expect(await follower.ask(cancel('b'))).toBeNull();
});

test('Q13, Q14 · a tab that takes the lead answers what it had asked itself, and nobody waits for a word that does not come', async () => {
  const { clock, follower } = twoTabs(async () => 'cancelled');
  let answer: unknown = null;
  void follower.ask({ kind: 'stop', reason: 'paused' }, 7_000).then((answered) => {
    answer = answered;
  });
  const given: unknown[] = [];
  void follower.ask(cancel('a')).then((answered) => given.push(answered));
  await clock.pass(2_000);
  expect({ answer, given }).toEqual({ answer: null, given: [null] });

  follower.leads();
  await clock.settle();

  expect({ answer, given }).toEqual({ answer: 'stopped', given: [null] });
});
