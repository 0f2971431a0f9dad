import { type Database, migrate, openPglite, withCaller } from '@holdfast/server';
import {
  type ApplyRequest,
  type ApplyResponse,
  type Json,
  type JsonObject,
  PROTOCOL_VERSION,
  type WireMutation,
  type WireOutcome,
} from 'holdfast/protocol';
import { ServerSimulator } from 'holdfast/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Dice } from './dice.ts';

const TABLES = `
  create table public.notes (
      id           text    primary key,
      workspace_id text    not null,
      title        text    not null unique,
      stars        integer default 3
  );
  create function public.judge_note() returns trigger language plpgsql security definer set search_path = '' as $$
  begin
      if new.stars > 5 then raise exception 'Too many stars.'; end if;
      return new;
  end $$;
  create trigger judge_note after insert or update on public.notes for each row execute function public.judge_note();
  alter table public.notes enable row level security;
  create policy by_workspace on public.notes to authenticated
      using (workspace_id = (select holdfast.workspace())) with check (workspace_id = (select holdfast.workspace()));
  grant select, insert, update, delete on public.notes to authenticated;
  select holdfast.register_table('public.notes', array['title', 'stars']);
`;

const newSimulator = (): ServerSimulator =>
  new ServerSimulator({
    tables: {
      notes: {
        columns: ['title', 'stars'],
        required: ['title'],
        unique: ['title'],
        defaults: { stars: 3 },
        check: ({ stars }) => (Number(stars) > 5 ? 'Too many stars.' : null),
      },
    },
  });

let database: Database;
/** How often each verdict was compared. */
const counts: Record<string, number> = {};

beforeAll(async () => {
  database = await openPglite();
  await migrate(database);
  await database.transaction((session) => session.runScript(TABLES));
});
afterAll(() => database.close());

test.each([1, 2, 3, 4, 5, 6])(
  'K1 · the simulated server gives the verdicts and rows that Postgres gives, seed %i',
  async (seed) => {
    const dice = new Dice(seed);
    const simulator = newSimulator();
    await database.query('delete from public.notes', []);
    const logins = ['ann', 'bob'].map((userId, index) => ({ userId, workspaceId: `${seed}-${userId}`, index }));
    const seqs = [0, 0];
    const sent: WireMutation[][] = [[], []];

    for (let call = 0; call < 40; call += 1) {
      const login = dice.pick(logins);
      const mutations = Array.from({ length: dice.pick([1, 1, 2, 4]) }, (): WireMutation => {
        const seq = (seqs[login.index] ?? 0) + 1;
        seqs[login.index] = seq;
        const earlier = sent[login.index] ?? [];
        const mutation =
          earlier.length > 0 && dice.chance(0.25)
            ? againInAnotherForm(dice, dice.pick(earlier), seq)
            : aMutation(dice, uuid(seed, login.index + 1, seq), seq);
        earlier.push(mutation);
        return mutation;
      });
      const client = { id: uuid(seed, 9, login.index), workspaceId: login.workspaceId };
      const request: ApplyRequest = { protocol: PROTOCOL_VERSION, client, acknowledgedFloor: 0, mutations };

      const modelled = await askSimulator(simulator, login, request);
      const real = await askDatabase(login, request);

      expect(modelled.map(inShort), JSON.stringify(mutations)).toEqual(real.map(inShort));
      for (const outcome of real) {
        const code = 'error' in outcome ? outcome.error.code : outcome.kind;
        counts[code] = (counts[code] ?? 0) + 1;
      }
    }

    const stored = await database.query<{ id: string; title: string; stars: number | null }>(
      'select id, title, stars from public.notes order by id',
      [],
    );
    expect(simulator.rows('notes').toSorted((left, right) => (left.id < right.id ? -1 : 1))).toEqual(stored);
  },
);

test('K1 · what that comparison is worth: every verdict was among them, many times', () => {
  const codes = [
    'applied',
    'ROW_EXISTS',
    'ROW_NOT_FOUND',
    'UNKNOWN_COLUMN',
    '23502',
    '23505',
    'P0001',
    'NO_HANDLER',
    'ID_REUSED',
    'OUTDATED',
  ];
  for (const code of codes) expect(counts[code] ?? 0, code).toBeGreaterThan(5);
});

function aMutation(dice: Dice, id: string, seq: number): WireMutation {
  const base = { id, seq, after: null, generation: 0, version: 1, createdAt: '2026-01-01T00:00:00.000Z' };
  const one = { ...base, ...aMember(dice) };
  if (!dice.chance(0.15)) return one;
  const members = Array.from({ length: dice.pick([1, 2, 3]) }, () => ({ version: 1, ...aMember(dice) }));
  return {
    ...base,
    type: 'holdfast.atomic',
    operation: 'custom',
    entity: null,
    payload: { members: members as unknown as Json },
  };
}

/** One that came before, as an app sends it that has been updated meanwhile; or as none does. */
function againInAnotherForm(dice: Dice, earlier: WireMutation, nextSeq: number): WireMutation {
  const { version, operation, entity, payload } = earlier;
  const seq = dice.chance(0.5) ? earlier.seq : nextSeq;
  const generation = earlier.generation + (dice.chance(0.5) ? 1 : 0);
  const original = earlier.original ?? { version, operation, entity, payload };
  const again = { ...earlier, seq, generation };
  if (dice.chance(0.3)) return { ...again, outdated: true };
  const migrated = { ...again, ...aMember(dice), type: earlier.type, version: version + 1 };
  if (earlier.type === 'holdfast.atomic') return { ...again, original };
  return dice.chance(0.8) ? { ...migrated, original } : migrated;
}

function aMember(dice: Dice): Pick<WireMutation, 'type' | 'operation' | 'entity' | 'payload'> {
  const operation = dice.pick([
    'create',
    'create',
    'create',
    'update',
    'update',
    'delete',
    'restore',
    'custom',
  ] as const);
  const table = dice.chance(0.95) ? 'notes' : 'nothing';
  const id = dice.pick(['a', 'b', 'c', 'd', 'e', 'f']);
  const payload: Record<string, Json> = {};
  if (operation !== 'delete' && operation !== 'restore') {
    if (dice.chance(0.85))
      payload['title'] = dice.chance(0.9)
        ? dice.pick(['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight'])
        : null;
    if (dice.chance(0.7)) payload['stars'] = dice.pick([0, 5, 6, 7, null]);
    if (dice.chance(0.1)) payload['colour'] = 'red';
    if (dice.chance(0.2)) payload['id'] = dice.chance(0.8) ? id : 'another';
  }
  return { type: `note.${operation}`, operation, entity: { table, id }, payload };
}

interface Login {
  readonly userId: string;
  readonly workspaceId: string;
}

async function askSimulator(
  simulator: ServerSimulator,
  login: Login,
  request: ApplyRequest,
): Promise<readonly WireOutcome[]> {
  const headers = new Headers({ authorization: `Bearer ${simulator.issueToken(login)}` });
  const body = JSON.stringify(request);
  const answer = await simulator.receive({ method: 'POST', url: '/v1/apply', path: '/v1/apply', headers, body });
  return (JSON.parse(answer?.body ?? '') as ApplyResponse).outcomes;
}

async function askDatabase(login: Login, request: ApplyRequest): Promise<readonly WireOutcome[]> {
  const claims = { sub: login.userId, role: 'authenticated', workspace_id: login.workspaceId } as const;
  const rows = await withCaller(database, claims, (session) =>
    session.query<{ answer: ApplyResponse }>('select holdfast.apply($1::jsonb) as answer', [JSON.stringify(request)]),
  );
  return rows[0]?.answer.outcomes ?? [];
}

/** The verdict and its words for programs, and the row without what the model does not have: the workspace, and columns that are null. */
function inShort(outcome: WireOutcome): Json {
  const { seq, kind } = outcome;
  if ('error' in outcome) return [seq, kind, outcome.error.category, outcome.error.code];
  return [seq, kind, 'result' in outcome ? bare(outcome.result) : null];
}

function bare(value: Json): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map(bare);
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value as JsonObject).filter(([key, field]) => key !== 'workspace_id' && field !== null);
  return Object.fromEntries(fields.toSorted(([left], [right]) => (left < right ? -1 : 1)));
}

function uuid(seed: number, kind: number, number: number): string {
  const hex = (value: number, length: number): string => value.toString(16).padStart(length, '0');
  return `${hex(seed, 8)}-${hex(kind, 4)}-7000-8000-${hex(number, 12)}`;
}
