import { writeFileSync } from 'node:fs';
import type { Reporter, SerializedError, TestCase, TestModule, TestSuite } from 'vitest/node';

/** What a run came to; `scripts/test.ts` prints it after everything else has been printed. */
export interface TestSummary {
  readonly passedCount: number;
  /** Failed tests, files that could not be loaded, and errors outside any test. */
  readonly failedCount: number;
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
}

/** Where the summary goes, as JSON. */
export const SUMMARY_FILE_VARIABLE = 'HOLDFAST_TEST_SUMMARY_FILE';

/** Counts tests as vitest's own closing lines do, and keeps what those leave out: why a test was skipped. */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const path = process.env[SUMMARY_FILE_VARIABLE];
    if (path !== undefined) writeFileSync(path, JSON.stringify(summarize(modules, unhandledErrors)));
  }
}

function summarize(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): TestSummary {
  const tests = modules.flatMap((module) => [...module.children.allTests()]);
  const broken = modules
    .flatMap((module) => [module, ...module.children.allSuites()])
    .filter((part) => part.errors().length > 0);
  const states = tests.map((test) => test.result().state);
  return {
    passedCount: states.filter((state) => state === 'passed').length,
    failedCount: states.filter((state) => state === 'failed').length + broken.length + unhandledErrors.length,
    // A test that never came to run is no pass: its file or suite broke, or the run was stopped.
    skipped: tests.filter((test) => ['skipped', 'pending'].includes(test.result().state)).map(describeSkip),
  };
}

function describeSkip(test: TestCase): { readonly name: string; readonly reason: string } {
  const result = test.result();
  const note = result.state === 'skipped' ? result.note : undefined;
  return {
    name: `${test.module.relativeModuleId} › ${test.fullName}`,
    reason: note ?? brokenParent(test) ?? 'no reason given',
  };
}

function brokenParent(test: TestCase): string | undefined {
  for (let parent: TestSuite | TestModule | undefined = test.parent; parent !== undefined; ) {
    if (parent.errors().length > 0) return 'its suite broke before it';
    parent = parent.type === 'suite' ? parent.parent : undefined;
  }
  return undefined;
}
