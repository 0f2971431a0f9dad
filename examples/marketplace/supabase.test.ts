import { createClient } from '@supabase/supabase-js';
import { supabaseTransport } from 'holdfast';
import { createTestApp, type ErrorMode, SupabaseSimulator } from 'holdfast/testing';
import { expect, test } from 'vitest';
import { mutations } from './marketplace.ts';
import { handlers, tables } from './marketplace-server.ts';

const open = () =>
  createTestApp({
    mutations,
    server: new SupabaseSimulator({ tables, handlers }),
    transport: ({ fetch }) => {
      const auth = { persistSession: false, autoRefreshToken: false };
      return supabaseTransport({
        client: createClient('https://app.supabase.co', 'anon-key', { auth, global: { fetch } }),
      });
    },
  });
const task = (id: string) => ({ type: 'task.create', payload: { id, title: 'Hang a lamp', budget: 20 } }) as const;

test('K1 · over Supabase: done offline, it survives the app and arrives once', async () => {
  const app = await open();
  app.network.setOffline();
  await app.queue.add(task('lamp'));
  await app.restartApp();
  app.network.setOnline();

  await app.drain();

  expect(app.server.row('tasks', 'lamp')).toMatchObject({ title: 'Hang a lamp', status: 'open' });
  expect(app.server.effects).toHaveLength(1);
});

test.each<{ readonly mode: ErrorMode; readonly waitingFor: string }>([
  { mode: 'timeout', waitingFor: 'network' },
  { mode: 'halfOpen', waitingFor: 'network' },
  { mode: 'unavailable', waitingFor: 'circuit' },
  { mode: 'badGateway', waitingFor: 'circuit' },
  { mode: 'serverError', waitingFor: 'circuit' },
  { mode: 'unauthorized', waitingFor: 'auth' },
  { mode: 'forbidden', waitingFor: 'auth' },
  { mode: 'busy', waitingFor: 'backoff' },
])('K1 · over Supabase, $mode: it waits for $waitingFor, and takes effect once', async ({ mode, waitingFor }) => {
  const app = await open();
  app.server.setErrorMode(mode);
  const { id } = await app.queue.add(task('lamp'));
  await app.clock.advance(mode === 'timeout' || mode === 'halfOpen' ? 30_000 : 0);
  expect(await app.queue.getMutationStatus(id)).toMatchObject({ status: 'pending', waitingFor });

  app.server.setErrorMode(null);
  await app.signIn();
  await app.drain();

  expect(app.server.effects).toHaveLength(1);
});

test('K1 · over Supabase, too many requests: it waits for the window to end', async () => {
  const app = await open();
  app.server.setRateLimit({ count: 1, windowMs: 60_000 });
  for (const id of ['lamp', 'shelf']) {
    await app.queue.add(task(id));
    await app.settle();
  }
  expect(app.queue.getSnapshot().waitingFor).toBe('rateLimit');

  await app.drain();

  expect(app.server.effects).toHaveLength(2);
});
