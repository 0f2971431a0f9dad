import * as v from 'valibot';
import { expect, test } from 'vitest';
import { defineMutation } from '../mutation/definition.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';

const saveNote = defineMutation({
  type: 'note.save',
  payload: v.object({ id: v.string() }),
  operation: 'create',
  entity: ({ id }) => ({ table: 'notes', id }),
});
const MUTATIONS = [saveNote] as const;
type App = TestApp<typeof MUTATIONS>;

const HOUR_MS = 3_600_000;

test.each<{ readonly name: string; readonly fail: (app: App) => void }>([
  { name: 'the server answers 503', fail: (app) => app.server.setErrorMode('unavailable') },
  { name: 'the server answers 500', fail: (app) => app.server.setErrorMode('serverError') },
  { name: 'a gateway answers for it', fail: (app) => app.server.setErrorMode('badGateway') },
  { name: 'the server never answers', fail: (app) => app.server.setErrorMode('timeout') },
  { name: 'every token is refused', fail: (app) => app.server.setErrorMode('unauthorized') },
  { name: 'there is no network', fail: (app) => app.network.setOffline() },
  { name: 'the network is dead and does not know', fail: (app) => app.network.setOffline({ isNoticed: false }) },
  { name: 'no answer comes back', fail: (app) => app.network.setHalfOpen(true) },
  { name: 'a captive portal answers', fail: (app) => app.network.setCaptivePortal(true) },
])('R4 · a day in which $name costs a device at most 300 requests, and no change is lost', async ({ fail }) => {
  const app = await createTestApp({ mutations: MUTATIONS });
  await app.openTab();
  fail(app);
  for (let hour = 0; hour < 24; hour += 1) {
    await app.queue.add({ type: 'note.save', payload: { id: String(hour) } });
    await app.clock.advance(HOUR_MS);
  }
  expect(app.network.requestCount).toBeLessThanOrEqual(300);

  app.server.setErrorMode(null);
  app.network.setHalfOpen(false);
  app.network.setCaptivePortal(false);
  app.network.setOnline();
  await app.signIn();
  await app.clock.advance(30_000);

  expect(app.server.rows('notes')).toHaveLength(24);
  expect(app.server.effects).toHaveLength(24);
});
