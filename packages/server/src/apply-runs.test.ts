import { randomUUID } from 'node:crypto';
import type { EntityRef, WireMutation, WireOutcome } from 'holdfast/protocol';
import { beforeAll, expect, test } from 'vitest';
import { describeOnEachDatabase } from './testing-databases/test-databases.ts';
import { change, createDevice, type TestDevice } from './testing-databases/test-device.ts';

const COUNT = 12;

/** A hybrid time just ahead of the server's clock, and within what is believed. */
function soon(laterMs = 0): string {
  return `${(Date.now() + 5_000 + laterMs).toString(16).padStart(12, '0')}-0000-device`;
}

describeOnEachDatabase((world) => {
  beforeAll(() =>
    world.database.transaction((session) =>
      session.runScript(`
        create table public.statements (operation text, row_count integer);
        create function public.count_changes() returns trigger language plpgsql security definer set search_path = '' as $$
        begin
            insert into public.statements select tg_op, count(*) from changed;
            return null;
        end $$;
        -- named like those of Holdfast: one of an app's own that runs after the statement makes mutations go alone
        create trigger holdfast_count_updates after update on public.notes referencing old table as changed
            for each statement execute function public.count_changes();
        create trigger holdfast_count_deletes after delete on public.notes referencing old table as changed
            for each statement execute function public.count_changes();

        create table public.heard (id text, told text);
        create table public.talkers (
            id uuid primary key, workspace_id text not null, word text, heard_before text
        );
        create function public.note_before() returns trigger language plpgsql set search_path = '' as $$
        begin
            new.heard_before := current_setting('holdfast.mutation_id', true);
            return new;
        end $$;
        create trigger note_before before insert or update on public.talkers
            for each row execute function public.note_before();
        create function public.note_after() returns trigger language plpgsql security definer set search_path = '' as $$
        begin
            insert into public.heard values (old.id, current_setting('holdfast.mutation_id', true));
            return null;
        end $$;
        alter table public.talkers enable row level security;
        create policy by_workspace on public.talkers to authenticated
            using (workspace_id = (select holdfast.workspace()));
        grant select, insert, update, delete on public.talkers to authenticated;
        select holdfast.register_table('public.talkers', array['word']);`),
    ),
  );

  test.each([
    ['without a base', () => ({})],
    ['on their base', () => ({ base: { rowVersion: 1 } })],
    ['with a time', () => ({ hlc: soon() })],
    ['with both', () => ({ base: { rowVersion: 1 }, hlc: '000000000001-0000-device' })],
    ['as patches', () => ({ base: { rowVersion: 1 }, encoding: 'mergePatch' as const })],
    [
      'as patches with a time',
      () => ({ base: { rowVersion: 1 }, encoding: 'mergePatch' as const, hlc: '000000000001-0000-device' }),
    ],
  ])(
    'P1 · edits %s that come together are one statement, and each keeps its result, version and audit row',
    async (_, guardOf) => {
      const device = createDevice(world.database);
      const notes = await createNotes(device);
      const guard: Partial<WireMutation> = guardOf();
      const edits = notes.map((entity, index) =>
        device.next({ ...change('update', entity, { title: `edited ${index}` }), ...guard }),
      );

      const outcomes = await device.send(edits);

      expect(outcomes).toMatchObject(
        edits.map(({ id, seq }, index) => ({
          ...{ id, seq, kind: 'applied', rowVersion: 2 },
          result: { id: notes[index]?.id, title: `edited ${index}`, body: 'b', version: 2 },
        })),
      );
      expect(await takeStatements()).toEqual([{ operation: 'UPDATE', row_count: COUNT }]);
      expect(await auditOf(device, 'update')).toEqual(
        edits.map(({ id }, index) => ({ mutation_id: id, entity_id: notes[index]?.id, changed: 'edited' })),
      );
      if (guard.hlc !== undefined) {
        const stamps = await world.database.query<{ same: boolean }>(
          'select bool_and(changed_at >= $2) as same from public.notes where workspace_id = $1',
          [device.workspaceId, guard.hlc],
        );
        expect(stamps).toEqual([{ same: true }]);
      }
      expect(await device.sendForKinds(edits)).toEqual(edits.map(() => 'duplicate applied'));
    },
  );

  test('C1 · each edit of a run has its own time', async () => {
    const device = createDevice(world.database);
    const notes = await createNotes(device);
    const times = notes.map((_, index) => soon(index));
    await device.send(
      notes.map((entity, index) =>
        device.next({ ...change('update', entity, { title: 't' }), hlc: times[index] ?? '' }),
      ),
    );
    expect(await takeStatements()).toHaveLength(1);
    for (const [index, { id }] of notes.entries()) {
      expect(await world.database.query('select changed_at from public.notes where id = $1', [id])).toEqual([
        { changed_at: times[index] },
      ]);
    }
  });

  test('P1 · deletions that come together are one statement, and each keeps its audit row', async () => {
    const device = createDevice(world.database);
    const notes = [...(await createNotes(device))].reverse();
    const deletions = notes.map((entity) => device.next(change('delete', entity)));

    expect(await device.send(deletions)).toEqual(
      deletions.map(({ id, seq }) => ({ id, seq, kind: 'applied', result: null })),
    );

    expect(await takeStatements()).toEqual([{ operation: 'DELETE', row_count: COUNT }]);
    expect((await auditOf(device, 'delete')).map(({ mutation_id }) => mutation_id)).toEqual(
      deletions.map(({ id }) => id),
    );
  });

  test('P1 · a row that is named twice is changed twice, in order', async () => {
    const device = createDevice(world.database);
    const [first, second] = await createNotes(device);
    const edit = (entity: EntityRef | undefined, title: string): WireMutation =>
      device.next(change('update', entity ?? null, { title }));
    const outcomes = await device.send([
      ...[edit(first, 'a'), edit(second, 'b'), edit(first, 'c'), edit(second, 'd'), edit(first, 'e')],
      device.next(change('delete', second ?? null)),
      device.next(change('create', second ?? null, { title: 'anew' })),
    ]);
    expect(outcomes.map((outcome) => outcome.kind === 'applied' && [outcome.rowVersion, outcome.result])).toMatchObject(
      [
        ...[
          [2, { title: 'a' }],
          [2, { title: 'b' }],
          [3, { title: 'c' }],
          [3, { title: 'd' }],
          [4, { title: 'e' }],
        ],
        [undefined, null],
        [1, { title: 'anew' }],
      ],
    );
    await takeStatements();
  });

  test('C2 · one edit among many that was made on an older version is the only one in conflict', async () => {
    const device = createDevice(world.database);
    const notes = await createNotes(device);
    await world.database.query(`update public.notes set body = 'theirs' where id = $1`, [notes[3]?.id]);
    const edits = notes.map((entity) =>
      device.next({ ...change('update', entity, { title: 'mine' }), base: { rowVersion: 1 } }),
    );
    expect(await device.sendForKinds(edits)).toEqual(edits.map((_, index) => (index === 3 ? 'conflict' : 'applied')));
    await takeStatements();
  });

  test('C3 · patches that merge into a value go alone, and those around them together', async () => {
    const device = createDevice(world.database);
    const notes = await createNotes(device);
    const ids = notes.map(({ id }) => id);
    await world.database.query(`update public.notes set meta = '{"kept": 1, "gone": 2}' where id = any ($1)`, [ids]);
    await takeStatements();
    const patches = notes.map((entity, index) =>
      device.next({
        ...change('update', entity, { meta: index === 5 ? { gone: null, added: [3] } : [index], body: null }),
        ...{ base: { rowVersion: 2 }, encoding: 'mergePatch' as const },
      }),
    );
    expect(await device.send(patches)).toMatchObject(
      patches.map((_, index) => ({
        kind: 'applied',
        result: { title: 'a', body: null, meta: index === 5 ? { kept: 1, added: [3] } : [index], version: 3 },
      })),
    );
    expect(await takeStatements()).toEqual([5, 1, 6].map((count) => ({ operation: 'UPDATE', row_count: count })));
    await expect(
      device.sendForKinds(
        notes.map((entity) =>
          device.next({
            ...change('update', entity, { id: entity.id, body: 'b' }),
            ...{ base: { rowVersion: 3 }, encoding: 'mergePatch' as const },
          }),
        ),
      ),
    ).resolves.toEqual(notes.map(() => 'rejected UNKNOWN_COLUMN'));
    await takeStatements();
  });

  test('P1 · a row that is not there is an error of its own edit', async () => {
    const device = createDevice(world.database);
    const notes = await createNotes(device);
    const edits = notes.map((entity, index) =>
      device.next(change('update', index === 5 ? { ...entity, id: randomUUID() } : entity, { title: 'x' })),
    );
    expect(await device.sendForKinds(edits)).toEqual(
      edits.map((_, index) => (index === 5 ? 'rejected ROW_NOT_FOUND' : 'applied')),
    );
    await takeStatements();
  });

  test('P1 · what was applied in a run is known alone, and amid others, and the other way round', async () => {
    const device = createDevice(world.database);
    const creations = Array.from({ length: 4 }, (_, index) =>
      device.next(change('create', { table: 'notes', id: randomUUID() }, { title: `note ${index}` })),
    );
    const edits = creations.map(({ entity }, index) =>
      device.next({
        ...change('update', entity as EntityRef, { title: `edit ${index}` }),
        ...{ base: { rowVersion: 1 }, encoding: 'mergePatch' as const },
      }),
    );
    const first = await device.send(creations);
    const alone = [await device.send(edits.slice(0, 1)), await device.send(edits.slice(1))].flat();
    await takeStatements();

    const resultsOf = (outcomes: readonly WireOutcome[]) =>
      outcomes.map((outcome) => ({ kind: outcome.kind, result: 'result' in outcome ? outcome.result : null }));
    const repeated = resultsOf([...first, ...alone]).map(({ result }) => ({ kind: 'duplicate', result }));
    expect(resultsOf(await device.send([...creations, ...edits]))).toEqual(repeated);
    expect(resultsOf([await device.send(creations), await device.send(edits)].flat())).toEqual(repeated);
    const one = [...creations, ...edits].map((mutation) => device.send([mutation]));
    expect(resultsOf((await Promise.all(one)).flat())).toEqual(repeated);
    // an id that comes again with another payload is another mutation, in a run too
    const altered = creations.map((mutation) => ({ ...mutation, payload: { title: 'other' } }));
    expect(await device.sendForKinds(altered)).toEqual(altered.map(() => 'rejected ID_REUSED'));
    expect(await takeStatements()).toEqual([]);
  });

  test.each([
    ['a base that is a list', { base: [{ rowVersion: 1 }] }],
    ['a base that says nothing', { base: {} }],
    ['a number as its id', { id: 7 }],
    ['no number', { seq: undefined }],
    ['a payload that is a list', { payload: ['title'] }],
  ])('P9 · among edits that are alike, one with %s has the batch refused', async (_, oddity) => {
    const device = createDevice(world.database);
    const notes = await createNotes(device);
    const edits = notes.map((entity) =>
      device.next({ ...change('update', entity, { title: 'x' }), ...{ base: { rowVersion: 1 } } }),
    );
    for (const all of [false, true]) {
      const batch = edits.map((edit, index) => (all || index === 5 ? { ...edit, ...oddity } : edit));
      await expect(device.send(batch as unknown as typeof edits)).rejects.toMatchObject({ code: 'HF020' });
    }
    expect(await takeStatements()).toEqual([]);
  });

  test.each([
    ['json', 'json'],
    ['a list of json', 'json[]'],
    ['a type of the app that is json', 'public.odd_json'],
  ])('P1 · what a column of %s holds and no answer can is told of, and the others stand', async (_, type) => {
    const table = `odd_${randomUUID().slice(0, 8)}`;
    // a number that only text can hold: made by the app, since no payload brings it
    const value = `'${type === 'json[]' ? '{1e1000000}' : '1e1000000'}'::${type}`;
    await world.database.transaction((session) =>
      session.runScript(`
        do $each$ begin
            if to_regtype('public.odd_json') is null then create domain public.odd_json as json; end if;
        end $each$;
        create table public.${table} (id uuid primary key, workspace_id text not null, word text, odd ${type});
        create function public.${table}_odd() returns trigger language plpgsql set search_path = '' as $$
        begin
            if new.word = 'odd' then new.odd := ${value}; end if;
            return new;
        end $$;
        create trigger make_odd before insert on public.${table} for each row execute function public.${table}_odd();
        alter table public.${table} enable row level security;
        create policy by_workspace on public.${table} to authenticated
            using (workspace_id = (select holdfast.workspace()));
        grant select, insert, update, delete on public.${table} to authenticated;
        select holdfast.register_table('public.${table}', array['word'], audit => false);`),
    );
    const device = createDevice(world.database);
    const creations = ['a', 'odd', 'b'].map((word) =>
      device.next(change('create', { table, id: randomUUID() }, { word })),
    );

    expect((await device.send(creations)).map(({ kind }) => kind)).toEqual(['applied', 'rejected', 'applied']);
    expect((await device.send(creations)).map(({ kind }) => kind)).toEqual(['duplicate', 'duplicate', 'duplicate']);
  });

  test('P4 · rows of another workspace are not changed in a run either', async () => {
    const device = createDevice(world.database);
    const stranger = createDevice(world.database);
    const notes = await createNotes(device);
    for (const operation of ['update', 'delete'] as const) {
      const attempts = notes.map((entity) =>
        stranger.next(change(operation, entity, operation === 'update' ? { title: 'x' } : {})),
      );
      expect(new Set(await stranger.sendForKinds(attempts))).toEqual(new Set(['rejected ROW_NOT_FOUND']));
    }
    await takeStatements();
  });

  test('P1 · a trigger that runs before each row finds the mutation that it belongs to', async () => {
    const device = createDevice(world.database);
    const rows = Array.from({ length: 5 }, () => ({ table: 'talkers', id: randomUUID() }));
    for (const operation of ['create', 'update'] as const) {
      const mutations = rows.map((entity) => device.next(change(operation, entity, { word: operation })));
      const outcomes = await device.send(mutations);
      expect(outcomes).toMatchObject(mutations.map(({ id }) => ({ kind: 'applied', result: { heard_before: id } })));
    }
  });

  test('P1 · a trigger that runs after an edit or a deletion finds its mutation, so these go alone', async () => {
    const device = createDevice(world.database);
    const rows = Array.from({ length: 5 }, () => ({ table: 'talkers', id: randomUUID() }));
    await device.send(rows.map((entity) => device.next(change('create', entity, { word: 'a' }))));
    await world.database.query(`create trigger note_after after update or delete on public.talkers
      for each row execute function public.note_after()`);
    for (const operation of ['update', 'delete'] as const) {
      const mutations = rows.map((entity) =>
        device.next(change(operation, entity, operation === 'update' ? { word: 'b' } : {})),
      );
      expect(await device.sendForKinds(mutations)).toEqual(mutations.map(() => 'applied'));
      expect(await world.database.query('select id, told from public.heard')).toEqual(
        mutations.map(({ id, entity }) => ({ id: entity?.id, told: id })),
      );
      await world.database.query('delete from public.heard');
    }
    await world.database.query('drop trigger note_after on public.talkers');
  });

  test('P12 · ledger rows are written once: acknowledging them changes none', async () => {
    const device = createDevice(world.database);
    const rows = () =>
      world.database.query('select seq, ctid::text as at, xmin::text as by from holdfast.ledger where client_id = $1', [
        device.clientId,
      ]);
    await device.send([device.next(), device.next()]);
    const before = await rows();
    await device.send([], 2);
    expect(await rows()).toEqual(before);
  });

  async function createNotes(device: TestDevice): Promise<readonly EntityRef[]> {
    const notes = Array.from({ length: COUNT }, () => ({ table: 'notes', id: randomUUID() }));
    await device.send(notes.map((entity) => device.next(change('create', entity, { title: 'a', body: 'b' }))));
    return notes;
  }

  async function takeStatements(): Promise<readonly unknown[]> {
    return world.database.query('delete from public.statements returning operation, row_count');
  }

  async function auditOf(device: TestDevice, action: string) {
    return world.database.query<{ mutation_id: string; entity_id: string; changed: string | null }>(
      `select mutation_id, entity_id, left(new_values ->> 'title', 6) as changed from holdfast.audit_log
       where workspace_id = $1 and action = $2 order by id`,
      [device.workspaceId, action],
    );
  }
});
