import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import type { OpenStorage } from '../ports/storage.ts';
import { journaledStorage } from '../storage/journal/journaled-storage.ts';
import { memoryStorage } from '../storage/memory-storage.ts';
import { nodeSqliteDriver } from '../storage/sqlite-drivers.ts';
import { sqliteStorage } from '../storage/sqlite-storage.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { BODY, PENDING } from './store/record-keys.ts';
import { note, TestDevice, type TestQueue } from './testing-queue/test-device.ts';

/** What passes between two layers. */
class Meter {
  calls = 0;
  characters = 0;

  take(texts: readonly (string | null | undefined)[]): void {
    this.calls += 1;
    for (const text of texts) this.characters += text?.length ?? 0;
  }

  reset(): void {
    this.calls = 0;
    this.characters = 0;
  }
}

/** The same stores, with what passes through their ports counted. */
function metered(open: OpenStorage, meter: Meter): OpenStorage {
  return async (name) => {
    const storage = await open(name);
    return {
      durability: storage.durability,
      commit: (batch) => {
        meter.take(batch.changes.map((change) => (change.kind === 'put' ? change.value : null)));
        return storage.commit(batch);
      },
      read: async (keys) => {
        const values = await storage.read(keys);
        meter.take(values);
        return values;
      },
      scan: async (query) => {
        const entries = await storage.scan(query);
        meter.take(entries.map(({ value }) => value));
        return entries;
      },
      estimate: () => storage.estimate(),
      close: () => storage.close(),
    };
  };
}

/** Each store, and what passes between it and what is beneath it. */
const STORES: readonly (readonly [string, (beneath: Meter) => OpenStorage])[] = [
  ['memory', (beneath) => metered(memoryStorage(), beneath)],
  [
    'SQLite',
    (beneath) =>
      sqliteStorage({
        open: () => {
          const driver = nodeSqliteDriver(new DatabaseSync(':memory:'));
          return {
            query: (sql, parameters) => {
              const rows = driver.query(sql, parameters) as readonly Readonly<Record<string, unknown>>[];
              beneath.take([...parameters.map(String), ...rows.flatMap((row) => Object.values(row).map(String))]);
              return rows;
            },
            close: () => driver.close(),
          };
        },
      }),
  ],
  [
    'a plain key-value store with a journal',
    (beneath) => {
      const values = new Map<string, string>();
      return journaledStorage({
        durability: 'relaxed',
        open: () => ({
          getMany: async (keys) => {
            const found = keys.map((key) => values.get(key) ?? null);
            beneath.take(found);
            return found;
          },
          setMany: async (entries) => {
            beneath.take(entries.map(([, value]) => value));
            for (const [key, value] of entries) values.set(key, value);
          },
          removeMany: async (keys) => {
            beneath.take([]);
            for (const key of keys) values.delete(key);
          },
          keys: async () => [...values.keys()],
        }),
      });
    },
  ],
];

/** Adds so many, each in a lane of its own. */
async function add(queue: TestQueue, from: number, count: number): Promise<void> {
  for (let index = from; index < from + count; index += 1) await queue.add(note(String(index).padStart(6, '0')));
}

describe.each(STORES)('on %s', (_, openOn) => {
  test('S3 · what add asks of the store, and the store of what is beneath it, does not grow with the queue', async () => {
    const device = new TestDevice();
    const [above, beneath] = [new Meter(), new Meter()];
    const queue = await device.open({
      storage: metered(openOn(beneath), above),
      queueCapCount: Number.POSITIVE_INFINITY,
    });
    await device.goOffline();
    /** Of 260 calls: four times as many as stand in a journal before they are carried to their places. */
    const costOfAdding = async (from: number): Promise<readonly number[]> => {
      above.reset();
      beneath.reset();
      await add(queue, from, 260);
      return [above.calls, above.characters, beneath.calls, beneath.characters];
    };
    await add(queue, 0, 260);

    const first = await costOfAdding(260);
    await Promise.all(Array.from({ length: 10_000 }, (__, index) => queue.add(note(`more ${index}`))));
    // What the burst has left to be carried is carried.
    await add(queue, 600, 260);
    const later = await costOfAdding(1_000);

    // Numbers get longer, and what is carried falls on either side of a call or two.
    for (const [index, cost] of later.entries()) expect(cost).toBeLessThan((first[index] ?? 0) * 1.05);
    await queue.close();
  });

  test('S3 · opening reads the headers, and no payload', async () => {
    const device = new TestDevice();
    const meter = new Meter();
    const open = openOn(new Meter());
    const keep = await open('holdfast/notes/home/ann');
    const storage = metered(async () => ({ ...bound(keep), close: async () => {} }), meter);
    await device.goOffline();
    const before = await device.open({ storage });
    const random = seededRandom(1);
    const text = (): string => Array.from({ length: 2_000 }, () => random().toString(36).at(-1)).join('');
    await Promise.all(Array.from({ length: 200 }, (__, index) => before.add(note(`n${index}`, text()))));
    await before.close();
    const sizeOf = async (prefix: string): Promise<number> =>
      (await keep.scan({ prefix, limit: 1_000 })).reduce((sum, { value }) => sum + value.length, 0);
    const [headers, bodies] = [await sizeOf(PENDING), await sizeOf(BODY)];
    meter.reset();

    const queue = await device.open({ storage });

    expect(queue.getSnapshot()).toMatchObject({ isReady: true, pendingCount: 200 });
    expect(bodies).toBeGreaterThan(3 * headers);
    // Two looks: as a tab, and as the one that delivers.
    expect(meter.characters).toBeGreaterThan(headers);
    expect(meter.characters).toBeLessThan(2 * headers + 2_000);
    await queue.close();
  });
});

function bound(storage: Awaited<ReturnType<OpenStorage>>): Awaited<ReturnType<OpenStorage>> {
  return {
    durability: storage.durability,
    commit: (batch) => storage.commit(batch),
    read: (keys) => storage.read(keys),
    scan: (query) => storage.scan(query),
    estimate: () => storage.estimate(),
    close: () => storage.close(),
  };
}
