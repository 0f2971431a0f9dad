import { expect, test } from 'vitest';
import { raceAndKill } from './race-and-kill.ts';

test('P1, P12 · with Postgres and the server killed while clients race, each append takes effect once, in order, and none that was answered is lost', {
  timeout: 120_000,
}, async () => {
  const report = await raceAndKill({ killCount: 2, clientCount: 6, senderCount: 3, seed: 1 });

  expect(report.broken).toEqual([]);
  expect(report.postgresKills).toBeGreaterThan(0);
  expect(report.serverKills).toBeGreaterThan(0);
  // control: answers were lost, or it would prove nothing
  expect(report.unanswered).toBeGreaterThan(0);
  expect(report.effects).toBeGreaterThan(100);
});
