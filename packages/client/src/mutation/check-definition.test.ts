import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { defineMutation } from './definition.ts';

const DEFINITION = { type: 'a', payload: v.object({ id: v.string() }), operation: 'update' } as const;

/** As JavaScript calls it. */
const define = (changes: object | undefined): unknown =>
  defineMutation((changes === undefined ? undefined : { ...DEFINITION, ...changes }) as typeof DEFINITION);

describe('from JavaScript', () => {
  test.each([
    [{ type: '' }, '`type` must be a text that is not empty; it is "".'],
    [{ type: undefined }, '`type` must be a text that is not empty; it is undefined.'],
    [{ payload: undefined }, '`a.payload` must be a schema, such as v.object({}) or z.object({}); it is undefined.'],
    [{ payload: {} }, '`a.payload` must be a schema, such as v.object({}) or z.object({}); it is [object Object].'],
    [
      { operation: 'upsert' },
      "`a.operation` must be 'create', 'update', 'delete', 'restore' or 'custom'; it is \"upsert\".",
    ],
    [
      { operation: undefined },
      "`a.operation` must be 'create', 'update', 'delete', 'restore' or 'custom'; it is undefined.",
    ],
    [{ entity: 'accounts' }, '`a.entity` must be a function; it is "accounts".'],
    [
      { conflict: 'merged' },
      "`a.conflict` must be 'server-wins', 'client-wins', 'latest-wins', 'merge' or a function; it is \"merged\".",
    ],
    [{ encoding: 'tiny' }, "`a.encoding` must be 'whole' or 'smallest'; it is \"tiny\"."],
    [{ priority: 'urgent' }, "`a.priority` must be 'high', 'normal', 'medium' or 'low'; it is \"urgent\"."],
    [{ lane: 'accounts' }, '`a.lane` must be a function; it is "accounts".'],
    [{ coalesce: true }, '`a.coalesce` must be a function; it is true.'],
    [{ optimistic: {} }, '`a.optimistic` must be a function; it is [object Object].'],
    [{ rollback: null }, '`a.rollback` must be a function; it is null.'],
    [{ dedupe: true }, '`a.dedupe` must be false, a function or { key, near }; it is true.'],
    [{ dedupe: { key: 'id' } }, '`a.dedupe` must be false, a function or { key, near }; it is [object Object].'],
    [{ retry: { maxRetries: -1 } }, '`a.retry.maxRetries` must be a number from 0; it is -1.'],
    [{ retry: { backoffMsBase: '1s' } }, '`a.retry.backoffMsBase` must be a number from 0; it is "1s".'],
    [
      { retry: { strategy: 'often' } },
      "`a.retry.strategy` must be 'exponential', 'linear' or 'fixed'; it is \"often\".",
    ],
    [{ retry: { jitter: true } }, "`a.retry.jitter` must be 'full', 'decorrelated' or 'none'; it is true."],
  ])('Q2 · %o is refused where the type is defined', (changes, message) => {
    expect(() => define(changes)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: `defineMutation: ${message}` }),
    );
  });

  test('Q2 · nothing at all is refused too, and what is right comes back as it was', () => {
    expect(() => define(undefined)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
    const definition = {
      ...DEFINITION,
      conflict: () => 'unresolved' as const,
      encoding: 'smallest' as const,
      lane: () => 'one',
      dedupe: { key: () => 'one', near: [] },
      retry: { maxRetries: Number.POSITIVE_INFINITY, backoffMsBase: 0, jitter: 'none' as const },
    };
    expect(define(definition)).toEqual(definition);
    expect(define({ dedupe: false })).toMatchObject({ dedupe: false });
  });
});

test('Q6 · every priority that may be given is taken: medium is another word for normal', () => {
  const define = (priority: 'high' | 'normal' | 'medium' | 'low') =>
    defineMutation({ type: 'note.save', payload: v.object({}), operation: 'custom', priority });
  for (const priority of ['high', 'normal', 'medium', 'low'] as const) expect(define(priority).priority).toBe(priority);
});
