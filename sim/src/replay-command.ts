import { type ChoiceTape, countChoices, tokenOf } from './choice-tape.ts';
import type { SimulationResult } from './simulate.ts';

/** What happened in the world of a tape, for people to read. */
export function tellTape(tape: ChoiceTape, { violations, trace, events, virtualMs }: SimulationResult): string {
  const lines = [
    `A tape of ${countChoices(tape)} choices: ${events} events in ${(virtualMs / 1000).toFixed(1)} virtual seconds.`,
    'What happened last (seconds, who, « to the tab, » from the tab, · a choice of the tape):',
    ...trace.map((line) => `  ${line.slice(0, 240)}`),
    ...(violations.length === 0
      ? ['No invariant is broken.']
      : violations.map(({ invariant, message }) => `${invariant} · ${message}`)),
  ];
  const token = tokenOf(tape);
  if (token.length <= TOKEN_LENGTH_MAX) lines.push(`Replay it: npm run sim -- --replay ${token}`);
  return lines.join('\n');
}

/** What a shell takes as one argument without complaint. */
const TOKEN_LENGTH_MAX = 8_000;
