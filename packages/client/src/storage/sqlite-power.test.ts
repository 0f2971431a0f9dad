import { expect, test } from 'vitest';
import type { Change, Storage } from '../ports/storage.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { type SqliteDriver, sqliteStorage } from './sqlite-storage.ts';
import { SectorDisk } from './testing-sectors/sector-disk.ts';
import { sqliteOnSectors } from './testing-sectors/sqlite-on-sectors.ts';

const SEEDS = 15;
const LIVES = 4;
const COMMITS = 12;

/** Each has its way to a commit: a journal beside the database, or a log that is exclusive, since these files share no memory. */
const JOURNALS = [
  { journal: 'a rollback journal', pragmas: [] },
  { journal: 'a write-ahead log', pragmas: ['pragma locking_mode = exclusive'] },
] as const;

test.each(JOURNALS)(
  'S12 · SQLite on a disk that loses its power, with what was not flushed lost, torn or out of order, holds all that was confirmed ($journal)',
  async ({ pragmas }) => {
    let lossCount = 0;
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const { wrong, lossesInCommits } = await live(seed, pragmas, (driver) => driver);
      expect(wrong, `seed ${seed}`).toEqual([]);
      lossCount += lossesInCommits;
    }
    expect(lossCount).toBeGreaterThan(SEEDS);
  },
);

test.each(JOURNALS)(
  'S12 · control: asked to flush its files and not the folder that they are in, it loses what was confirmed ($journal)',
  async ({ pragmas }) => {
    const asFull = (driver: SqliteDriver): SqliteDriver => ({
      ...driver,
      query: (sql, parameters) => driver.query(sql.replace('synchronous = extra', 'synchronous = full'), parameters),
    });
    const all: string[] = [];
    for (let seed = 1; seed <= SEEDS; seed += 1) all.push(...(await live(seed, pragmas, asFull)).wrong);
    expect(all).not.toEqual([]);
  },
);

/** Some lives of one disk, each ended by a loss of power. What is wrong after them, and how often a commit was under way. */
async function live(
  seed: number,
  pragmas: readonly string[],
  altered: (driver: SqliteDriver) => SqliteDriver,
): Promise<{ readonly wrong: readonly string[]; readonly lossesInCommits: number }> {
  const random = seededRandom(seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  const disk = new SectorDisk();
  const open = await sqliteOnSectors(disk);
  const wrong: string[] = [];
  let lossesInCommits = 0;
  let confirmed: ReadonlyMap<string, string> = new Map();
  for (let life = 1; life <= LIVES && wrong.length === 0; life += 1) {
    const storage = await sqliteStorage({ open: () => altered(open(pragmas)) })('records');
    let underWay = confirmed;
    disk.losePowerAfter(1 + below(150));
    try {
      for (let index = 0; index < COMMITS; index += 1) {
        const changes = Array.from({ length: 1 + below(8) }, (): Change => {
          const key = `k/${below(20)}`;
          if (random() < 0.3) return { kind: 'delete', key };
          return { kind: 'put', key, value: `${life}.${index} `.repeat(1 + below(random() < 0.1 ? 2_000 : 60)) };
        });
        underWay = after(confirmed, changes);
        await storage.commit({ expect: [], changes });
        confirmed = underWay;
      }
    } catch {
      lossesInCommits += 1;
    }
    disk.losePowerAfter(0);
    await storage.close().catch(() => {});
    disk.restart(random);

    const again = open(pragmas);
    const [{ integrity_check: integrity = null } = {}] = await again.query('pragma integrity_check', []);
    if (integrity !== 'ok') wrong.push(`life ${life}: ${String(integrity)}`);
    const stored = await sqliteStorage({ open: () => altered(again) })('records');
    const found = await outlineOf(stored);
    // What was under way counts whole or not at all.
    if (found === outline(underWay)) confirmed = underWay;
    if (found !== outline(confirmed)) wrong.push(`life ${life}: ${found} instead of ${outline(confirmed)}`);
    await stored.close();
  }
  return { wrong, lossesInCommits };
}

function after(records: ReadonlyMap<string, string>, changes: readonly Change[]): ReadonlyMap<string, string> {
  const next = new Map(records);
  for (const change of changes) {
    if (change.kind === 'put') next.set(change.key, change.value);
    else next.delete(change.key);
  }
  return next;
}

async function outlineOf(storage: Storage): Promise<string> {
  const entries = await storage.scan({ prefix: '', limit: 1_000 });
  return outline(new Map(entries.map(({ key, value }) => [key, value])));
}

/** Each value by how it begins and its length. */
function outline(records: ReadonlyMap<string, string>): string {
  const lines = [...records].map(([key, value]) => `${key}: ${value.slice(0, 5)}… ${value.length}`);
  return lines.sort().join(', ');
}
