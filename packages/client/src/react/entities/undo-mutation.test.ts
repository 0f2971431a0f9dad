import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { type AnyMutationDefinition, defineMutation } from '../../mutation/definition.ts';
import type { AuditSource } from '../../ports/audit-source.ts';
import type { AuditEntry } from '../../protocol/audit.ts';
import type { JsonObject } from '../../protocol/wire.ts';
import { createTestApp, type TestApp } from '../../testing/test-app.ts';
import type { AnyQueue } from '../queue-context.ts';
import { MergeBook } from './merge-book.ts';
import { undoMutation } from './undo-mutation.ts';

const entity = ({ id }: { readonly id: string }) => ({ table: 'accounts', id });
const fields = v.object({ id: v.string(), name: v.optional(v.string()), beds: v.optional(v.number()) });
const edit = defineMutation({ type: 'edit', operation: 'update', payload: fields, entity });
const merge = defineMutation({ type: 'merge', operation: 'update', payload: fields, entity, conflict: 'merge' });
const nested = defineMutation({
  type: 'nested',
  operation: 'update',
  payload: v.object({ id: v.string(), changes: v.object({ name: v.string() }) }),
  entity,
});
const joined = defineMutation({
  type: 'joined',
  operation: 'update',
  payload: fields,
  entity,
  coalesce: (older, newer) => ({ ...older, ...newer }),
});

/** An app with one account, whose audit log says what the test has it say. */
async function open(update: AnyMutationDefinition, row: JsonObject) {
  const app = await createTestApp({
    mutations: [update] as const,
    tables: { accounts: { columns: ['name', 'beds'], versionColumn: 'version' } },
  });
  app.server.insert('accounts', { id: '1', version: 1, ...row });
  const queue = app.queue as unknown as AnyQueue;
  const log: AuditEntry[] = [];
  const audit: AuditSource = { readPage: async () => ({ entries: [...log].reverse(), nextBefore: null }) };
  const merges = new MergeBook();
  const write = (mutationId: string | null, oldValues: JsonObject, newValues: JsonObject) =>
    log.push({
      id: String(log.length),
      occurredAt: '2026-01-01T00:00:00.000Z',
      actor: 'ada',
      action: 'update',
      entityType: 'accounts',
      entityId: '1',
      oldValues,
      newValues,
      changedFields: Object.keys(newValues).sort(),
      mutationId,
      clientId: null,
      ip: null,
      userAgent: null,
    });
  /** Makes an edit, and returns what undoes it. */
  const change = async (payload: JsonObject, base?: { readonly rowVersion: number; readonly row: JsonObject }) => {
    const { handle, made } = await merges.add(queue, update, () =>
      queue.add({ type: update.type, payload: payload as never, ...(base === undefined ? {} : { base }) }),
    );
    const mutation = { id: handle.id, type: update.type, payload, base, result: () => null, made };
    const undo = () =>
      app.clock.until(
        undoMutation({
          queue,
          definitions: { update },
          audit,
          merges,
          mutation,
          store: async (_type, call) => call(),
        }),
      );
    return { id: handle.id, undo };
  };
  return { app, write, change, row: () => app.server.row('accounts', '1') };
}

const create = defineMutation({ type: 'create', operation: 'create', payload: fields, entity });
const remove = defineMutation({
  type: 'remove',
  operation: 'delete',
  payload: v.object({ id: v.string() }),
  entity,
});

/** An app with an account that it has made itself, and what undoes that. */
async function openCreated({
  update = edit,
  versionColumn,
  beforeSending = () => {},
}: {
  readonly update?: AnyMutationDefinition;
  readonly versionColumn?: string;
  readonly beforeSending?: (app: TestApp<readonly AnyMutationDefinition[]>) => void;
} = {}) {
  const app = await createTestApp<readonly AnyMutationDefinition[]>({
    mutations: [create, update, remove],
    tables: { accounts: { columns: ['name', 'beds'], ...(versionColumn === undefined ? {} : { versionColumn }) } },
  });
  const queue = app.queue as unknown as AnyQueue;
  beforeSending(app);
  const payload = { id: '1', name: 'new' };
  const handle = await app.queue.add({ type: create.type, payload });
  await app.clock.advance(1_000);
  const mutation = { id: handle.id, type: create.type, payload, base: undefined, result: () => null, made: null };
  const definitions = { create, update, delete: remove };
  const store = async <Stored>(_type: string, call: () => Promise<Stored>): Promise<Stored> => call();
  const undo = () =>
    app.clock.until(undoMutation({ queue, definitions, audit: null, merges: new MergeBook(), mutation, store }));
  const waitingFor = () => app.queue.listUnconfirmed(5).map(({ waitingFor: what }) => what);
  return { app, undo, waitingFor, row: () => app.server.row('accounts', '1') };
}

describe('a creation that was sent', () => {
  test('E3, C1 · undone late, it takes nothing away that somebody has changed since, before a person has said so', async () => {
    const { app, undo, waitingFor, row } = await openCreated({ versionColumn: 'version' });
    app.network.setOffline();
    expect(await undo()).toBe('undone');
    app.server.insert('accounts', { id: '1', name: 'theirs', version: 2 });

    app.network.setOnline();
    await app.clock.advance(10_000);

    expect([row()?.['name'], waitingFor()]).toEqual(['theirs', ['conflict']]);
    const [undoing] = app.queue.listUnconfirmed(1);
    await app.queue.resolveConflict(undoing?.id ?? '', 'mine', { actor: 'ada' });
    await app.drain();
    expect(row()).toBeUndefined();
  });

  test.each([edit, merge])(
    'E3, C1 · with edits of this device on top, by $type, it is deleted all the same',
    async (update) => {
      const { app, undo, row } = await openCreated({ update, versionColumn: 'version' });
      await app.queue.add({ type: update.type, payload: { id: '1', name: 'newer' } });
      await app.drain();
      app.network.setOffline();
      await app.queue.add({ type: update.type, payload: { id: '1', name: 'newest' } });

      expect(await undo()).toBe('undone');
      app.network.setOnline();
      await app.drain();

      expect([row(), app.queue.getSnapshot().failedCount]).toEqual([undefined, 0]);
    },
  );

  test('E3, C1 · whose answer was lost, it takes nothing away either, of a kind that is held to versions', async () => {
    const { app, undo, waitingFor, row } = await openCreated({
      update: merge,
      versionColumn: 'version',
      beforeSending: ({ network }) => network.setLoss({ answers: 1 }),
    });
    expect(row()).toMatchObject({ name: 'new', version: 1 });
    app.network.setOffline();
    expect(await undo()).toBe('undone');
    app.server.insert('accounts', { id: '1', name: 'theirs', version: 2 });

    app.network.setLoss({});
    app.network.setOnline();
    await app.clock.advance(600_000);

    expect([row()?.['name'], waitingFor()]).toEqual(['theirs', ['conflict']]);
  });

  test.each([edit, merge])(
    'E3 · of a kind with $type whose answer was lost, it is deleted where nobody has changed it',
    async (update) => {
      const { app, undo, row } = await openCreated({
        update,
        ...(update === merge ? { versionColumn: 'version' } : {}),
        beforeSending: ({ network }) => network.setLoss({ answers: 1 }),
      });
      expect(await undo()).toBe('undone');

      app.network.setLoss({});
      await app.drain();

      expect([row(), app.queue.getSnapshot().failedCount]).toEqual([undefined, 0]);
    },
  );

  test('E3 · of rows that do not count their changes it is deleted', async () => {
    const { app, undo, row } = await openCreated();

    expect(await undo()).toBe('undone');
    await app.drain();

    expect(row()).toBeUndefined();
  });
});

describe('an edit that was confirmed', () => {
  test('E3, C1 · undone late, it overwrites nothing that somebody has changed since, of a type without a base, either', async () => {
    const { app, write, change, row } = await open(edit, { name: 'old' });
    const { id, undo } = await change({ id: '1', name: 'mine' });
    await app.drain();
    write(id, { name: 'old' }, { name: 'mine' });
    app.network.setOffline();
    expect(await undo()).toBe('undone');
    app.server.insert('accounts', { id: '1', name: 'theirs', version: 3 });

    app.network.setOnline();
    await app.clock.advance(10_000);

    expect([row()?.['name'], app.queue.listUnconfirmed(5).map(({ waitingFor }) => waitingFor)]).toEqual([
      'theirs',
      ['conflict'],
    ]);
  });

  test('E3 · is put back in the fields that are as it left them; what was changed again since stays', async () => {
    const { app, write, change, row } = await open(edit, { name: 'old', beds: 1 });
    const { id, undo } = await change({ id: '1', name: 'mine', beds: 2 });
    await app.drain();
    write(id, { name: 'old', beds: 1 }, { name: 'mine', beds: 2 });
    app.server.insert('accounts', { id: '1', name: 'theirs', beds: 2, version: 3 });
    write('theirs', { name: 'mine' }, { name: 'theirs' });

    expect(await undo()).toBe('undone');
    await app.drain();

    expect(row()).toMatchObject({ name: 'theirs', beds: 1 });
  });

  test('E3 · is not put back where all of it was changed again since', async () => {
    const { app, write, change, row } = await open(edit, { name: 'old' });
    const { id, undo } = await change({ id: '1', name: 'mine' });
    await app.drain();
    write(id, { name: 'old' }, { name: 'mine' });
    app.server.insert('accounts', { id: '1', name: 'theirs', version: 3 });
    write('theirs', { name: 'mine' }, { name: 'theirs' });

    expect([await undo(), row()?.['name']]).toEqual(['notPossible', 'theirs']);
  });

  test('E3, C1 · what somebody changes while it is being undone is a conflict, as with any edit on a base', async () => {
    const before = { id: '1', name: 'old', beds: 1, version: 1 };
    const { app, write, change, row } = await open(merge, before);
    const { id, undo } = await change({ id: '1', name: 'mine' }, { rowVersion: 1, row: before });
    await app.drain();
    write(id, { name: 'old', version: 1 }, { name: 'mine', version: 2 });
    // It is not in the page that was read.
    app.server.insert('accounts', { id: '1', name: 'theirs', beds: 1, version: 9 });

    expect(await undo()).toBe('undone');
    await app.settle();
    await app.clock.advance(5_000);

    expect([row()?.['name'], app.queue.listUnconfirmed(5).map(({ waitingFor }) => waitingFor)]).toEqual([
      'theirs',
      ['conflict'],
    ]);
  });

  test('E3, C1 · what somebody changes in other fields meanwhile stands beside what was put back', async () => {
    const before = { id: '1', name: 'old', beds: 1, version: 1 };
    const { app, write, change, row } = await open(merge, before);
    const { id, undo } = await change({ id: '1', name: 'mine' }, { rowVersion: 1, row: before });
    await app.drain();
    write(id, { name: 'old', version: 1 }, { name: 'mine', version: 2 });
    app.server.insert('accounts', { id: '1', name: 'mine', beds: 7, version: 3 });

    expect(await undo()).toBe('undone');
    await app.drain();

    expect(row()).toMatchObject({ name: 'old', beds: 7 });
  });

  test('E3 · of a type that has no words for what was before it stands, and that is said', async () => {
    const { app, write, change, row } = await open(edit, { name: 'x', beds: null });
    const { id, undo } = await change({ id: '1', beds: 3 });
    await app.drain();
    write(id, { beds: null }, { beds: 3 });

    expect([await undo(), row()?.['beds']]).toEqual(['notPossible', 3]);
  });

  test('E3 · of which nothing but the id could be put back is not called undone', async () => {
    const { app, write, change } = await open(nested, { name: 'old' });
    const { id, undo } = await change({ id: '1', changes: { name: 'new' } });
    await app.drain();
    write(id, { id: '1', name: 'old' }, { id: '1', name: 'new' });

    expect([await undo(), app.queue.getSnapshot().pendingCount]).toEqual(['notPossible', 0]);
  });
});

describe('an edit that was merged into a pending one', () => {
  test('E3 · is undone by itself: the one before it goes its way', async () => {
    const { app, change, row } = await open(joined, { name: 'old', beds: 1 });
    app.network.setOffline();
    const first = await change({ id: '1', name: 'mine' });
    const second = await change({ id: '1', name: 'twice', beds: 2 });
    expect(second.id).toBe(first.id);
    // Undoing the first would take back the second as well.
    expect(await first.undo()).toBe('notPossible');

    expect(await second.undo()).toBe('cancelled');
    app.network.setOnline();
    await app.drain();

    expect(row()).toMatchObject({ name: 'mine', beds: 1 });
  });

  test('E3 · and confirmed is undone by itself, to what the one before it had set', async () => {
    const { app, write, change, row } = await open(joined, { name: 'old', beds: 1 });
    app.network.setOffline();
    await change({ id: '1', name: 'mine' });
    const { id, undo } = await change({ id: '1', name: 'twice', beds: 2 });
    app.network.setOnline();
    await app.drain();
    write(id, { name: 'old', beds: 1 }, { name: 'twice', beds: 2 });

    expect(await undo()).toBe('undone');
    await app.drain();

    expect(row()).toMatchObject({ name: 'mine', beds: 1 });
  });

  test('E3 · when it is undone, the one before it can be undone as well', async () => {
    const { app, change, row } = await open(joined, { name: 'old' });
    app.network.setOffline();
    const first = await change({ id: '1', name: 'mine' });
    const second = await change({ id: '1', name: 'twice' });

    expect([await second.undo(), await first.undo()]).toEqual(['cancelled', 'cancelled']);
    app.network.setOnline();
    await app.drain();

    expect(row()).toMatchObject({ name: 'old' });
  });
});
