import { type } from 'arktype';
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { defineMutation, type PayloadSchema } from '../mutation/definition.ts';
import { TestDevice } from './testing-queue/test-device.ts';

interface Given {
  readonly id: string;
  readonly name: string;
  readonly amount?: number;
  readonly tags?: readonly string[];
}

/** One shape, written with each library: a text that is trimmed, a number with a default, and a list within. */
const SCHEMAS: readonly (readonly [string, PayloadSchema])[] = [
  [
    'zod',
    z.object({
      id: z.string(),
      name: z.string().trim(),
      amount: z.number().default(1),
      tags: z.array(z.string()).optional(),
    }),
  ],
  [
    'valibot',
    v.object({
      id: v.string(),
      name: v.pipe(v.string(), v.trim()),
      amount: v.optional(v.number(), 1),
      tags: v.optional(v.array(v.string())),
    }),
  ],
  ['arktype', type({ id: 'string', name: 'string.trim', amount: 'number = 1', 'tags?': 'string[]' })],
];

const definitionOf = (payload: PayloadSchema) =>
  defineMutation({
    type: 'account.save',
    payload,
    operation: 'update',
    entity: (given) => ({ table: 'accounts', id: (given as Given).id }),
  });
const save = (payload: object) => ({ type: 'account.save', payload }) as never;

describe.each(SCHEMAS)('a schema of %s', (_, schema) => {
  test('Q2 · what it makes of a payload is what is stored and sent, also after a restart', async () => {
    const device = new TestDevice();
    await device.goOffline();
    const before = await device.openWith([definitionOf(schema)]);
    await before.add(save({ id: 'a', name: ' Ann ' }));
    await before.add(save({ id: 'b', name: 'Bob', amount: 5, tags: ['x'] }));
    await before.close();

    const queue = await device.openWith([definitionOf(schema)]);
    expect((await queue.readPending()).map(({ payload }) => payload)).toEqual([
      { id: 'a', name: 'Ann', amount: 1 },
      { id: 'b', name: 'Bob', amount: 5, tags: ['x'] },
    ]);
    await device.goOnline();
    await device.clock.pass(5_000);

    const sent = device.server.requests.flatMap(({ request }) => request.mutations);
    expect(sent.slice(-2).map(({ payload, entity }) => [payload, entity])).toEqual([
      [
        { id: 'a', name: 'Ann', amount: 1 },
        { table: 'accounts', id: 'a' },
      ],
      [
        { id: 'b', name: 'Bob', amount: 5, tags: ['x'] },
        { table: 'accounts', id: 'b' },
      ],
    ]);
  });

  test.each<[string, object, readonly (string | number)[]]>([
    ['a field of another type', { id: 'a', name: 5 }, ['name']],
    ['a missing field', { name: 'a' }, ['id']],
    ['something wrong within a list', { id: 'a', name: 'a', tags: ['x', 1] }, ['tags', 1]],
  ])(
    'Q2 · %s is refused at once, with the issues that name it, and nothing is stored',
    async (_wrong, payload, path) => {
      const device = new TestDevice();
      const queue = await device.openWith([definitionOf(schema)]);
      device.storage.commits = [];

      const refused = queue.add(save(payload));

      await expect(refused).rejects.toMatchObject({ code: 'INVALID_PAYLOAD', category: 'VALIDATION_ERROR' });
      const { issues } = (await refused.catch((error: unknown) => error)) as { readonly issues: readonly object[] };
      expect(issues).toEqual([{ path, message: expect.stringMatching(/\w/) as unknown }]);
      expect(device.storage.commits).toEqual([]);
    },
  );

  test('Q2 · what an earlier version has stored is migrated, and checked by it', async () => {
    const device = new TestDevice();
    await device.goOffline();
    const older = defineMutation({
      type: 'account.save',
      payload: v.object({ id: v.string(), title: v.any() }),
      operation: 'update',
    });
    const before = await device.openWith([older]);
    const fits = await before.add({ type: 'account.save', payload: { id: 'a', title: 'Ann' } });
    const not = await before.add({ type: 'account.save', payload: { id: 'b', title: 5 } });
    await before.close();

    const migrate = { 1: ({ id, title }: { id: string; title: unknown }) => ({ id, name: title }) };
    const queue = await device.openWith([{ ...definitionOf(schema), version: 2, migrate }]);

    expect((await queue.readPending([fits.id])).map(({ payload }) => payload)).toMatchObject([
      { id: 'a', name: 'Ann' },
    ]);
    await device.goOnline();
    await device.clock.pass(5_000);
    const sent = device.server.requests.flatMap(({ request }) => request.mutations);
    expect(sent.find(({ id }) => id === fits.id)?.payload).toEqual({ id: 'a', name: 'Ann', amount: 1 });
    expect(sent.find(({ id }) => id === not.id)?.outdated ?? true).toBe(true);
  });
});

test('Q2 · a schema that answers later, as zod and valibot can, is waited for, and calls keep their order', async () => {
  const check = async (name: string): Promise<boolean> => name !== 'taken';
  const schemas: readonly PayloadSchema[] = [
    z.object({ id: z.string(), name: z.string().refine(check, 'It is taken.') }),
    v.objectAsync({ id: v.string(), name: v.pipeAsync(v.string(), v.checkAsync(check, 'It is taken.')) }),
  ];
  for (const schema of schemas) {
    const device = new TestDevice();
    await device.goOffline();
    const queue = await device.openWith([definitionOf(schema)]);

    const calls = ['a', 'taken', 'b'].map((name) => queue.add(save({ id: 'row', name })));
    const ends = await Promise.allSettled(calls);

    expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    await expect(calls[1]).rejects.toMatchObject({ issues: [{ path: ['name'], message: 'It is taken.' }] });
    expect((await queue.readPending()).map(({ payload }) => payload['name'])).toEqual(['a', 'b']);
  }
});
