import { isHoldfastError } from '../mutation/holdfast-error.ts';
import type { Change, Durability, Entry, Expectation, OpenStorage, ScanQuery, Storage } from '../ports/storage.ts';

export interface StorageContractOptions {
  /** Opens the store under test. Each case opens names of its own, which must be empty at first. */
  readonly open: OpenStorage;
  readonly capabilities: StorageCapabilities;
  /** Begins the name of every store a case opens. Give each run its own where stores outlive the run. @default 'contract' */
  readonly namePrefix?: string;
}

/** What an adapter claims to do; cases it does not claim are skipped with the reason. */
export interface StorageCapabilities {
  /** What a store must say of itself. */
  readonly durability: Durability;
  /** Whether a store that was closed and is opened again by the same `open` still holds its records. */
  readonly keepsAfterClose: boolean;
  /** Whether a name can be open several times at once (two tabs). */
  readonly hasSeveralWriters: boolean;
}

export interface ContractCase {
  /** A sentence about behaviour, beginning with the id of the requirement. */
  readonly name: string;
  /** Why this adapter is excused; null when the case applies. */
  readonly skip: string | null;
  /** Rejects with what was expected and what came. */
  readonly run: () => Promise<void>;
}

/**
 * What every storage adapter promises, as cases that any test framework can run:
 *
 * ```ts
 * for (const { name, skip, run } of storageContract({ open: myStorage(), capabilities })) {
 *   test.skipIf(skip !== null)(name, run);
 * }
 * ```
 *
 * A case opens stores of its own, closes them when it ends, and leaves its records behind.
 */
export function storageContract(options: StorageContractOptions): readonly ContractCase[] {
  const { open, capabilities, namePrefix = 'contract' } = options;
  const excuses: Readonly<Record<Need, string | null>> = {
    nothing: null,
    reopening: capabilities.keepsAfterClose ? null : 'this store keeps nothing after it is closed',
    writers: capabilities.hasSeveralWriters ? null : 'this store is open only once at a time',
  };
  return CASES.map(({ name, needs = 'nothing', check }, index) => ({
    name,
    skip: excuses[needs],
    run: async () => {
      const world = new World(open, `${namePrefix}-${index + 1}`, capabilities);
      try {
        await check(world);
      } finally {
        await world.close();
      }
    },
  }));
}

type Need = 'nothing' | 'reopening' | 'writers';

interface Case {
  readonly name: string;
  readonly needs?: Need;
  readonly check: (world: World) => Promise<void>;
}

/** An import, and what comes back from a mirror, are one commit each, of any size. */
const BATCH_COUNT = 2_000;
/** Headers and payloads are read so many at a time. */
const VIEW_COUNT = 1_000;
/** A payload of 256 KiB and the row that it was made on, sealed. */
const LARGE_UNITS = 700_000;
/** Looks at a store while a commit is under way. */
const LOOK_COUNT = 20;

const CASES: readonly Case[] = [
  {
    name: 'S1 · a store says how much a commit survives',
    check: async (world) => {
      const storage = await world.open();
      equal(storage.durability, world.capabilities.durability, 'durability');
    },
  },
  {
    name: 'S1 · a batch is stored whole: puts, replacements and deletions together',
    check: async (world) => {
      const storage = await world.open();
      await commit(storage, [put('a', '1'), put('b', '2')]);
      await commit(storage, [put('b', '3'), put('c', '4'), remove('a'), remove('never there')]);
      equal(await all(storage), [entry('b', '3'), entry('c', '4')], 'entries');
    },
  },
  {
    name: 'S1 · of several changes to one key in a batch the last one stands',
    check: async (world) => {
      const storage = await world.open();
      await commit(storage, [put('a', '1'), put('a', '2'), remove('b'), put('b', '3'), put('c', '4'), remove('c')]);
      equal(await all(storage), [entry('a', '2'), entry('b', '3')], 'entries');
    },
  },
  {
    name: 'S1 · a batch whose expectations hold is stored, also those of absence',
    check: async (world) => {
      const storage = await world.open();
      await commit(storage, [put('a', '1')], [{ key: 'a', value: null }]);
      await commit(
        storage,
        [put('a', '2'), put('b', '1')],
        [
          { key: 'a', value: '1' },
          { key: 'b', value: null },
        ],
      );
      equal(await all(storage), [entry('a', '2'), entry('b', '1')], 'entries');
    },
  },
  {
    name: 'S1 · a batch whose expectation does not hold stores nothing, and tells the key and what stands there',
    check: async (world) => {
      const storage = await world.open();
      await commit(storage, [put('a', '1'), put('b', '2')]);
      const cases: readonly { readonly expect: Expectation; readonly actual: string | null }[] = [
        { expect: { key: 'a', value: '0' }, actual: '1' },
        { expect: { key: 'a', value: null }, actual: '1' },
        { expect: { key: 'c', value: '0' }, actual: null },
      ];
      for (const { expect, actual } of cases) {
        const result = await storage.commit({
          expect: [{ key: 'b', value: '2' }, expect],
          changes: [put('b', 'changed'), put('d', 'new'), remove('a')],
        });
        equal(result, { kind: 'mismatch', key: expect.key, actual }, 'result');
      }
      equal(await all(storage), [entry('a', '1'), entry('b', '2')], 'entries');
    },
  },
  {
    name: 'S1 · of several expectations that do not hold the first is told',
    check: async (world) => {
      const storage = await world.open();
      await commit(storage, [put('a', '1'), put('b', '2')]);
      const expect = ['b', 'a', 'c'].map((key) => ({ key, value: 'other' }));
      equal(
        await storage.commit({ expect, changes: [put('d', '3')] }),
        { kind: 'mismatch', key: 'b', actual: '2' },
        'result',
      );
      equal(await all(storage), [entry('a', '1'), entry('b', '2')], 'entries');
    },
  },
  {
    name: 'S1 · expectations are checked before the changes of their own batch',
    check: async (world) => {
      const storage = await world.open();
      equal(
        await storage.commit({ expect: [{ key: 'a', value: '1' }], changes: [put('a', '1')] }),
        { kind: 'mismatch', key: 'a', actual: null },
        'result',
      );
      equal(await all(storage), [], 'entries');
    },
  },
  {
    name: 'S1 · an empty batch, a batch of expectations alone, and an empty read do no harm',
    check: async (world) => {
      const storage = await world.open();
      await commit(storage, []);
      await commit(storage, [], [{ key: 'a', value: null }]);
      equal(
        await storage.commit({ expect: [{ key: 'a', value: '1' }], changes: [] }),
        { kind: 'mismatch', key: 'a', actual: null },
        'result',
      );
      equal(await storage.read([]), [], 'values');
    },
  },
  {
    name: 'S1 · what is read comes in the order asked for, null where there is nothing, twice when asked twice',
    check: async (world) => {
      const storage = await world.open();
      await commit(storage, [put('a', '1'), put('b', '2')]);
      equal(await storage.read(['b', 'missing', 'a', 'b']), ['2', null, '1', '2'], 'values');
    },
  },
  {
    name: 'S1 · an empty value is a value',
    check: async (world) => {
      const storage = await world.open();
      await commit(storage, [put('a', '')]);
      equal(await storage.read(['a', 'b']), ['', null], 'values');
      equal(await all(storage), [entry('a', '')], 'entries');
      equal(
        await storage.commit({ expect: [{ key: 'a', value: null }], changes: [] }),
        { kind: 'mismatch', key: 'a', actual: '' },
        'result',
      );
    },
  },
  {
    name: 'S1 · a scan yields keys in the order of their code units',
    check: async (world) => {
      const storage = await world.open();
      // In code points the last two would change places; a locale would mix the case.
      const keys = [
        '',
        ' ',
        '-',
        '0',
        '00',
        '1',
        '10',
        '2',
        'A',
        'Z',
        'a',
        'aB',
        'aa',
        'z',
        'ä',
        'é',
        '中',
        '\u{1f600}',
        '\uffee',
      ];
      await commit(
        storage,
        [...keys].reverse().map((key) => put(key, `value of ${key}`)),
      );
      equal(
        await all(storage),
        keys.map((key) => entry(key, `value of ${key}`)),
        'entries',
      );
    },
  },
  {
    name: 'S1 · a scan stays within its prefix, also when one prefix begins another',
    check: async (world) => {
      const storage = await world.open();
      const keys = ['p', 'p/', 'p/1', 'p/2', 'p/\uffff', 'p/\uffffx', 'p0', 'pp', 'pp/1', 'q/1'];
      await commit(
        storage,
        keys.map((key) => put(key, key)),
      );
      const found = async (prefix: string): Promise<readonly string[]> =>
        keysOf(await storage.scan({ prefix, limit: 100 }));
      equal(await found('p/'), ['p/', 'p/1', 'p/2', 'p/\uffff', 'p/\uffffx'], 'keys of p/');
      equal(await found('pp/'), ['pp/1'], 'keys of pp/');
      equal(await found('p'), keys.slice(0, -1), 'keys of p');
      equal(await found('r'), [], 'keys of r');
      equal(await found('p/\uffff'), ['p/\uffff', 'p/\uffffx'], 'keys of a prefix that ends with the last code unit');
      equal(await found(''), keys, 'all keys');
    },
  },
  {
    name: 'S1 · a scan begins behind `after`, whether that key is there or not, and inside the prefix or outside',
    check: async (world) => {
      const storage = await world.open();
      await commit(
        storage,
        ['a/1', 'b/1', 'b/3', 'b/5', 'c/1'].map((key) => put(key, key)),
      );
      const found = async (after: string): Promise<readonly string[]> =>
        keysOf(await storage.scan({ prefix: 'b/', after, limit: 100 }));
      equal(await found('b/1'), ['b/3', 'b/5'], 'keys after one that is there');
      equal(await found('b/2'), ['b/3', 'b/5'], 'keys after one that is not');
      equal(await found('b/5'), [], 'keys after the last');
      equal(await found('a/1'), ['b/1', 'b/3', 'b/5'], 'keys after one before the prefix');
      equal(await found('c/1'), [], 'keys after one behind the prefix');
    },
  },
  {
    name: 'S1 · a scan yields at most its limit, and pages meet without gap or repetition',
    check: async (world) => {
      const storage = await world.open();
      const keys = Array.from({ length: 25 }, (_, index) => `p/${String(index).padStart(3, '0')}`);
      await commit(
        storage,
        keys.map((key) => put(key, key)),
      );
      const pages: (readonly string[])[] = [];
      for (let after: string | undefined; pages.length < 4; ) {
        const query: ScanQuery = after === undefined ? { prefix: 'p/', limit: 10 } : { prefix: 'p/', after, limit: 10 };
        const page = keysOf(await storage.scan(query));
        pages.push(page);
        if (page.length < 10) break;
        after = page.at(-1);
      }
      equal(
        pages.map(({ length }) => length),
        [10, 10, 5],
        'lengths of the pages',
      );
      equal(pages.flat(), keys, 'keys');
    },
  },
  {
    name: 'S1 · large values, keys and values in any script, and line breaks come back as they were',
    check: async (world) => {
      const storage = await world.open();
      const large = 'ä\u{1f600}"\\\n\t x'.repeat(Math.ceil(LARGE_UNITS / 9));
      const entries = [
        entry('line\nbreak\ttab', 'a\r\nb\u2028c'),
        entry('largest', large),
        entry('Ключ/鍵/🔑', 'значение · 値 · 🗝️'),
        entry('空', '"{}[],:\\'),
        // Two characters each, and not one: whoever composes them stores another text.
        entry('e\u0301', 'A\u030angstro\u0308m \u1100\u1161'),
      ].sort((left, right) => (left.key < right.key ? -1 : 1));
      await commit(
        storage,
        entries.map(({ key, value }) => put(key, value)),
      );
      equal(await all(storage), entries, 'entries');
      equal(await storage.read(['largest']), [large], 'the large value');
    },
  },
  {
    name: `S1 · a commit of ${BATCH_COUNT} changes is stored whole`,
    check: async (world) => {
      const storage = await world.open();
      const changes = Array.from({ length: BATCH_COUNT }, (_, index) =>
        put(`p/${String(index).padStart(4, '0')}`, String(index)),
      );
      let isDone = false;
      const committing = commit(storage, changes).finally(() => {
        isDone = true;
      });
      const counts = new Set<number>();
      // Looked at all the while, also by another connection where there can be one.
      const other = world.capabilities.hasSeveralWriters ? await world.open() : storage;
      for (let look = 0; look < LOOK_COUNT && !isDone; look += 1)
        for (const each of [storage, other])
          counts.add((await each.scan({ prefix: 'p/', limit: BATCH_COUNT + 1 })).length);
      await committing;
      counts.delete(0);
      counts.add((await storage.scan({ prefix: 'p/', limit: BATCH_COUNT + 1 })).length);
      equal([...counts], [BATCH_COUNT], 'counts of entries that were seen');
    },
  },
  {
    name: 'S1 · commits made together take effect in the order they were made',
    check: async (world) => {
      const storage = await world.open();
      await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          commit(storage, [put('last', String(index)), put(`each/${index}`, 'x')]),
        ),
      );
      equal(await storage.read(['last']), ['49'], 'the value of the last commit');
      equal((await storage.scan({ prefix: 'each/', limit: 100 })).length, 50, 'count of entries');
    },
  },
  {
    name: 'S1 · a commit that has resolved is seen by the next read and the next scan',
    check: async (world) => {
      const storage = await world.open();
      for (let round = 1; round <= 20; round += 1) {
        await commit(storage, [put('a', String(round))]);
        equal(await storage.read(['a']), [String(round)], 'value read');
        equal(await all(storage), [entry('a', String(round))], 'entries scanned');
      }
    },
  },
  {
    name: 'S1 · a read and a scan see a batch whole or not at all',
    check: async (world) => {
      const storage = await world.open();
      const keys = ['a', 'b', 'c', 'd'];
      const writing = Array.from({ length: 30 }, (_, round) =>
        commit(
          storage,
          keys.map((key) => put(key, String(round))),
        ),
      );
      const reading = writing.flatMap(() => [
        storage.read(keys),
        all(storage).then((entries) => entries.map(({ value }) => value)),
      ]);
      for (const values of await Promise.all(reading))
        equal(new Set(values).size <= 1, true, `one round in ${JSON.stringify(values)}`);
      await Promise.all(writing);
    },
  },
  {
    name: 'S1 · many keys are read in one view, whatever another connection stores meanwhile',
    needs: 'writers',
    check: async (world) => {
      const [one, other] = [await world.open(), await world.open()];
      const keys = Array.from({ length: VIEW_COUNT }, (_, index) => `k/${String(index).padStart(6, '0')}`);
      const store = (round: number): Promise<void> =>
        commit(
          one,
          keys.map((key) => put(key, String(round))),
        );
      await store(0);
      for (let round = 1; round <= LOOK_COUNT / 2; round += 1) {
        const storing = store(round);
        // Begun a little later each time, so that it falls between any two steps of the commit.
        for (let step = 0; step < round; step += 1) await Promise.resolve();
        const [values] = await Promise.all([other.read(keys), storing]);
        equal(new Set(values).size, 1, `rounds that ${values[0]} and ${values.at(-1)} are of`);
      }
    },
  },
  {
    name: 'S1 · of concurrent compare-and-sets on one connection none is lost',
    check: async (world) => {
      const storage = await world.open();
      await Promise.all(Array.from({ length: 20 }, () => countUp(storage)));
      equal(await storage.read(['counter']), ['20'], 'the counter');
    },
  },
  {
    name: 'S1 · of concurrent compare-and-sets from two connections none is lost',
    needs: 'writers',
    check: async (world) => {
      const storages = [await world.open(), await world.open()];
      await Promise.all(Array.from({ length: 10 }, () => Promise.all(storages.map((storage) => countUp(storage)))));
      equal(await Promise.all(storages.map((storage) => storage.read(['counter']))), [['20'], ['20']], 'the counters');
    },
  },
  {
    name: 'S1 · two who open one name see what the other has committed',
    needs: 'writers',
    check: async (world) => {
      const [first, second] = [await world.open(), await world.open()];
      await commit(first, [put('a', '1')]);
      equal(await second.read(['a']), ['1'], 'what the second reads');
      await commit(second, [put('a', '2'), put('b', '3')], [{ key: 'a', value: '1' }]);
      equal(await all(first), [entry('a', '2'), entry('b', '3')], 'what the first scans');
    },
  },
  {
    name: 'S1 · one who closes does not disturb another who has the same name open',
    needs: 'writers',
    check: async (world) => {
      const [first, second] = [await world.open(), await world.open()];
      await commit(first, [put('a', '1')]);
      await first.close();
      await commit(second, [put('b', '2')]);
      equal(await all(second), [entry('a', '1'), entry('b', '2')], 'entries');
    },
  },
  {
    name: 'S1 · two names are two stores',
    check: async (world) => {
      const [one, other] = [await world.open('one'), await world.open('other')];
      await commit(one, [put('a', '1')]);
      equal(await all(other), [], 'entries of the other');
      await commit(other, [put('a', '2')], [{ key: 'a', value: null }]);
      equal(await one.read(['a']), ['1'], 'value of the one');
    },
  },
  {
    name: 'S1 · a name may hold any character that a user id or workspace id may bring',
    check: async (world) => {
      const [one, other] = [await world.open('holdfast/a%2Fb/ü 🔑/../x'), await world.open('holdfast/a/b/ü 🔑/../x')];
      await commit(one, [put('a', '1')]);
      equal(await all(other), [], 'entries of the other');
      equal(await one.read(['a']), ['1'], 'value of the one');
    },
  },
  {
    name: 'S12 · a store that is opened again holds everything that was committed',
    needs: 'reopening',
    check: async (world) => {
      const storage = await world.open();
      await commit(storage, [put('a', '1'), put('b', 'x'.repeat(LARGE_UNITS))]);
      await commit(storage, [put('c', '3'), remove('a')]);
      await storage.close();
      const again = await world.open();
      equal(await all(again), [entry('b', 'x'.repeat(LARGE_UNITS)), entry('c', '3')], 'entries');
    },
  },
  {
    name: 'S1 · whatever is asked of a closed store rejects with a typed error and stores nothing',
    check: async (world) => {
      const storage = await world.open();
      await commit(storage, [put('a', '1')]);
      await storage.close();
      await rejects(storage.commit({ expect: [], changes: [put('b', '2')] }), 'commit');
      await rejects(storage.read(['a']), 'read');
      await rejects(storage.scan({ prefix: '', limit: 1 }), 'scan');
      // A second time is no mistake.
      await storage.close();
      if (!world.capabilities.keepsAfterClose) return;
      const again = await world.open();
      equal(await all(again), [entry('a', '1')], 'entries');
    },
  },
  {
    name: 'S9 · what is whole is put back by nobody, and nothing is apart from a store that was never used without its copy',
    check: async (world) => {
      const storage = await world.open();
      await commit(storage, [put('a', '1'), put('b', '2')]);
      await commit(storage, [put('a', '3'), remove('b')]);
      equal((await storage.repair?.(['a', 'b', 'c'])) ?? false, false, 'whether something was put back');
      equal(await all(storage), [entry('a', '3')], 'entries');
      equal(storage.apart, undefined, 'records made apart');
    },
  },
  {
    name: 'S8 · the estimate is made of numbers, or of nulls where the platform does not say',
    check: async (world) => {
      const storage = await world.open();
      await commit(storage, [put('a', 'x'.repeat(LARGE_UNITS))]);
      const { usedBytes, quotaBytes } = await storage.estimate();
      equal(usedBytes !== 0, true, 'what holds something does not use nothing: 0 bytes used');
      for (const bytes of [usedBytes, quotaBytes])
        equal(bytes === null || bytes >= 0, true, `${bytes} is a number of bytes`);
    },
  },
];

/** What one case has opened. */
class World {
  readonly capabilities: StorageCapabilities;
  private readonly openStorage: OpenStorage;
  private readonly name: string;
  private readonly opened: Storage[] = [];
  private readonly emptyNames = new Set<string>();

  constructor(openStorage: OpenStorage, name: string, capabilities: StorageCapabilities) {
    this.openStorage = openStorage;
    this.name = name;
    this.capabilities = capabilities;
  }

  async open(suffix = 'store'): Promise<Storage> {
    const name = `${this.name}/${suffix}`;
    const storage = await this.openStorage(name);
    this.opened.push(storage);
    if (!this.emptyNames.has(name)) {
      const [left] = await storage.scan({ prefix: '', limit: 1 });
      if (left !== undefined)
        throw new Error(`The store ${JSON.stringify(name)} is not empty. Give each run its own \`namePrefix\`.`);
      this.emptyNames.add(name);
    }
    return storage;
  }

  async close(): Promise<void> {
    for (const storage of this.opened) await storage.close();
  }
}

function put(key: string, value: string): Change {
  return { kind: 'put', key, value };
}

function remove(key: string): Change {
  return { kind: 'delete', key };
}

function entry(key: string, value: string): Entry {
  return { key, value };
}

function keysOf(entries: readonly Entry[]): readonly string[] {
  return entries.map(({ key }) => key);
}

async function all(storage: Storage): Promise<readonly Entry[]> {
  return storage.scan({ prefix: '', limit: 10_000 });
}

async function commit(
  storage: Storage,
  changes: readonly Change[],
  expect: readonly Expectation[] = [],
): Promise<void> {
  equal(await storage.commit({ expect, changes }), { kind: 'committed' }, 'result of the commit');
}

/** Adds one to a number that others count up too. */
async function countUp(storage: Storage): Promise<void> {
  let believed: string | null = null;
  for (let tryNumber = 1; tryNumber <= 1_000; tryNumber += 1) {
    const result = await storage.commit({
      expect: [{ key: 'counter', value: believed }],
      changes: [put('counter', String(Number(believed ?? 0) + 1))],
    });
    if (result.kind === 'committed') return;
    believed = result.actual;
  }
  throw new Error('Expected one of 1,000 compare-and-sets to be committed; none was.');
}

/** Compares plain data, key by key; the order of keys does not matter. */
function equal(actual: unknown, expected: unknown, what: string): void {
  if (isEqual(actual, expected)) return;
  throw new Error(`Expected ${what} to be ${excerpt(expected)}; it is ${excerpt(actual)}.`);
}

function isEqual(left: unknown, right: unknown): boolean {
  if (Object.is(left, right)) return true;
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false;
  if (Array.isArray(left) !== Array.isArray(right)) return false;
  const keys = Object.keys(left);
  if (keys.length !== Object.keys(right).length) return false;
  return keys.every((key) => isEqual((left as Record<string, unknown>)[key], (right as Record<string, unknown>)[key]));
}

async function rejects(promise: Promise<unknown>, what: string): Promise<void> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason ?? 'nothing',
  );
  if (isHoldfastError(error) && error.category === 'STORAGE_ERROR') return;
  throw new Error(
    `Expected ${what} to reject with a HoldfastError of category STORAGE_ERROR; it came to ${String(error)}.`,
  );
}

function excerpt(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 400 ? `${text.slice(0, 400)}… (${text.length} characters)` : text;
}
