import { randomUUID } from 'node:crypto';
import type { JsonObject, WireMutation, WireOutcome } from 'holdfast/protocol';
import { expect, test } from 'vitest';
import { describeOnEachDatabase } from './testing-databases/test-databases.ts';
import { change, createDevice, type TestDevice } from './testing-databases/test-device.ts';

const YEAR_MS = 31_557_600_000;

describeOnEachDatabase((world) => {
  test('C2 · an edit of the row as it is takes effect and counts it up; one of an older version is a conflict', async () => {
    const device = createDevice(world.database);
    const entity = { table: 'notes', id: randomUUID() };
    const made = await device.send([device.next(change('create', entity, { title: 'one', body: 'b' }))]);
    expect(made).toMatchObject([{ kind: 'applied', rowVersion: 1, result: { version: 1 } }]);

    const first = edit(device, entity, { title: 'two' }, 1);
    const late = edit(device, entity, { body: 'late' }, 1);
    const outcomes = await device.send([first, late]);
    expect(outcomes).toMatchObject([
      { seq: first.seq, id: first.id, kind: 'applied', rowVersion: 2, result: { title: 'two' } },
      {
        seq: late.seq,
        id: late.id,
        kind: 'conflict',
        baseRowVersion: 1,
        rowVersion: 2,
        current: { id: entity.id, title: 'two', body: 'b', version: 2 },
        error: {
          category: 'CONFLICT',
          code: 'ROW_CHANGED',
          message: 'It was changed by someone else since this edit was made.',
          hint: 'Decide which of the two versions is to stand, or merge them.',
        },
      },
    ]);
  });

  test('C2 · a conflict leaves no trace: no ledger row, no audit row, no change, and the next of its lane waits', async () => {
    const device = createDevice(world.database);
    const entity = await note(device, { title: 'one' });
    const late = device.next({ ...change('update', entity, { title: 'late' }), base: { rowVersion: 7 } });
    const behind = device.next({ ...change('update', entity, { title: 'behind' }), after: late.seq });
    const other = device.next();
    expect(await device.sendForKinds([late, behind, other])).toEqual(['conflict', 'deferred', 'applied']);
    expect(await rowsOf(`select 1 from holdfast.ledger where mutation_id = '${late.id}'`)).toEqual([]);
    expect(await rowsOf(`select 1 from holdfast.audit_log where mutation_id = '${late.id}'`)).toEqual([]);
    expect(await read(entity.id)).toMatchObject({ title: 'one', version: 1 });
  });

  test('C2 · a conflict beside a failure: the failure costs the others nothing, and each gets its own verdict', async () => {
    const device = createDevice(world.database);
    const entity = await note(device, { title: 'one' });
    expect(
      await device.sendForKinds([
        device.next({ ...change('update', entity, { title: 'late' }), base: { rowVersion: 9 } }),
        device.next({ payload: { name: 'x', nonsense: 1 } }),
        device.next({ ...change('update', entity, { title: 'two' }), base: { rowVersion: 1 } }),
        device.next({ ...change('delete', entity), base: { rowVersion: 1 } }),
      ]),
    ).toEqual(['conflict', 'rejected UNKNOWN_COLUMN', 'applied', 'conflict']);
  });

  test('C2 · more conflicts than a call has blocks are all told in that call', async () => {
    const device = createDevice(world.database);
    const entity = await note(device, { title: 'one' });
    const late = Array.from({ length: 90 }, () =>
      device.next({ ...change('update', entity, { title: 'late' }), base: { rowVersion: 9 } }),
    );
    expect(new Set(await device.sendForKinds(late))).toEqual(new Set(['conflict']));
  });

  test('C2 · without a base an edit stands whatever became of the row', async () => {
    const device = createDevice(world.database);
    const entity = await note(device, { title: 'one' });
    expect(await device.sendForKinds([device.next(change('update', entity, { title: 'two' }))])).toEqual(['applied']);
  });

  test('C2 · what a script or another app changes counts too', async () => {
    const device = createDevice(world.database);
    const entity = await note(device, { title: 'one' });
    await world.database.query(`update public.notes set title = 'by a script', version = 99 where id = '${entity.id}'`);
    expect(await device.send([edit(device, entity, { title: 'mine' }, 1)])).toMatchObject([
      { kind: 'conflict', rowVersion: 2, current: { title: 'by a script' } },
    ]);
  });

  test('C2 · a row that was deleted is a conflict with nothing; so is one of another workspace', async () => {
    const device = createDevice(world.database);
    const theirs = createDevice(world.database);
    const entity = await note(device, { title: 'one' });
    await device.send([device.next(change('delete', entity))]);
    const foreign = await note(theirs, { title: 'secret' });
    const outcomes = await device.send([
      edit(device, entity, { title: 'mine' }, 1),
      device.next({ ...change('delete', entity), base: { rowVersion: 1 } }),
      edit(device, foreign, { title: 'mine' }, 2),
    ]);
    expect(outcomes).toMatchObject([
      {
        kind: 'conflict',
        current: null,
        rowVersion: null,
        error: { message: 'It was deleted since this edit was made.' },
      },
      { kind: 'conflict', current: null },
      { kind: 'conflict', current: null },
    ]);
  });

  test('C2 · a row that its policies show and do not let change is refused, not a conflict for ever', async () => {
    const device = createDevice(world.database);
    const entity = await note(device, { title: 'locked' });
    await world.database.query(
      `create policy locked_notes on public.notes as restrictive for update to authenticated using (title <> 'locked')`,
    );
    expect(
      await device.sendForKinds([edit(device, entity, { title: 'x' }, 1), edit(device, entity, { title: 'x' }, 5)]),
    ).toEqual(['rejected ROW_NOT_FOUND', 'conflict']);
    await world.database.query('drop policy locked_notes on public.notes');
  });

  test('C2 · a base on a table that does not count its changes is refused rather than ignored', async () => {
    const device = createDevice(world.database);
    const entity = { table: 'accounts', id: randomUUID() };
    await device.send([device.next(change('create', entity, { name: 'Oslo' }))]);
    expect(await device.sendForKinds([edit(device, entity, { name: 'x' }, 1)])).toEqual(['rejected NO_HANDLER']);
  });

  test('C2 · told again, an effect has the version that it gave its row', async () => {
    const device = createDevice(world.database);
    const entity = await note(device, { title: 'one' });
    const first = edit(device, entity, { title: 'two' }, 1);
    await device.send([first, edit(device, entity, { title: 'three' }, 2)]);
    expect(await device.send([first])).toMatchObject([{ kind: 'duplicate', verdict: 'applied', rowVersion: 2 }]);
    const gone = device.next(change('delete', entity));
    const [applied] = await device.send([gone]);
    expect(applied).toEqual({ seq: gone.seq, id: gone.id, kind: 'applied', result: null });
  });

  test('C2 · made anew after a conflict it takes effect once, and a late copy of its first form is told so', async () => {
    const device = createDevice(world.database);
    const entity = await note(device, { title: 'one' });
    const form = edit(device, entity, { title: 'mine' }, 7);
    const anew: WireMutation = { ...form, payload: { title: 'merged' }, base: { rowVersion: 1 }, rebases: 1 };

    expect(await device.sendForKinds([form])).toEqual(['conflict']);
    expect(await device.sendForKinds([anew])).toEqual(['applied']);
    expect(await device.send([form])).toMatchObject([
      { kind: 'duplicate', verdict: 'applied', result: { title: 'merged' }, rowVersion: 2 },
    ]);
    expect(await device.sendForKinds([anew])).toEqual(['duplicate applied']);
    // neither a later form of what took effect, nor another payload of the same form, is the same mutation
    expect(await device.sendForKinds([{ ...anew, payload: { title: 'else' }, rebases: 2 }])).toEqual([
      'rejected ID_REUSED',
    ]);
    expect(await device.sendForKinds([{ ...anew, payload: { title: 'else' } }])).toEqual(['rejected ID_REUSED']);
    expect(await read(entity.id)).toMatchObject({ title: 'merged', version: 2 });
  });

  test('C2 · one that was refused for good, retried and then made anew after a conflict, takes effect', async () => {
    const device = createDevice(world.database);
    const entity = await note(device, { title: 'one' });
    const form = edit(device, entity, { nonsense: 1 }, 1);
    expect(await device.sendForKinds([form])).toEqual(['rejected UNKNOWN_COLUMN']);
    const { seq } = device.next();
    const anew = { ...form, seq, generation: 1, payload: { title: 'two' } };
    expect(await device.sendForKinds([anew])).toEqual(['rejected ID_REUSED']);
    const { seq: nextSeq } = device.next();
    expect(await device.sendForKinds([{ ...anew, seq: nextSeq, rebases: 1 }])).toEqual(['applied']);
  });

  test('C1 · the later of two edits made apart wins, whichever arrives first', async () => {
    const now = Date.now();
    for (const order of ['earlier first', 'later first']) {
      const device = createDevice(world.database);
      const entity = await note(device, { title: 'one' }, time(now - 20_000));
      const earlier = timed(device, entity, { title: 'earlier' }, now - 10_000);
      const later = timed(device, entity, { title: 'later' }, now - 5_000);
      const kinds = await device.sendForKinds(order === 'earlier first' ? [earlier, later] : [later, earlier]);
      expect(kinds).toEqual(order === 'earlier first' ? ['applied', 'applied'] : ['applied', 'conflict']);
      expect(await read(entity.id)).toMatchObject({ title: 'later', changed_at: later.hlc });
    }
  });

  test('C1 · a clock that runs years ahead does not win for years', async () => {
    const device = createDevice(world.database);
    const entity = await note(device, { title: 'one' });
    const ahead = timed(device, entity, { title: 'ahead' }, Date.now() + 10 * YEAR_MS);
    expect(await device.sendForKinds([ahead])).toEqual(['applied']);
    const { changed_at: stamp } = await read(entity.id);
    expect(Number.parseInt(String(stamp).slice(0, 12), 16)).toBeLessThan(Date.now() + 120_000);
  });

  test('C1 · an edit of the very row is later than it, however slow the clock of its device; time never runs back', async () => {
    const device = createDevice(world.database);
    const entity = await note(device, { title: 'one' });
    const slow = { ...timed(device, entity, { title: 'slow' }, 1_000), base: { rowVersion: 1 } };
    const before = await read(entity.id);
    expect(await device.sendForKinds([slow])).toEqual(['applied']);
    const after = await read(entity.id);
    expect(after['title']).toBe('slow');
    expect(String(after['changed_at']) >= String(before['changed_at'])).toBe(true);
  });

  test('C1 · what a script changes has the time of the server', async () => {
    const device = createDevice(world.database);
    const entity = await note(device, { title: 'one' }, time(1_000));
    await world.database.query(`update public.notes set title = 'script' where id = '${entity.id}'`);
    expect(
      await device.sendForKinds([timed(device, entity, { title: 'an hour ago' }, Date.now() - 3_600_000)]),
    ).toEqual(['conflict']);
  });

  test('C1 · a time on a table without a clock is refused rather than ignored', async () => {
    const device = createDevice(world.database);
    const entity = { table: 'plans', id: randomUUID() };
    await device.send([device.next(change('create', entity, { title: 'Oslo' }))]);
    expect(await device.sendForKinds([timed(device, entity, { title: 'x' }, Date.now())])).toEqual([
      'rejected NO_HANDLER',
    ]);
  });

  test('C2 · two devices that tell the same event make one row, and both are told which', async () => {
    const first = createDevice(world.database);
    const second = createDevice(world.database, { workspaceId: first.workspaceId });
    const event = { line_id: 'l1', started_at: '2026-01-01T10:00:00Z', number: '+47 1' };
    const own = { table: 'calls', id: randomUUID() };
    const again = { table: 'calls', id: randomUUID() };

    await first.send([first.next(change('create', own, { ...event, remark: 'first' }))]);
    const repeat = second.next(change('create', again, { ...event, remark: 'second' }));
    const outcomes = await second.send([
      repeat,
      second.next(change('create', { ...again, id: randomUUID() }, { ...event, number: '+47 2' })),
    ]);

    expect(outcomes).toMatchObject([
      { kind: 'applied', result: { id: own.id, remark: 'first' } },
      { kind: 'applied', result: { number: '+47 2' } },
    ]);
    expect(await second.send([repeat])).toMatchObject([
      { kind: 'duplicate', verdict: 'applied', result: { id: own.id } },
    ]);
    expect(await rowsOf(`select 1 from public.calls where workspace_id = '${first.workspaceId}'`)).toHaveLength(2);
    expect(await rowsOf(`select 1 from holdfast.audit_log where mutation_id = '${repeat.id}'`)).toEqual([]);
  });

  test('C2 · the same event in another workspace is another event; an id that is taken is not the same event', async () => {
    const mine = createDevice(world.database);
    const theirs = createDevice(world.database);
    const event = { line_id: 'l1', started_at: '2026-01-01T10:00:00Z', number: '+47 1' };
    const entity = { table: 'calls', id: randomUUID() };
    await mine.send([mine.next(change('create', entity, event))]);
    expect(await theirs.sendForKinds([theirs.next(change('create', { ...entity, id: randomUUID() }, event))])).toEqual([
      'applied',
    ]);
    expect(await mine.sendForKinds([mine.next(change('create', entity, { ...event, number: 'x' }))])).toEqual([
      'rejected ROW_EXISTS',
    ]);
  });

  test.each<[string, WireMutation['encoding'], JsonObject, JsonObject]>([
    [
      'a merge patch',
      'mergePatch',
      { title: 'new', meta: { a: null, c: { d: 2 } } },
      { title: 'new', body: 'b', meta: { b: [1], c: { d: 2 } } },
    ],
    [
      'a merge patch that takes a field out',
      'mergePatch',
      { body: null },
      { title: 't', body: null, meta: { a: 1, b: [1] } },
    ],
    [
      'a JSON Patch',
      'jsonPatch',
      {
        patch: [
          { op: 'test', path: '/meta/a', value: 1 },
          { op: 'add', path: '/meta/b/-', value: 2 },
          { op: 'add', path: '/meta/b/0', value: 0 },
          { op: 'move', from: '/meta/a', path: '/meta/c~1d' },
          { op: 'copy', from: '/title', path: '/body' },
          { op: 'replace', path: '/title', value: 'new' },
        ],
      },
      { title: 'new', body: 't', meta: { b: [0, 1, 2], 'c/d': 1 } },
    ],
  ])('C3 · %s changes the fields that it speaks of', async (_, encoding, payload, expected) => {
    const device = createDevice(world.database);
    const entity = await note(device, { title: 't', body: 'b', meta: { a: 1, b: [1] } });
    const patch = device.next({ ...change('update', entity, payload), base: { rowVersion: 1 }, encoding });
    expect(await device.send([patch])).toMatchObject([{ kind: 'applied', rowVersion: 2, result: expected }]);
    expect(await device.sendForKinds([patch])).toEqual(['duplicate applied']);
    expect(
      await device.sendForKinds([
        device.next({ ...change('update', entity, payload), base: { rowVersion: 1 }, encoding }),
      ]),
    ).toEqual(['conflict']);
  });

  test.each<[string, JsonObject, string]>([
    ['a test that fails', { patch: [{ op: 'test', path: '/title', value: 'else' }] }, 'INVALID_PATCH'],
    ['a place that is not there', { patch: [{ op: 'replace', path: '/meta/x/y', value: 1 }] }, 'INVALID_PATCH'],
    ['an index beyond the end', { patch: [{ op: 'add', path: '/meta/b/9', value: 1 }] }, 'INVALID_PATCH'],
    ['an index with a leading zero', { patch: [{ op: 'remove', path: '/meta/b/00' }] }, 'INVALID_PATCH'],
    ['a negative index', { patch: [{ op: 'remove', path: '/meta/b/-1' }] }, 'INVALID_PATCH'],
    ['a move into itself', { patch: [{ op: 'move', from: '/meta', path: '/meta/m' }] }, 'INVALID_PATCH'],
    ['an unknown operation', { patch: [{ op: 'spam', path: '/title' }] }, 'INVALID_PATCH'],
    [
      'a field that may not be set',
      { patch: [{ op: 'replace', path: '/workspace_id', value: 'x' }] },
      'UNKNOWN_COLUMN',
    ],
    [
      'a field that may not be read',
      { patch: [{ op: 'copy', from: '/workspace_id', path: '/title' }] },
      'UNKNOWN_COLUMN',
    ],
    ['the whole row', { patch: [{ op: 'replace', path: '', value: {} }] }, 'UNKNOWN_COLUMN'],
    ['the version', { patch: [{ op: 'add', path: '/version', value: 1 }] }, 'UNKNOWN_COLUMN'],
    ['no list', { patch: 'x' }, '22023'],
  ])('C3 · a JSON Patch of %s is rejected, and changes nothing', async (_, payload, code) => {
    const device = createDevice(world.database);
    const entity = await note(device, { title: 't', meta: { b: [1] } });
    const patch = device.next({ ...change('update', entity, payload), base: { rowVersion: 1 }, encoding: 'jsonPatch' });
    expect(await device.sendForKinds([patch])).toEqual([`rejected ${code}`]);
    expect(await read(entity.id)).toMatchObject({ title: 't', meta: { b: [1] }, version: 1 });
  });

  test.each<[string, Partial<Record<keyof WireMutation, unknown>>]>([
    ['a base without a version', { base: {} }],
    ['a base with half a version', { base: { rowVersion: 1.5 } }],
    ['a time that is none', { hlc: 'yesterday' }],
    ['an unknown encoding', { encoding: 'diff', base: { rowVersion: 1 } }],
    ['a patch without a base', { encoding: 'mergePatch' }],
    ['rebases below zero', { rebases: -1 }],
  ])('C2 · %s is no batch', async (_, over) => {
    const device = createDevice(world.database);
    const mutation = {
      ...device.next(change('update', { table: 'notes', id: randomUUID() }, { title: 'x' })),
      ...over,
    };
    await expect(device.send([mutation])).rejects.toThrow('Mutation 1 has');
  });

  test.each([
    ['a version column that is not there', `version_column => 'nonsense'`, 'has no column nonsense of type integer'],
    ['a version column of another type', `version_column => 'title'`, 'has no column title of type integer'],
    ['a clock without a version', `clock_column => 'changed_at'`, 'The clock of'],
    [
      'a version that payloads may set',
      `version_column => 'version', columns => array['title', 'version']`,
      'counts its changes by itself',
    ],
    [
      'an event key without a unique constraint',
      `event_key => array['title']`,
      'Nothing keeps the key of an event unique',
    ],
  ])('C2 · %s cannot be registered', async (_, options, message) => {
    const columns = options.includes('columns') ? '' : `columns => array['title'], `;
    await expect(
      world.database.query(`select holdfast.register_table(target => 'public.notes', ${columns}${options})`),
    ).rejects.toThrow(message);
  });

  async function note(device: TestDevice, payload: JsonObject, hlc?: string): Promise<{ table: string; id: string }> {
    const entity = { table: 'notes', id: randomUUID() };
    const outcomes = await device.send([
      device.next({ ...change('create', entity, payload), ...(hlc === undefined ? {} : { hlc }) }),
    ]);
    expect(outcomes.map(({ kind }: WireOutcome) => kind)).toEqual(['applied']);
    return entity;
  }

  function rowsOf(sql: string): Promise<readonly unknown[]> {
    return world.database.query(sql);
  }

  async function read(id: string): Promise<Record<string, unknown>> {
    const [row] = await world.database.query<Record<string, unknown>>(
      'select title, body, meta, version::int, changed_at from public.notes where id = $1',
      [id],
    );
    if (row === undefined) throw new Error('no such note');
    return row;
  }
});

function edit(
  device: TestDevice,
  entity: { table: string; id: string },
  payload: JsonObject,
  rowVersion: number,
): WireMutation {
  return device.next({ ...change('update', entity, payload), base: { rowVersion } });
}

function timed(device: TestDevice, entity: { table: string; id: string }, payload: JsonObject, atMs: number) {
  return device.next({ ...change('update', entity, payload), hlc: time(atMs) });
}

function time(atMs: number): string {
  return `${atMs.toString(16).padStart(12, '0')}-0000-01920000-0000-7000-8000-000000000001`;
}
