import * as v from 'valibot';
import { describe, expectTypeOf, test } from 'vitest';
import { createQueue } from '../queue/create-queue.ts';
import type { MutationHandle } from '../queue/mutation-handle.ts';
import type { MutationQueue } from '../queue/mutation-queue.ts';
import type { QueueOptions } from '../queue/options.ts';
import { defineMutation } from './definition.ts';

interface State {
  readonly names: Record<string, string>;
}

const rename = defineMutation({
  type: 'account.rename',
  payload: v.object({ id: v.string(), name: v.string() }),
  operation: 'update',
  entity: ({ id }) => ({ table: 'accounts', id }),
  lane: ({ id }) => id,
  retry: { maxRetries: 2, jitter: 'none' },
  optimistic: (draft: State, { id, name }) => {
    draft.names[id] = name;
  },
});
const count = defineMutation({
  type: 'account.count',
  payload: v.object({ amount: v.optional(v.number(), 1) }),
  operation: 'custom',
});
const options = {} as Omit<QueueOptions<readonly []>, 'mutations'>;
const queue = createQueue({ ...options, mutations: [rename, count] });

describe('definitions', () => {
  test('Q2 · what a definition says is known without a type argument', () => {
    expectTypeOf(rename.type).toEqualTypeOf<'account.rename'>();
    expectTypeOf(queue).toEqualTypeOf<MutationQueue<readonly [typeof rename, typeof count]>>();
  });

  test('Q2 · its functions get the payload as the schema returns it', () => {
    defineMutation({
      type: 'a',
      payload: v.pipe(
        v.object({ at: v.string() }),
        v.transform(({ at }) => ({ atMs: Number(at) })),
      ),
      operation: 'update',
      entity: (payload) => {
        expectTypeOf(payload).toEqualTypeOf<{ atMs: number }>();
        return { table: 'a', id: 'b' };
      },
    });
  });

  test('Q11 · duplicates and merges are spoken of in the type of the payload', () => {
    defineMutation({
      type: 'a',
      payload: v.object({ id: v.string(), atMs: v.number() }),
      operation: 'update',
      dedupe: { key: ({ id }) => id, near: [{ value: ({ atMs }) => atMs, tolerance: 1 }] },
      coalesce: (older, newer) => {
        expectTypeOf(older).toEqualTypeOf<{ id: string; atMs: number }>();
        return { ...older, atMs: newer.atMs };
      },
    });
    defineMutation({
      type: 'a',
      payload: v.object({ id: v.string() }),
      operation: 'update',
      // @ts-expect-error a merge that is no payload
      coalesce: (older) => older.id,
      // @ts-expect-error a key that is no text
      dedupe: () => 5,
    });
  });

  test('Q2 · what is wrong in a definition does not compile', () => {
    const payload = v.object({ id: v.number() });
    // @ts-expect-error an operation that there is not
    defineMutation({ type: 'a', payload, operation: 'upsert' });
    // @ts-expect-error no payload schema
    defineMutation({ type: 'a', operation: 'custom' });
    // @ts-expect-error a payload that is no object
    defineMutation({ type: 'a', payload: v.string(), operation: 'custom' });
    // @ts-expect-error the id of an entity is a text
    defineMutation({ type: 'a', payload, operation: 'update', entity: ({ id }) => ({ table: 'a', id }) });
    // @ts-expect-error a field that the payload does not have
    defineMutation({ type: 'a', payload, operation: 'update', lane: (each) => `${each.name}` });
    // @ts-expect-error an option that there is not
    defineMutation({ type: 'a', payload, operation: 'custom', retry: { attempts: 5 } });
  });
});

describe('queue.add', () => {
  test('Q2 · takes each declared type with its own payload', () => {
    expectTypeOf(
      queue.add({ type: 'account.rename', payload: { id: 'a', name: 'b' } }),
    ).resolves.toEqualTypeOf<MutationHandle>();
    // what the schema fills in may be left out
    void queue.add({ type: 'account.count', payload: {} });
  });

  test('R8 · members of an atomic mutation are checked like any other', () => {
    void queue.addAtomic([
      { type: 'account.rename', payload: { id: 'a', name: 'b' } },
      { type: 'account.count', payload: {} },
    ]);
    // @ts-expect-error a field of another type
    void queue.addAtomic([{ type: 'account.rename', payload: { id: 'a', name: 5 } }]);
    // @ts-expect-error options are those of the whole
    void queue.addAtomic([{ type: 'account.count', payload: {}, delayMs: 5 }]);
  });

  test('Q2 · where undeclared types are allowed, any JSON object will do', () => {
    const open = createQueue({ ...options, mutations: [rename], undeclared: 'allow' });
    void open.add({ type: 'account.rename', payload: { id: 'a', name: 'b' } });
    void open.add({ type: 'something.else', payload: { anything: [1, 'two', null] } });
    // @ts-expect-error no JSON
    void open.add({ type: 'something.else', payload: { at: new Date() } });
    // @ts-expect-error no object
    void open.add({ type: 'something.else', payload: 'text' });
  });

  test('Q2 · a wrong type or payload does not compile', () => {
    // @ts-expect-error a type that is not declared
    void queue.add({ type: 'account.burn', payload: {} });
    // @ts-expect-error a missing field
    void queue.add({ type: 'account.rename', payload: { id: 'a' } });
    // @ts-expect-error a field of another type
    void queue.add({ type: 'account.rename', payload: { id: 'a', name: 5 } });
    // @ts-expect-error a field that there is not
    void queue.add({ type: 'account.rename', payload: { id: 'a', name: 'b', nickname: 'c' } });
    // @ts-expect-error the payload of another type
    void queue.add({ type: 'account.rename', payload: { amount: 1 } });
    // @ts-expect-error no payload
    void queue.add({ type: 'account.count' });
    // @ts-expect-error no type
    void queue.add({ payload: { amount: 1 } });
  });

  test('Q16 · events carry what their name says', () => {
    queue.on('settled', (settled) => {
      if (settled.status === 'failed') expectTypeOf(settled.error.code).toEqualTypeOf<string>();
      // @ts-expect-error only a failure has an error
      if (settled.status === 'completed') void settled.error;
    });
    // @ts-expect-error an event that there is not
    queue.on('exploded', () => {});
  });
});
