import { expect, test } from 'vitest';
import { type Choice, type ChoiceTape, countChoices } from './choice-tape.ts';
import { shrink } from './shrink.ts';
import { replay } from './simulate.ts';

/** Fails when a change was made and, later, a tab was killed for the second time. */
function fails(tape: ChoiceTape): boolean {
  const kills = Object.keys(tape).filter((purpose) => purpose.startsWith('killTab '));
  const isReached = kills.every((purpose) => Number(purpose.slice(8)) < kills.length);
  const isChanged = Object.entries(tape).some(
    ([purpose, choices]) => purpose.startsWith('change ') && choices.some(([number]) => number === 0),
  );
  return isReached && isChanged && kills.length >= 2;
}

test('sim · a tape is shrunk to the choices that matter, with round values and low numbers', async () => {
  const tape: Record<string, Choice[]> = { order: Array.from({ length: 500 }, (_, number): Choice => [number, 0.25]) };
  for (let number = 0; number < 40; number += 1) {
    tape[`change ${number}`] = [
      [0, 1],
      [2, 1_234.567 * number],
    ];
  }
  for (let number = 0; number < 9; number += 1) tape[`killTab ${number}`] = [[0, 17_003.25 * number + 1]];
  const shrunk = await shrink(tape, (each) => Promise.resolve({ isFailure: fails(each), read: each }));
  expect(shrunk?.tape).toEqual({ 'change 0': [[0, 1]], 'killTab 0': [[0, 1]], 'killTab 1': [[0, 1]] });
  expect(shrunk?.replayCount).toBeLessThan(200);
});

test('sim · a tape that does not fail is not shrunk', async () => {
  expect(await shrink({ order: [[0, 1]] }, (read) => Promise.resolve({ isFailure: false, read }))).toBeNull();
});

test('sim · of a tape only what was read is kept', async () => {
  const tape: ChoiceTape = { 'change 0': [[0, 1]], 'request d0 99 responseLost': [[0, 1]], 'plan laneCount': [[0, 3]] };
  expect(countChoices((await replay(tape)).tape)).toBe(2);
});
