import { toast } from 'sonner';
import { describe, expectTypeOf, test } from 'vitest';
import type { AccountApp } from '../testing-accounts/accounts.ts';
import { createToasts } from './mutation-toasts.ts';
import { sonnerToasts } from './sonner-toasts.ts';

declare const app: AccountApp;
const { queue } = app;
const port = sonnerToasts(toast);

describe('E2', () => {
  test('E2 · texts are typed by the queue, and sonner fits the port', () => {
    createToasts({
      queue,
      port,
      texts: {
        'account.create': {
          item: (payload) => {
            expectTypeOf(payload).toEqualTypeOf<{ id: string; name: string }>();
            return payload.name;
          },
          words: { confirmed: (item) => `${item} is there` },
        },
        'account.delete': false,
      },
    });
  });

  test('E2 · a wrong use does not compile', () => {
    // @ts-expect-error -- no such type
    createToasts({ queue, port, texts: { 'account.rename': false } });
    // @ts-expect-error -- a deletion has no name
    createToasts({ queue, port, texts: { 'account.delete': { item: (payload: { name: string }) => payload.name } } });
    // @ts-expect-error -- no such stage
    createToasts({ queue, port, texts: { 'account.delete': { words: { lost: () => '' } } } });
    // @ts-expect-error -- toasts need somewhere to be shown
    createToasts({ queue });
  });
});
