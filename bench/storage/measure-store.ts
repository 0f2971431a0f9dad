import { memoryStorage, type OpenKeys, type OpenStorage } from 'holdfast';
import { beside, type Measurement, quantile } from '../measurement.ts';
import { type BenchQueue, contact, instantTransport, openQueue } from './work.ts';

/** The store that Holdfast is put beside: the same engine, one row for each mutation, nothing else. */
export interface RawStore {
  /** In one transaction, with the same durability. */
  add(texts: readonly string[]): Promise<void>;
  /** The first ones that stand there; how many. */
  readFirst(limit: number): Promise<number>;
  /** In one transaction. */
  removeFirst(count: number): Promise<void>;
  close(): Promise<void>;
}

/** One platform's store. Names are files or databases; each is used for one thing. */
export interface World {
  /** Such as `sqlite`. */
  readonly name: string;
  /** What it is put beside. @default `raw/` and the name */
  readonly rawName?: string;
  readonly openRaw: (name: string) => Promise<RawStore>;
  /** The same engine used as cheaply as whoever keeps mutations in it can, and nothing of ours: what there is to be had at all. */
  readonly bare?: { readonly name: string; readonly open: (name: string) => Promise<Pick<RawStore, 'add' | 'close'>> };
  /** Holdfast's adapter; `name` goes before the names that the queue gives. */
  readonly storage: (name: string) => OpenStorage;
  readonly keys: () => OpenKeys;
  /** Keys with the platform's own ciphers, beside those of Web Crypto; null where there are none. */
  readonly cipherKeys: (() => OpenKeys) | null;
  /** Room on the disk; where the platform only says what all take together, that. */
  readonly bytes: (name: string) => Promise<number>;
  readonly nowMs: () => number;
  /** Time of the processor that this process has taken; null where that is not told. Other work on the machine hardly changes it. */
  readonly cpuMs: (() => number) | null;
  /** After collecting garbage, with what typed arrays hold. */
  readonly heapBytes: () => Promise<number>;
}

/** Calls made together share commits of at most so many, as in the queue itself. */
const GROUP_COUNT = 500;
/** One by one, in turns of so many, so that what else the machine does disturbs all alike. */
const TURN_COUNT = 25;
const TURNS_MAX = 24;
const BATCH_COUNT = 100;
const FIRST_COUNT = 1_000;
const WARM_COUNT_MAX = 2_000;
/** A page that is shown, or a batch that is sent. */
const READ_COUNT = 100;
const READ_ROUNDS = 20;
/** The heap is the median of so many openings, but for the first of them. */
const HEAP_ROUNDS = 6;
const HEAP_ROUNDS_BEFORE = 3;
/** With more queued what is sealed is left out, which weighs the same, and so are most rounds: each takes half a minute. */
const LONG_COUNT = 100_000;
const LONG_HEAP_ROUNDS = 2;
const LONG_HEAP_ROUNDS_BEFORE = 1;

interface Subject {
  readonly name: string;
  readonly keys: OpenKeys | undefined;
}

interface Reader extends Subject {
  /** The name of its store. @default its own */
  readonly store?: string;
  readonly cacheBytes?: number;
  readonly isPacked?: boolean;
}

/** What can be measured of a store, in the order of the report. */
export const STORE_MEASURES: readonly string[] = [
  'add-together',
  'add-together-cpu',
  'bytes',
  'add-sequential',
  'add-sequential-p95',
  'open-first',
  'heap',
  'read-again',
  'drain',
];

/** Of `measures`, all that is measured with `n` queued. */
export async function measureStore(
  world: World,
  n: number,
  measures: readonly string[],
  tell: (measurement: Measurement) => void,
): Promise<void> {
  const isWanted = (...some: readonly string[]): boolean => some.some((measure) => measures.includes(measure));
  const report = (measurement: Measurement): void => {
    if (isWanted(measurement.measure)) tell(measurement);
  };
  const plain: Subject = { name: `holdfast/${world.name}`, keys: undefined };
  const allSubjects: readonly Subject[] = [
    plain,
    { name: `holdfast/${world.name}, sealed`, keys: world.keys() },
    ...(world.cipherKeys === null
      ? []
      : [{ name: `holdfast/${world.name}, sealed by node:crypto`, keys: world.cipherKeys() }]),
  ];
  const subjects = n > LONG_COUNT ? [plain] : allSubjects;
  const { rawName = `raw/${world.name}` } = world;
  const show = (all: readonly Measurement[]): void => {
    for (const each of all) report(each);
  };
  const stored = await storedTexts(world);
  const textOf = (index: number): string => stored[index % stored.length] ?? '';
  const texts = (first: number, count: number): readonly string[] =>
    Array.from({ length: count }, (_, index) => textOf(first + index));

  await warmUp(subjects, Math.min(2 * n, WARM_COUNT_MAX));

  // Called together, until n are queued. Not in turns: a browser only says what all that is stored takes.
  const raw = await world.openRaw('raw');
  const rawBytesBefore = await world.bytes('raw');
  const rawTogether = await taken(world, () => inGroups(n, (first, count) => raw.add(texts(first, count))));
  const rawBytes = (await world.bytes('raw')) - rawBytesBefore;
  const bare = world.bare === undefined ? null : { name: world.bare.name, store: await world.bare.open('bare') };
  const bareTogether =
    bare && (await taken(world, () => inGroups(n, (first, count) => bare.store.add(texts(first, count)))));
  const queues: {
    readonly subject: Subject;
    readonly queue: BenchQueue;
    readonly together: Taken;
    readonly bytes: number;
  }[] = [];
  for (const subject of subjects) {
    const queue = openQueue({ storage: world.storage(subject.name), keys: subject.keys, transport: null });
    await queue.ready;
    const bytesBefore = await world.bytes(subject.name);
    const together = await taken(world, () => inGroups(n, (first, count) => addTogether(queue, first, count)));
    queues.push({ subject, queue, together, bytes: (await world.bytes(subject.name)) - bytesBefore });
  }
  for (const [measure, time] of [
    ['add-together', 'ms'],
    ['add-together-cpu', 'cpuMs'],
  ] as const) {
    if (time === 'cpuMs' && world.cpuMs === null) continue;
    show(
      beside({ measure, n, unit: 'ms' }, { subject: rawName, value: rawTogether[time] / n }, [
        ...(bare && bareTogether ? [{ subject: bare.name, value: bareTogether[time] / n }] : []),
        ...queues.map(({ subject, together }) => ({ subject: subject.name, value: together[time] / n })),
      ]),
    );
  }
  show(
    beside(
      { measure: 'bytes', n, unit: 'bytes' },
      { subject: rawName, value: rawBytes / n },
      queues.map(({ subject, bytes }) => ({ subject: subject.name, value: bytes / n })),
    ),
  );

  // One by one, on top of these, in turns.
  const turnCount = Math.min(TURNS_MAX, Math.max(4, Math.floor(n / TURN_COUNT / 4)));
  const writers = [
    { subject: rawName, write: (index: number) => raw.add([textOf(index)]) },
    ...(bare ? [{ subject: bare.name, write: (index: number) => bare.store.add([textOf(index)]) }] : []),
    ...queues.map(({ subject, queue }) => ({ subject: subject.name, write: (index: number) => add(queue, index) })),
  ].map((writer) => ({ ...writer, ms: [] as number[] }));
  let addedCount = 0;
  for (let turn = 0; turn < turnCount && isWanted('add-sequential', 'add-sequential-p95'); turn += 1) {
    for (const { write, ms } of writers) {
      for (let index = 0; index < TURN_COUNT; index += 1)
        ms.push(await timed(world, () => write(n + addedCount + index)));
    }
    addedCount += TURN_COUNT;
  }
  for (const [measure, share] of [
    ['add-sequential', 0.5],
    ['add-sequential-p95', 0.95],
  ] as const) {
    if (addedCount === 0) continue;
    const [rawTimes, ...ours] = writers.map(({ subject, ms }) => ({ subject, value: quantile(ms, share) }));
    if (rawTimes !== undefined) show(beside({ measure, n, unit: 'ms' }, rawTimes, ours));
  }
  for (const { queue } of queues) await queue.close();
  await bare?.store.close();
  await raw.close();

  // Opened again.
  let rawFirstMs = Number.NaN;
  const again = await (async () => {
    const startedAtMs = world.nowMs();
    const opened = await world.openRaw('raw');
    await opened.readFirst(FIRST_COUNT);
    rawFirstMs = world.nowMs() - startedAtMs;
    return opened;
  })();
  const total = n + addedCount;
  const firsts: { readonly subject: string; readonly value: number }[] = [];
  for (const { name, keys } of subjects) firsts.push({ subject: name, value: await firstSendMs(world, name, keys) });
  show(beside({ measure: 'open-first', n, unit: 'ms' }, { subject: rawName, value: rawFirstMs }, firsts));

  const packed: Reader = { ...plain, name: `${plain.name}, packed`, store: plain.name, isPacked: true };
  const weighed: readonly Reader[] = isWanted('heap') ? [...subjects, packed] : [];
  for (const { name, store = name, keys, isPacked = false } of weighed) {
    // Of each that is there: those that were added one by one too.
    const value = (await heapBytesOf(world, store, { keys, isPacked }, n > LONG_COUNT)) / total;
    report({ measure: 'heap', n, subject: name, value, unit: 'bytes', ratioToRaw: null });
  }

  // Read again and again, as what is shown or sent again is.
  const again100Ms = await timed(world, async () => {
    for (let round = 0; round < READ_ROUNDS; round += 1) await again.readFirst(READ_COUNT);
  });
  const readers = subjects.flatMap((subject): readonly Reader[] =>
    subject.keys === undefined
      ? [subject]
      : [subject, { ...subject, name: `${subject.name}, no cache`, store: subject.name, cacheBytes: 0 }],
  );
  const reads: { readonly subject: string; readonly value: number }[] = [];
  for (const { name, store = name, ...setup } of isWanted('read-again') ? readers : []) {
    const ms = await readAgainMs(world, store, setup);
    reads.push({ subject: name, value: ms / READ_COUNT });
  }
  const rawReadMs = again100Ms / READ_ROUNDS / READ_COUNT;
  show(beside({ measure: 'read-again', n, unit: 'ms' }, { subject: rawName, value: rawReadMs }, reads));

  // Delivered, by a server that answers at once.
  if (!isWanted('drain')) {
    await again.close();
    return;
  }
  const rawDrainMs = await timed(world, async () => {
    for (let done = 0; done < total; done += BATCH_COUNT) {
      await again.readFirst(BATCH_COUNT);
      await again.removeFirst(BATCH_COUNT);
    }
  });
  await again.close();
  const drain = { measure: 'drain', n, unit: 'ms' } as const;
  const rawDrain = { subject: rawName, value: rawDrainMs / total };
  show(beside(drain, rawDrain, []));
  for (const { name, keys } of subjects) {
    const queue = openQueue({ storage: world.storage(name), keys, transport: instantTransport });
    const ms = await timed(world, async () => {
      await queue.ready;
      await queue.process();
      // The last verdicts are stored when it is closed.
      await queue.close();
    });
    // Each as it comes: with 100,000 they take minutes.
    show(beside(drain, rawDrain, [{ subject: name, value: ms / total }]).slice(1));
  }
}

/**
 * Code that has not run yet runs many times slower: the queue does some of the same before. In memory, since a browser only says what
 * all that is stored takes.
 */
async function warmUp(subjects: readonly Subject[], count: number): Promise<void> {
  for (const { keys } of subjects) {
    const queue = openQueue({ storage: memoryStorage(), keys, transport: null });
    await inGroups(count, (first, size) => addTogether(queue, first, size));
    await queue.close();
  }
}

async function inGroups(n: number, add: (first: number, count: number) => Promise<void>): Promise<void> {
  for (let first = 0; first < n; first += GROUP_COUNT) await add(first, Math.min(GROUP_COUNT, n - first));
}

async function addTogether(queue: BenchQueue, first: number, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, index) => add(queue, first + index)));
}

async function add(queue: BenchQueue, index: number): Promise<void> {
  await queue.add({ type: 'contact.save', payload: contact(index) });
}

async function timed(world: World, work: () => Promise<void>): Promise<number> {
  const startedAtMs = world.nowMs();
  await work();
  return world.nowMs() - startedAtMs;
}

interface Taken {
  readonly ms: number;
  readonly cpuMs: number;
}

async function taken(world: World, work: () => Promise<void>): Promise<Taken> {
  const cpuBeforeMs = world.cpuMs?.() ?? 0;
  const ms = await timed(world, work);
  return { ms, cpuMs: (world.cpuMs?.() ?? 0) - cpuBeforeMs };
}

/**
 * What an open queue holds in memory, all that goes with it when it is closed. It is opened and closed some times before, since the code that
 * runs for the first time then stays when the queue is gone; and measured some times, since one that was closed may be let go late.
 */
async function heapBytesOf(world: World, name: string, setup: HeapSetup, isLong: boolean): Promise<number> {
  const values: number[] = [];
  for (let round = 0; round < (isLong ? LONG_HEAP_ROUNDS : HEAP_ROUNDS); round += 1) {
    values.push(await heapBytesOnce(world, name, setup));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return quantile(values.slice(isLong ? LONG_HEAP_ROUNDS_BEFORE : HEAP_ROUNDS_BEFORE), 0.5);
}

type HeapSetup = Pick<Reader, 'keys'> & Required<Pick<Reader, 'isPacked'>>;

/** In a call of its own: the engine keeps what stands in one that has not ended. */
async function heapBytesOnce(world: World, name: string, setup: HeapSetup): Promise<number> {
  const before = await world.heapBytes();
  const queue = openQueue({ storage: world.storage(name), transport: null, ...setup });
  await queue.ready;
  const after = await world.heapBytes();
  await queue.close();
  return after - before;
}

/** A page of payloads that were read just before. */
async function readAgainMs(world: World, name: string, setup: Pick<Reader, 'keys' | 'cacheBytes'>): Promise<number> {
  const queue = openQueue({ storage: world.storage(name), transport: null, ...setup });
  await queue.ready;
  const { mutations } = await queue.listMutations({ limit: READ_COUNT });
  const ids = mutations.map(({ id }) => id);
  await queue.readPending(ids);
  const ms = await timed(world, async () => {
    for (let round = 0; round < READ_ROUNDS; round += 1) await queue.readPending(ids);
  });
  await queue.close();
  return ms / READ_ROUNDS;
}

/** From `createQueue` until the first batch is handed to the transport. */
async function firstSendMs(world: World, name: string, keys: OpenKeys | undefined): Promise<number> {
  const startedAtMs = world.nowMs();
  let queue: BenchQueue | null = null;
  const sentAtMs = await new Promise<number>((resolve) => {
    queue = openQueue({
      storage: world.storage(name),
      keys,
      transport: {
        send: (_request, { signal }) => {
          resolve(world.nowMs());
          return new Promise((answer) => {
            const error = { category: 'NETWORK_ERROR', code: 'UNREACHABLE', message: 'ended' } as const;
            signal.addEventListener('abort', () => answer({ kind: 'calledOff', error }));
          });
        },
      },
    });
  });
  await (queue as BenchQueue | null)?.close();
  return sentAtMs - startedAtMs;
}

/** What Holdfast stores for a mutation, header and payload, as the raw store gets it. */
async function storedTexts(world: World): Promise<readonly string[]> {
  const values = new Map<string, string>();
  const openBelow = world.storage('texts');
  const queue = openQueue({
    transport: null,
    storage: async (name) => {
      const storage = await openBelow(name);
      return {
        durability: storage.durability,
        commit: (batch) => {
          for (const change of batch.changes)
            if (change.kind === 'put' && /^[pb]\//.test(change.key)) values.set(change.key, change.value);
          return storage.commit(batch);
        },
        read: (keys) => storage.read(keys),
        scan: (query) => storage.scan(query),
        estimate: () => storage.estimate(),
        close: () => storage.close(),
      };
    },
  });
  for (let index = 0; index < 100; index += 1) await add(queue, index);
  await queue.close();
  return [...values].flatMap(([key, value]) =>
    key.startsWith('p/') ? [`${value}${values.get(key.replace('p/', 'b/')) ?? ''}`] : [],
  );
}
