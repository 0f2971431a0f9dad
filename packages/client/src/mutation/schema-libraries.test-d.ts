import { type } from 'arktype';
import * as v from 'valibot';
import { describe, expectTypeOf, test } from 'vitest';
import { z } from 'zod';
import { createQueue } from '../queue/create-queue.ts';
import type { QueueOptions } from '../queue/options.ts';
import { defineMutation } from './definition.ts';

interface State {
  readonly names: Record<string, string>;
}

const options = {} as Omit<QueueOptions<readonly []>, 'mutations'>;

/** Everything that a definition may say; its payload by each library. */
const byZod = defineMutation({
  type: 'by.zod',
  version: 2,
  payload: z.object({ id: z.string(), name: z.string(), amount: z.number().default(1), pin: z.string() }),
  operation: 'update',
  entity: ({ id }) => ({ table: 'accounts', id }),
  lane: ({ id }) => id,
  priority: 'high',
  dedupe: ({ id, amount }) => `${id} ${amount.toFixed()}`,
  coalesce: (older, newer) => ({ ...older, name: newer.name }),
  retry: { maxRetries: 2, backoffMsBase: 100, jitter: 'none', strategy: 'linear' },
  conflict: ({ mine, theirs }) => (theirs === null ? 'unresolved' : { ...mine, amount: mine.amount + 1 }),
  optimistic: (draft: State, { id, name }) => {
    draft.names[id] = name;
  },
  rollback: (draft: State, { id }) => {
    draft.names[id] = 'not saved';
  },
  migrate: { 1: ({ id, title }: { id: string; title: string }) => ({ id, name: title, amount: 1, pin: '' }) },
  sensitive: ['pin'],
});
const byValibot = defineMutation({
  type: 'by.valibot',
  version: 2,
  payload: v.object({ id: v.string(), name: v.string(), amount: v.optional(v.number(), 1), pin: v.string() }),
  operation: 'update',
  entity: ({ id }) => ({ table: 'accounts', id }),
  lane: ({ id }) => id,
  priority: 'low',
  dedupe: { key: ({ id }) => id, near: [{ value: ({ amount }) => amount, tolerance: 1 }] },
  coalesce: (older, newer) => ({ ...older, name: newer.name }),
  retry: { maxRetries: 2 },
  conflict: 'merge',
  optimistic: (draft: State, { id, name }) => {
    draft.names[id] = name;
  },
  rollback: (draft: State, { id }) => {
    draft.names[id] = 'not saved';
  },
  migrate: { 1: ({ id, title }: { id: string; title: string }) => ({ id, name: title, amount: 1, pin: '' }) },
  sensitive: ['pin'],
});
const byArktype = defineMutation({
  type: 'by.arktype',
  version: 2,
  payload: type({ id: 'string', name: 'string', amount: 'number = 1', pin: 'string' }),
  operation: 'update',
  entity: ({ id }) => ({ table: 'accounts', id }),
  lane: ({ id }) => id,
  priority: 'normal',
  dedupe: false,
  coalesce: (older, newer) => ({ ...older, name: newer.name }),
  retry: { strategy: 'fixed' },
  conflict: 'latest-wins',
  optimistic: (draft: State, { id, name }) => {
    draft.names[id] = name;
  },
  rollback: (draft: State, { id }) => {
    draft.names[id] = 'not saved';
  },
  migrate: { 1: ({ id, title }: { id: string; title: string }) => ({ id, name: title, amount: 1, pin: '' }) },
  sensitive: ['pin'],
});
const queue = createQueue({ ...options, mutations: [byZod, byValibot, byArktype] });

describe('schemas of zod, valibot and arktype', () => {
  test('Q2 · a definition says all that it may say, and add is checked by it, whichever library its schema is of', () => {
    expectTypeOf([byZod.type, byValibot.type, byArktype.type] as const).toEqualTypeOf<
      readonly ['by.zod', 'by.valibot', 'by.arktype']
    >();
    // What the schema fills in may be left out.
    const payload = { id: 'a', name: 'b', pin: '1' };
    void queue.add({ type: 'by.zod', payload });
    void queue.add({ type: 'by.valibot', payload });
    void queue.add({ type: 'by.arktype', payload });
  });

  test('Q2 · a wrong payload does not compile, whichever library its schema is of', () => {
    // @ts-expect-error a missing field
    void queue.add({ type: 'by.zod', payload: { id: 'a', name: 'b' } });
    // @ts-expect-error a missing field
    void queue.add({ type: 'by.valibot', payload: { id: 'a', name: 'b' } });
    // @ts-expect-error a missing field
    void queue.add({ type: 'by.arktype', payload: { id: 'a', name: 'b' } });
    // @ts-expect-error a field of another type
    void queue.add({ type: 'by.zod', payload: { id: 'a', name: 5, pin: '1' } });
    // @ts-expect-error a field of another type
    void queue.add({ type: 'by.valibot', payload: { id: 'a', name: 5, pin: '1' } });
    // @ts-expect-error a field of another type
    void queue.add({ type: 'by.arktype', payload: { id: 'a', name: 5, pin: '1' } });
    // @ts-expect-error a field that there is not
    void queue.add({ type: 'by.zod', payload: { id: 'a', name: 'b', pin: '1', nick: 'c' } });
    // @ts-expect-error a field that there is not
    void queue.add({ type: 'by.valibot', payload: { id: 'a', name: 'b', pin: '1', nick: 'c' } });
    // @ts-expect-error a field that there is not
    void queue.add({ type: 'by.arktype', payload: { id: 'a', name: 'b', pin: '1', nick: 'c' } });
  });

  test('Q2 · what is wrong in any option of a definition does not compile, whichever library its schema is of', () => {
    const zod = { type: 'a', operation: 'update', payload: z.object({ id: z.string(), at: z.number() }) } as const;
    const valibot = { type: 'a', operation: 'update', payload: v.object({ id: v.string(), at: v.number() }) } as const;
    const arktype = { type: 'a', operation: 'update', payload: type({ id: 'string', at: 'number' }) } as const;
    // @ts-expect-error a version that is no number
    defineMutation({ ...zod, version: '2' });
    // @ts-expect-error an entity without an id
    defineMutation({ ...zod, entity: () => ({ table: 'a' }) });
    // @ts-expect-error the id of an entity is a text
    defineMutation({ ...valibot, entity: ({ at }) => ({ table: 'a', id: at }) });
    // @ts-expect-error the id of an entity is a text
    defineMutation({ ...arktype, entity: ({ at }) => ({ table: 'a', id: at }) });
    // @ts-expect-error a lane that is no text
    defineMutation({ ...zod, lane: ({ at }) => at });
    // @ts-expect-error a priority that there is not
    defineMutation({ ...zod, priority: 'urgent' });
    // @ts-expect-error a key that is no text
    defineMutation({ ...arktype, dedupe: ({ at }) => at });
    // @ts-expect-error what is near is a number
    defineMutation({ ...zod, dedupe: { key: ({ id }) => id, near: [{ value: ({ id }) => id, tolerance: 1 }] } });
    // @ts-expect-error a merge that is no payload
    defineMutation({ ...zod, coalesce: ({ id }) => ({ id }) });
    // @ts-expect-error a merge that is no payload
    defineMutation({ ...arktype, coalesce: ({ id }) => ({ id }) });
    // @ts-expect-error a strategy that there is not
    defineMutation({ ...zod, retry: { strategy: 'often' } });
    // @ts-expect-error a rule that there is not
    defineMutation({ ...arktype, retry: { attempts: 5 } });
    // @ts-expect-error a strategy that there is not
    defineMutation({ ...zod, conflict: 'mine' });
    // @ts-expect-error what is chosen is no payload
    defineMutation({ ...arktype, conflict: ({ mine }) => mine.id });
    defineMutation({
      ...zod,
      // @ts-expect-error a field that the payload does not have
      optimistic: (draft: State, { name }) => {
        draft.names['a'] = String(name);
      },
    });
    defineMutation({
      ...arktype,
      // @ts-expect-error a field that the payload does not have
      rollback: (draft: State, { name }) => {
        draft.names['a'] = String(name);
      },
    });
    // @ts-expect-error a step that gives no payload
    defineMutation({ ...zod, version: 2, migrate: { 1: () => 'text' } });
    // @ts-expect-error a field that the payload does not have
    defineMutation({ ...zod, sensitive: ['pin'] });
    // @ts-expect-error a field that the payload does not have
    defineMutation({ ...valibot, sensitive: ['pin'] });
    // @ts-expect-error a field that the payload does not have
    defineMutation({ ...arktype, sensitive: ['pin'] });
  });

  test('Q2 · what a handler returns may be said by any of them, and slots know it', async () => {
    const create = defineMutation({
      type: 'create',
      payload: type({ name: 'string' }),
      operation: 'create',
      result: z.object({ id: z.string(), at: z.number() }),
    });
    const made = await createQueue({ ...options, mutations: [create] }).add({ type: 'create', payload: { name: 'a' } });
    made.slot('id');
    // @ts-expect-error a value that it does not return
    made.slot('name');
    // @ts-expect-error a number says that it is one
    made.slot('at');
  });
});
