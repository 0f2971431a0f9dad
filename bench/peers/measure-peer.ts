import type { RawStore } from '../storage/measure-store.ts';
import { beside, type Measurement, quantile } from '../measurement.ts';
import { contact } from '../storage/work.ts';
import type { Change, Library, Peer } from './library.ts';

export interface PeerWorld {
  readonly openRaw: (name: string) => Promise<RawStore>;
  readonly nowMs: () => number;
  readonly heapBytes: () => Promise<number>;
  readonly usedBytes: () => Promise<number>;
  readonly report: (measurement: Measurement) => void;
  /** A library that did not come to an end in time: no line, but a word. */
  readonly stopped: (what: string) => void;
}

/** As Holdfast is measured. */
const GROUP_COUNT = 500;
const TURN_COUNT = 25;
const TURNS_MAX = 24;
const BATCH_COUNT = 100;
/** Longest for one measurement, in milliseconds: some grow with the square of the queue. */
const LIMIT_MS = 30_000;
const RAW = 'raw/indexeddb';

/** What a library takes for the work that `measureStore` gives to Holdfast, beside raw IndexedDB in the same run. */
export async function measurePeer(library: Library, n: number, world: PeerWorld): Promise<void> {
  const show = (measure: string, unit: string, raw: number, value: number): void => {
    for (const line of beside({ measure, n, unit }, { subject: RAW, value: raw }, [{ subject: library.name, value }]))
      if (line.subject !== RAW) world.report(line);
  };
  const text = (index: number): string => JSON.stringify(changeOf(index));
  const raw = await world.openRaw('raw');
  let peer = await library.open('peer');

  const rawBytesBefore = await world.usedBytes();
  const rawTogether = await timed(world, n, GROUP_COUNT, (first, count) =>
    raw.add(Array.from({ length: count }, (_, index) => text(first + index))),
  );
  const bytesBefore = await world.usedBytes();
  const together = await timed(world, n, GROUP_COUNT, (first, count) =>
    peer.addAll(Array.from({ length: count }, (_, index) => changeOf(first + index))),
  );
  if (together.count < n) {
    world.stopped(`${library.name} held ${together.count} of ${n} after ${LIMIT_MS / 1_000} s`);
    return;
  }
  show('add-together', 'ms', rawTogether.ms / n, together.ms / n);
  const bytes = (await world.usedBytes()) - bytesBefore;
  show('bytes', 'bytes', (bytesBefore - rawBytesBefore) / n, bytes / n);

  const turnCount = Math.min(TURNS_MAX, Math.max(4, Math.floor(n / TURN_COUNT / 4)));
  const [rawMs, ownMs]: [number[], number[]] = [[], []];
  let addedCount = 0;
  const untilMs = world.nowMs() + LIMIT_MS;
  for (let turn = 0; turn < turnCount && world.nowMs() < untilMs; turn += 1) {
    const from = n + addedCount;
    for (let index = 0; index < TURN_COUNT; index += 1) {
      rawMs.push((await timed(world, 1, 1, () => raw.add([text(from + index)]))).ms);
    }
    for (let index = 0; index < TURN_COUNT; index += 1)
      ownMs.push((await timed(world, 1, 1, () => peer.add(changeOf(from + index)))).ms);
    addedCount += TURN_COUNT;
  }
  show('add-sequential', 'ms', quantile(rawMs, 0.5), quantile(ownMs, 0.5));
  show('add-sequential-p95', 'ms', quantile(rawMs, 0.95), quantile(ownMs, 0.95));
  await peer.close();
  await raw.close();

  let again = raw;
  const rawFirst = await timed(world, 1, 1, async () => {
    again = await world.openRaw('raw');
    await again.readFirst(1_000);
  });
  const heapBefore = await world.heapBytes();
  const first = await timed(world, 1, 1, async () => {
    peer = await library.open('peer');
    await peer.first();
  });
  show('open-first', 'ms', rawFirst.ms, first.ms);
  const value = ((await world.heapBytes()) - heapBefore) / n;
  world.report({ measure: 'heap', n, subject: library.name, value, unit: 'bytes', ratioToRaw: null });

  const total = n + addedCount;
  const rawDrain = await timed(world, total, BATCH_COUNT, async () => {
    await again.readFirst(BATCH_COUNT);
    await again.removeFirst(BATCH_COUNT);
  });
  await again.close();
  const drained = await drain(peer, total, world);
  if (drained === null) world.stopped(`${library.name} did not drain ${total} within ${(2 * LIMIT_MS) / 1_000} s`);
  else show('drain', 'ms', rawDrain.ms / total, drained / total);
}

/** In pieces where the library can, so that it can be stopped; null when it took too long. */
async function drain(peer: Peer, total: number, world: PeerWorld): Promise<number | null> {
  const startedAtMs = world.nowMs();
  const late = Symbol('late');
  const tooLate = new Promise<typeof late>((resolve) => setTimeout(() => resolve(late), 2 * LIMIT_MS));
  for (let left = total; left > 0; ) {
    const sent = await Promise.race([peer.drain(left), tooLate]);
    if (sent === late) return null;
    if (sent === 0) throw new Error(`It sent ${total - left} of ${total}, and says that nothing is left.`);
    left -= sent;
  }
  return world.nowMs() - startedAtMs;
}

function changeOf(index: number): Change {
  const payload = contact(index);
  return { id: payload.id, type: 'contact.save', payload };
}

/** Groups of work until all is done or the time is over; how far it came. */
async function timed(
  world: PeerWorld,
  total: number,
  groupCount: number,
  work: (first: number, count: number) => Promise<void>,
): Promise<{ readonly ms: number; readonly count: number }> {
  const startedAtMs = world.nowMs();
  let done = 0;
  while (done < total && world.nowMs() - startedAtMs < LIMIT_MS) {
    const count = Math.min(groupCount, total - done);
    await work(done, count);
    done += count;
  }
  return { ms: world.nowMs() - startedAtMs, count: done };
}
