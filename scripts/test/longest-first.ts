import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take more than half a minute by themselves, the longest first. */
const LONGEST = [
  'sim/src/sim.test.ts',
  'sim/src/plants.test.ts',
  'sim/src/crashes/crashes.test.ts',
  'sim/src/tape.pg.test.ts',
  'sim/src/kills/kills.test.ts',
  'packages/server/src/migrate.test.ts',
];

/**
 * Long files begin first, so that none of them is left running alone at the end. The runner itself knows how long a file takes only
 * where it has run before, and goes by size in a fresh clone; the longest are among the smallest.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((left, right) => rankOf(left) - rankOf(right));
  }
}

function rankOf({ moduleId }: TestSpecification): number {
  const index = LONGEST.findIndex((path) => moduleId.endsWith(`/${path}`));
  return index < 0 ? LONGEST.length : index;
}
