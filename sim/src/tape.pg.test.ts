import { type Database, withCaller } from '@holdfast/server';
import type { ApplyResponse, JsonObject, WireOutcome } from 'holdfast/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Effect, ItemRow } from './server-model.ts';
import type { TapeEntry } from './sim-server.ts';
import { simulate } from './simulate.ts';
import { recordHostileTape } from './test/hostile-tape.ts';
import { openTapePglite, openTapePostgres, type TapeDatabase } from './test/tape-databases.ts';

/** Chosen for nothing; each brings about a hundred calls. */
const SEEDS = Array.from({ length: 22 }, (_, index) => 9_200 + index);

const PARTS = [1, 2, 3, 4, 5, 6] as const;

interface Tape {
  readonly entries: readonly TapeEntry[];
  readonly rows: ReadonlyMap<string, ItemRow>;
  readonly effects: readonly Effect[];
}

let tapes: readonly Tape[] = [];

/** And what no queue of ours would send. */
const HOSTILE_SEEDS = Array.from({ length: 12 }, (_, index) => 1 + index);

beforeAll(async () => {
  const recorded: Tape[] = HOSTILE_SEEDS.map((seed) => {
    const { entries, model } = recordHostileTape(seed, 60);
    return { entries, rows: model.rows, effects: model.effects };
  });
  for (const seed of SEEDS) {
    const { tape, rows, effects } = await simulate(seed);
    recorded.push({ entries: tape, rows, effects });
  }
  tapes = recorded;
});

describe.each([
  { name: 'PGlite', open: openTapePglite },
  { name: 'Postgres', open: openTapePostgres },
])('on $name', ({ open }) => {
  let opened: TapeDatabase;

  beforeAll(async () => {
    opened = await open();
  });
  afterAll(() => opened.close());

  const counts: Record<string, number> = {};

  // In parts, since a busy machine takes minutes for all of them.
  test.each(PARTS)(
    'P1 · what arrived in simulations, and what nobody should send, gets the same verdicts from the database as from the model: part %i',
    async (part) => {
      for (const { entries } of tapes.filter((_, index) => index % PARTS.length === part - 1)) {
        for (const entry of entries) {
          const outcomes = await replay(opened.database, entry);
          expect(outcomes.map(inShort), JSON.stringify(entry.request)).toEqual(entry.outcomes.map(inShort));
          for (const outcome of outcomes) counts[outcome.kind] = (counts[outcome.kind] ?? 0) + 1;
        }
      }
    },
    120_000,
  );

  test('P1 · every kind of outcome has been compared', () => {
    for (const kind of ['applied', 'duplicate', 'rejected', 'refused', 'deferred', 'conflict']) {
      expect(counts[kind] ?? 0, kind).toBeGreaterThan(20);
    }
  });

  test('P1 · after the same calls, database and model hold the same rows, made by the same mutations', async () => {
    for (const { rows, effects } of tapes) {
      const ids = [...new Set(effects.map(({ entityId }) => entityId))];
      const stored = await opened.database.query<{ id: string; entries: readonly string[] }>(
        'select id::text, entries, alpha, beta, gamma, version from public.sim_items where id = any($1::uuid[]) order by id',
        [ids],
      );
      const modelled = [...rows]
        .map(([id, { entries, fields, version }]) => ({ id, entries, ...fields, version }))
        .sort((left, right) => (left.id < right.id ? -1 : 1));
      expect(stored).toEqual(modelled);
      const audited = await opened.database.query<{ mutation_id: string }>(
        'select mutation_id::text from holdfast.audit_log where entity_id = any($1::text[]) order by id',
        [ids],
      );
      expect(audited.map(({ mutation_id }) => mutation_id)).toEqual(effects.map(({ mutationId }) => mutationId));
    }
  });
});

/** In which moods a database refuses now; a change between two calls is rare. */
const failingMoods = new WeakMap<Database, string>();

async function replay(database: Database, entry: TapeEntry): Promise<readonly WireOutcome[]> {
  const { sub, workspaceId } = entry.caller;
  const moods = entry.failingMoods.join();
  if (failingMoods.get(database) !== moods) {
    await database.query(
      `with gone as (delete from public.sim_failing_moods where mood <> all ($1::text[]))
       insert into public.sim_failing_moods select unnest($1::text[]) on conflict do nothing`,
      [entry.failingMoods],
    );
    failingMoods.set(database, moods);
  }
  const claims = { sub, role: 'authenticated', workspace_id: workspaceId } as const;
  const rows = await withCaller(database, claims, (session) =>
    session.query<{ answer: ApplyResponse }>('select holdfast.apply($1::jsonb) as answer', [
      JSON.stringify(entry.request),
    ]),
  );
  return rows[0]?.answer.outcomes ?? [];
}

/** All that must be equal: the verdict, and what the row held right after it. */
function inShort(outcome: WireOutcome): string {
  const { seq, id, kind } = outcome;
  const verdict = outcome.kind === 'duplicate' ? outcome.verdict : '';
  const code = 'error' in outcome ? `${outcome.error.category} ${outcome.error.code}` : '';
  const told = outcome.kind === 'conflict' ? outcome.current : 'result' in outcome ? outcome.result : null;
  const row = typeof told === 'object' ? (told as JsonObject | null) : null;
  const version = 'rowVersion' in outcome ? (outcome.rowVersion ?? null) : null;
  const base = outcome.kind === 'conflict' ? outcome.baseRowVersion : null;
  return `${seq} ${id} ${kind} ${verdict} ${code} ${base} ${version} ${valuesOf(row)}`;
}

/** What the model has of a row. */
function valuesOf(row: JsonObject | null): string {
  return JSON.stringify(row && ['entries', 'alpha', 'beta', 'gamma', 'version'].map((field) => row[field] ?? null));
}
