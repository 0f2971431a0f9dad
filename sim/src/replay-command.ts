import { type ChoiceTape, countChoices, tokenOf } from './choice-tape.ts';
import type { SimulationResult } from './simulate.ts';

/** What a shell takes as one argument without complaint. */
const TOKEN_LENGTH_MAX = 8_000;
/** What says nothing to someone who wants to know what went wrong: reads, their answers, timers. */
const NOISE = /^\S+ \S+ ([»«] (returned: )?(read|scan|estimate|storage open|timer|token|body read|createQueue)\b)/;

/** What happened in the world of a tape, for people to read. `more` are the options it takes to replay it. */
export function tellTape(
  tape: ChoiceTape,
  { violations, trace, events, virtualMs }: SimulationResult,
  more: string,
): string {
  const token = tokenOf(tape);
  const story = trace.filter((line) => !NOISE.test(line));
  return [
    `A tape of ${countChoices(tape)} choices: ${events} events in ${(virtualMs / 1000).toFixed(1)} virtual seconds.`,
    ...Object.entries(tape).map(([purpose, choices]) => `  ${purpose}: ${choices.map(told).join(', ')}`),
    'What happened (seconds, who, « to the tab, » from the tab, · a choice of the tape):',
    ...story.map((line) => `  ${line.slice(0, 240)}`),
    ...(violations.length === 0
      ? ['No invariant is broken.']
      : violations.map(({ invariant, message }) => `${invariant} · ${message}`)),
    ...(token.length <= TOKEN_LENGTH_MAX ? [`Replay it: npm run sim -- --replay ${token}${more}`] : []),
  ].join('\n');
}

function told([number, value]: readonly [number: number, value: number]): string {
  return number === 0 && value === 1 ? 'yes' : `[${number}] = ${value}`;
}
