import * as v from 'valibot';
import { describe, expectTypeOf, test } from 'vitest';
import { createQueue } from '../queue/create-queue.ts';
import type { QueueOptions } from '../queue/options.ts';
import { defineMutation } from './definition.ts';
import type { Slot } from './slots.ts';

type Stage = 'open' | 'won';

const createAccount = defineMutation({
  type: 'account.create',
  payload: v.object({ name: v.string() }),
  result: v.object({
    id: v.string(),
    number: v.number(),
    note: v.nullable(v.string()),
    owner: v.object({ id: v.string() }),
    isNew: v.boolean(),
    tags: v.array(v.string()),
  }),
  operation: 'create',
});
const addDeal = defineMutation({
  type: 'deal.create',
  payload: v.object({
    accountId: v.string(),
    number: v.number(),
    stage: v.picklist(['open', 'won']),
    contact: v.optional(v.object({ id: v.nullable(v.string()) })),
    others: v.array(v.string()),
    isHot: v.boolean(),
  }),
  operation: 'create',
});
const countDeals = defineMutation({
  type: 'deal.count',
  payload: v.object({ amount: v.optional(v.number(), 1) }),
  operation: 'custom',
});
const options = {} as Omit<QueueOptions<readonly []>, 'mutations'>;
const queue = createQueue({ ...options, mutations: [createAccount, addDeal, countDeals] });
const account = await queue.add({ type: 'account.create', payload: { name: 'Pan' } });
const deal = { accountId: 'a', number: 1, stage: 'open' as const, others: [], isHot: true };

describe('slots', () => {
  test('Q8 · a handle knows what its handler returns', () => {
    expectTypeOf(account.slot('id')).toEqualTypeOf<Slot<string>>();
    expectTypeOf(account.slot('number', 'number')).toEqualTypeOf<Slot<number>>();
    expectTypeOf(account.slot(['owner', 'id'])).toEqualTypeOf<Slot<string>>();
    expectTypeOf(account.slot('note')).toEqualTypeOf<Slot<string>>();
    expectTypeOf(account.settled).resolves.toHaveProperty('status');
  });

  test('Q8 · a slot stands wherever a value of its type may', () => {
    const id = account.slot('id');
    void queue.add({ type: 'deal.create', payload: { ...deal, accountId: id } });
    void queue.add({ type: 'deal.create', payload: { ...deal, number: account.slot('number', 'number') } });
    void queue.add({ type: 'deal.create', payload: { ...deal, contact: { id }, others: [id, 'x'] } });
    void queue.add({ type: 'deal.create', payload: { ...deal, stage: {} as Slot<Stage> } });
  });

  test('Q8 · a wrong use of a slot does not compile', () => {
    const id = account.slot('id');
    // @ts-expect-error a text where a number is wanted
    void queue.add({ type: 'deal.create', payload: { ...deal, number: id } });
    // @ts-expect-error any text where one of a few is wanted
    void queue.add({ type: 'deal.create', payload: { ...deal, stage: id } });
    // @ts-expect-error a text where only a number may stand, or nothing
    void queue.add({ type: 'deal.count', payload: { amount: id } });
    // @ts-expect-error a slot for what is no text or number
    void queue.add({ type: 'deal.create', payload: { ...deal, isHot: id } });
    // @ts-expect-error a slot in place of an object
    void queue.add({ type: 'deal.create', payload: { ...deal, contact: id } });
    // @ts-expect-error a slot as the whole payload
    void queue.add({ type: 'deal.create', payload: id });
    // @ts-expect-error a field that the result does not have
    account.slot('nickname');
    // @ts-expect-error a path that the result does not have
    account.slot(['owner', 'name']);
    // @ts-expect-error a field that holds neither text nor number
    account.slot('isNew');
    // @ts-expect-error an object
    account.slot('owner');
    // @ts-expect-error a number that nobody says is one
    account.slot('number');
    // @ts-expect-error a text that is said to be a number
    account.slot('id', 'number');
  });

  test('Q8 · a type that does not say what it returns has no slots', async () => {
    const handle = await queue.add({ type: 'deal.create', payload: deal });
    // @ts-expect-error nobody knows whether there will be an id
    handle.slot('id');
  });
});
