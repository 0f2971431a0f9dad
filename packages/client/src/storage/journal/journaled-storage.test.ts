import { describe, expect, test } from 'vitest';
import type { Change, Storage } from '../../ports/storage.ts';
import { storageContract } from '../storage-contract.ts';
import { QUARANTINED_LOG } from '../quarantined-log.ts';
import { journaledStorage } from './journaled-storage.ts';
import type { JournalLimits } from './key-value-store.ts';
import { type Fault, ModelStore } from './testing-journal/model-store.ts';

const put = (key: string, value: string): Change => ({ kind: 'put', key, value });
const remove = (key: string): Change => ({ kind: 'delete', key });

/** So that a short life carries its commits several times, and has values in pieces. */
const SMALL: JournalLimits = { valueUnits: 60, journalCount: 5, journalUnits: 10_000, reserveUnits: 0 };

const open = (store: ModelStore, limits: Partial<JournalLimits> = SMALL): Promise<Storage> =>
  journaledStorage({ durability: 'relaxed', open: () => store, limits })('test');

const all = async (storage: Storage): Promise<Record<string, string>> =>
  Object.fromEntries((await storage.scan({ prefix: '', limit: 10_000 })).map(({ key, value }) => [key, value]));

describe.each([
  { limits: {}, size: 'the limits it has' },
  { limits: SMALL, size: 'small ones' },
])('a plain store with a journal, and $size', ({ limits }) => {
  const store = new ModelStore();
  const cases = storageContract({
    open: journaledStorage({ durability: 'relaxed', open: () => store, limits }),
    capabilities: { durability: 'relaxed', keepsAfterClose: true, hasSeveralWriters: true },
  });
  for (const { name, skip, run } of cases) test.skipIf(skip !== null)(name, run);
});

/** What a queue does in a short life: adds, counts, settles, rewrites. */
function life(): readonly (readonly Change[])[] {
  return Array.from({ length: 12 }, (_, index): Change[][] => {
    const text = `${index}`.repeat(20 + 25 * (index % 4));
    const added = [put('seq', String(index)), put(`p/${index}`, `header ${index}`), put(`b/${index}`, text)];
    if (index < 2) return [added];
    const settled = [remove(`p/${index - 2}`), remove(`b/${index - 2}`), put(`c/${index - 2}`, 'confirmed')];
    return [added, settled, [put(`b/${index}`, text.slice(0, 30 + index))]];
  }).flat();
}

function statesOf(commits: readonly (readonly Change[])[]): readonly Record<string, string>[] {
  const model: Record<string, string> = {};
  const states: Record<string, string>[] = [{}];
  for (const changes of commits) {
    for (const change of changes) {
      if (change.kind === 'put') model[change.key] = change.value;
      else delete model[change.key];
    }
    states.push({ ...model });
  }
  return states;
}

/** Lives until the store ends; how many commits were confirmed. */
async function liveOn(store: ModelStore): Promise<number> {
  let confirmed = 0;
  try {
    const storage = await open(store);
    for (const changes of life()) {
      await storage.commit({ expect: [], changes });
      confirmed += 1;
    }
    await storage.close();
  } catch {
    // The end of this life.
  }
  return confirmed;
}

async function operationsOfLife(): Promise<readonly number[]> {
  const store = new ModelStore();
  expect(await liveOn(store)).toBe(life().length);
  expect(store.operationCount).toBeGreaterThan(4 * life().length);
  return Array.from({ length: store.operationCount }, (_, index) => index + 1);
}

describe('a plain store that ends in the middle', () => {
  test.each(['kill', 'tear'] satisfies Fault[])(
    'S2, S12 · ended at any operation (%s), it holds all that was confirmed, and no half of anything',
    async (fault) => {
      const states = statesOf(life());
      for (const operation of await operationsOfLife()) {
        const store = new ModelStore();
        store.faultAt(operation, fault);
        const confirmed = await liveOn(store);
        const again = await open(new ModelStore(store.values));
        expect([states[confirmed], states[confirmed + 1]], `at ${operation}`).toContainEqual(await all(again));
      }
    },
  );

  test.each(['kill', 'tear'] satisfies Fault[])(
    'S2, S12 · ended again at any operation while it opens and carries on (%s), it loses nothing',
    async (fault) => {
      const states = statesOf(life());
      for (const operation of await operationsOfLife()) {
        const store = new ModelStore();
        store.faultAt(operation, fault);
        const confirmed = await liveOn(store);
        for (let second = 1; second <= 40; second += 3) {
          const next = new ModelStore(store.values);
          next.faultAt(second, fault);
          // Commits that change nothing but a mark, until what waits has been carried.
          let marks = 0;
          try {
            const storage = await open(next);
            for (; marks < 8; marks += 1) await storage.commit({ expect: [], changes: [put('mark', String(marks))] });
          } catch {
            // The end of this life too.
          }
          const { mark, ...found } = await all(await open(new ModelStore(next.values)));
          expect([states[confirmed], states[confirmed + 1]], `${operation}, ${second}`).toContainEqual(found);
          expect(Number(mark ?? -1)).toBeGreaterThanOrEqual(marks - 1);
        }
      }
    },
    60_000,
  );

  test.each(['failBefore', 'failAfter'] satisfies Fault[])(
    'S2, S12 · any one operation that fails (%s) refuses one commit at most, which leaves nothing behind',
    async (fault) => {
      for (const operation of await operationsOfLife()) {
        const store = new ModelStore();
        store.faultAt(operation, fault);
        const storage = await open(store);
        const model: Record<string, string> = {};
        let refusedCount = 0;
        for (const changes of life()) {
          const isStored = await storage.commit({ expect: [], changes }).then(
            () => true,
            () => false,
          );
          if (!isStored) refusedCount += 1;
          for (const change of isStored ? changes : []) {
            if (change.kind === 'put') model[change.key] = change.value;
            else delete model[change.key];
          }
          expect(await all(storage), `failed at ${operation}`).toEqual(model);
        }
        expect(refusedCount).toBeLessThanOrEqual(1);
        expect(await all(await open(new ModelStore(store.values))), `failed at ${operation}`).toEqual(model);
      }
    },
    60_000,
  );
});

describe('a plain store and what is in it', () => {
  test('S2 · it writes a commit once, and nothing else, until there are many', async () => {
    const store = new ModelStore();
    const storage = await open(store, { reserveUnits: 0 });
    for (let index = 0; index < 50; index += 1)
      await storage.commit({
        expect: [],
        changes: [put('seq', String(index)), put(`p/${index}`, 'x'), put(`b/${index}`, 'y')],
      });

    expect(store.operationCount).toBe(50);
  });

  test('S2 · what comes and goes leaves nothing behind', async () => {
    const store = new ModelStore();
    const storage = await open(store);
    for (let index = 0; index < 200; index += 1) {
      await storage.commit({ expect: [], changes: [put(`p/${index}`, 'x'.repeat(500)), put('seq', String(index))] });
      await storage.commit({ expect: [], changes: [remove(`p/${index}`)] });
    }

    expect(store.values.size).toBeLessThan(15 * 12);
    expect(await all(storage)).toEqual({ seq: '199' });
  });

  test('S2, S10 · a damaged commit in the journal costs the changes that the damage touches, and no other', async () => {
    const store = new ModelStore();
    const storage = await open(store, {});
    for (let index = 0; index < 3; index += 1)
      await storage.commit({ expect: [], changes: [0, 1, 2].map((part) => put(`key ${index}${part}`, 'value')) });
    const [, key = ''] = [...store.values.keys()].filter((each) => each.includes('/j/')).toSorted();
    const text = store.values.get(key) ?? '';

    for (let at = 0; at < text.length; at += 1) {
      const values = new Map(store.values);
      values.set(key, `${text.slice(0, at)}${String.fromCharCode(text.charCodeAt(at) ^ 1)}${text.slice(at + 1)}`);
      const { [`${QUARANTINED_LOG}2`]: quarantined, ...found } = await all(await open(new ModelStore(values), {}));
      // Whatever its first character has become, the rest tells that it is whole.
      if (at > 0) expect(quarantined, `at ${at}`).toContain('value');
      expect(Object.keys(found).length, `at ${at}`).toBeGreaterThanOrEqual(text[at] === '\n' ? 7 : 8);
      expect(new Set(Object.values(found))).toEqual(new Set(['value']));
    }
  });

  test('S2 · a scan reads no value but those it yields', async () => {
    const store = new ModelStore();
    const writing = await open(store, { ...SMALL, valueUnits: 10_000 });
    for (let index = 0; index < 100; index += 1)
      await writing.commit({ expect: [], changes: [put(`p/${String(index).padStart(3, '0')}`, 'x')] });
    await writing.close();
    const read: string[] = [];
    const getMany = store.getMany.bind(store);
    store.getMany = async (keys) => {
      read.push(...keys);
      return getMany(keys);
    };
    const storage = await open(store, { ...SMALL, valueUnits: 10_000 });
    read.length = 0;

    await storage.scan({ prefix: 'p/', after: 'p/050', limit: 5 });

    expect(read).toEqual([51, 52, 53, 54, 55].map((index) => `holdfast/test/d/p%002f0${index}`));
  });

  test('S2 · a store that cannot be read at open is unavailable, and not empty', async () => {
    const store = new ModelStore();
    store.keys = async () => {
      throw new Error('The manifest cannot be read while the device is locked.');
    };

    await expect(open(store)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
  });
});
