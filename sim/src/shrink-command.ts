import { type ChoiceTape, countChoices } from './choice-tape.ts';
import type { Shape } from './plan.ts';
import { shrink } from './shrink.ts';
import { shrinkPlan } from './shrink-plan.ts';
import { record, recordPlan, replay, type SimulationResult } from './simulate.ts';

/** A failing seed, as small as it was possible to make it. */
export interface ShrunkCase {
  readonly invariant: string;
  readonly tape: ChoiceTape;
  readonly choiceCount: number;
  /** Of the seed itself. */
  readonly originalCount: number;
  readonly worldCount: number;
  readonly result: SimulationResult;
}

/** Null for a seed that breaks nothing, or that does not break it again when it is replayed. */
export async function shrinkSeed(seed: number, shape: Shape): Promise<ShrunkCase | null> {
  const recorded = await record(seed, shape);
  const invariant = recorded.result.violations[0]?.invariant;
  if (invariant === undefined) return null;
  const isFailure = ({ violations }: SimulationResult): boolean => violations[0]?.invariant === invariant;
  const simpler = await shrinkPlan(recorded.result.plan, async (plan, dice) => {
    const { result, tape } = await recordPlan(plan, dice);
    return isFailure(result) ? tape : null;
  });
  const shrunk = await shrink(simpler?.found ?? recorded.tape, async (tape) => {
    const { result, tape: read } = await replay(tape);
    return { isFailure: isFailure(result), read };
  });
  if (shrunk === null) return null;
  const { tape, replayCount } = shrunk;
  const { result } = await replay(tape, true);
  return {
    invariant,
    tape,
    choiceCount: countChoices(tape),
    originalCount: countChoices(recorded.tape),
    worldCount: replayCount + (simpler?.worldCount ?? 0),
    result,
  };
}
