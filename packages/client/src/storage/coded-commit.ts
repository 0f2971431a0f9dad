import type { CommitResult, Entry, Expectation, Storage, StorageBatch } from '../ports/storage.ts';

/** How values stand in a store, for one who expects them as they were. */
export interface Coding {
  /** What surely stands for this value, if it stands there at all; null where that cannot be known without a look. */
  storedForm(key: string, value: string): string | null;
  decode(entries: readonly Entry[]): Promise<readonly string[]>;
}

/**
 * Commits changes whose values are in their stored form already, upon expectations that are not: the values of a store that
 * holds them in another form are compared as they were, and the first that does not hold is told so. `alsoExpect` is
 * compared as it stands, after the others.
 */
export async function commitCoded(
  storage: Storage,
  coding: Coding,
  { expect, changes }: StorageBatch,
  alsoExpect: readonly Expectation[] = [],
): Promise<CommitResult> {
  const known = new Map<string, string>();
  for (;;) {
    const forms = expect.map(({ key, value }) =>
      value === null ? null : (known.get(key) ?? coding.storedForm(key, value)),
    );
    if (forms.some((form, index) => form === null && expect[index]?.value !== null)) {
      const mismatch = await look(storage, coding, expect, known);
      if (mismatch !== null) return mismatch;
      continue;
    }
    const translated = expect.map(({ key }, index) => ({ key, value: forms[index] ?? null }));
    const result = await storage.commit({ expect: [...translated, ...alsoExpect], changes });
    if (result.kind === 'committed' || result.actual === null) return result;
    const expected = expect.find(({ key }) => key === result.key);
    if (expected === undefined) return result;
    const [actual = ''] = await coding.decode([{ key: result.key, value: result.actual }]);
    if (actual !== expected.value) return { ...result, actual };
    // The same value in another form, by another writer, or written anew.
    known.set(result.key, result.actual);
  }
}

/** Reads all that is expected, in one view; the first that does not hold, or null when all of them do. */
async function look(
  storage: Storage,
  coding: Coding,
  expect: readonly Expectation[],
  known: Map<string, string>,
): Promise<CommitResult | null> {
  const stored = await storage.read(expect.map(({ key }) => key));
  const entries = expect.flatMap(({ key }, index) => {
    const value = stored[index] ?? null;
    return value === null ? [] : [{ key, value }];
  });
  const decoded = await coding.decode(entries);
  const actuals = new Map(entries.map(({ key }, index) => [key, decoded[index] ?? '']));
  for (const { key, value } of expect) {
    const actual = actuals.get(key) ?? null;
    if (actual !== value) return { kind: 'mismatch', key, actual };
  }
  for (const { key, value } of entries) known.set(key, value);
  return null;
}
