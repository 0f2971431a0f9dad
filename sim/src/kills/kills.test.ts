import { describe, expect, test } from 'vitest';
import { Journal } from './journal.ts';
import { killChromium, killNode, killPairs } from './kill-worlds.ts';
import type { VictimMessage } from './victim.ts';

const ROW = 'row';

function hear(journal: Journal, ...messages: readonly VictimMessage[]): void {
  for (const message of messages) journal.hear(message, []);
}

function added(journal: Journal, ...ids: readonly string[]): void {
  for (const id of ids) hear(journal, { kind: 'adding', id, tag: `of ${id}`, rowId: ROW }, { kind: 'added', id });
}

const effectOf = (mutationId: string, tag = `of ${mutationId}`) => ({ mutationId, rowId: ROW, tag });

describe('the journal', () => {
  test('S12 · it breaks no promise that what was stored is held, or has taken effect', () => {
    const journal = new Journal();
    added(journal, 'a', 'b');
    hear(journal, { kind: 'adding', id: 'unheard', tag: 'x', rowId: ROW });

    journal.hear({ kind: 'opened', open: [{ id: 'b', status: 'pending' }] }, [effectOf('a')]);
    journal.checkAtRest([effectOf('a'), effectOf('b')]);

    expect(journal.violations).toEqual([]);
  });

  test.each<{ name: string; play: (journal: Journal) => void }>([
    { name: 'lost', play: (journal) => journal.hear({ kind: 'opened', open: [] }, []) },
    { name: 'never delivered', play: (journal) => journal.checkAtRest([]) },
    { name: 'doubled', play: (journal) => journal.checkAtRest([effectOf('a'), effectOf('a'), effectOf('b')]) },
    { name: 'out of order', play: (journal) => journal.checkAtRest([effectOf('b'), effectOf('a')]) },
    { name: 'made by nobody', play: (journal) => journal.checkAtRest(['a', 'b', 'c'].map((id) => effectOf(id))) },
    {
      name: 'a dead letter for nothing',
      play: (journal) => {
        const open = [{ id: 'a', status: 'failed' }];
        journal.hear({ kind: 'opened', open }, [effectOf('b')]);
      },
    },
    {
      name: 'delivered although it was taken back',
      play: (journal) => {
        hear(journal, { kind: 'cancelling', id: 'a' }, { kind: 'cancelled', id: 'a', answer: 'cancelled' });
        journal.checkAtRest([effectOf('a'), effectOf('b')]);
      },
    },
    {
      name: 'delivered as it was before an edit',
      play: (journal) => {
        hear(journal, { kind: 'editing', id: 'a', tag: 'new' });
        hear(journal, { kind: 'edited', id: 'a', tag: 'new', answer: { kind: 'edited', id: 'a' } });
        journal.checkAtRest([effectOf('a'), effectOf('b')]);
      },
    },
    { name: 'refused for no reason', play: (journal) => hear(journal, { kind: 'failed', what: 'STORAGE_FAILED' }) },
  ])('S12 · it notices what is $name', ({ play }) => {
    const journal = new Journal();
    added(journal, 'a', 'b');
    play(journal);
    expect(journal.violations.length).toBeGreaterThan(0);
  });
});

test('S12 · a Node process with a queue on SQLite, killed at random moments, loses and doubles nothing', async () => {
  const report = await killNode(30, 1);

  expect(report.violations).toEqual([]);
  expect(report).toMatchObject({ kills: 30, devices: 2 });
  expect(report.acknowledged).toBeGreaterThan(30);
  expect(report.effects).toBeGreaterThan(30);
}, 120_000);

test('S12 · control: a store that writes a moment later than it says is found out by a few kills', async () => {
  const report = await killNode(100, 2, undefined, { isHasty: true });
  expect(report.violations.join()).toContain('was promised');
}, 120_000);

test('S12 · two processes on one SQLite file, one of them an older version of the app that soon has no room left, killed at random moments, lose and double nothing', async () => {
  const report = await killPairs(20, 1);

  expect(report.violations).toEqual([]);
  expect(report).toMatchObject({ kills: 20, devices: 1 });
  expect(report.acknowledged).toBeGreaterThan(20);
  expect(report.effects).toBeGreaterThan(20);
  expect(report.messages['full']).toBeGreaterThan(0);
}, 240_000);

test('S12 · a browser with a queue on IndexedDB, killed at random moments and in the middle of writes, loses and doubles nothing', async () => {
  const report = await killChromium(5, 1, undefined, 'indexeddb', true);

  expect(report.violations).toEqual([]);
  expect(report.kills).toBe(5);
  expect(report.acknowledged).toBeGreaterThan(0);
}, 120_000);

test('S2, S12 · a browser with a queue on OPFS, killed at random moments, loses and doubles nothing', async () => {
  const report = await killChromium(5, 1, undefined, 'opfs');

  expect(report.violations).toEqual([]);
  expect(report.kills).toBe(5);
  expect(report.acknowledged).toBeGreaterThan(0);
}, 120_000);
