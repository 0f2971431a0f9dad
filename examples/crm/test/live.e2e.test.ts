import { expect, test } from 'vitest';
import { crmPage } from './support/crm-page.ts';
import { withTwoBrowsers } from './support/two-browsers.ts';

const open = withTwoBrowsers();

test('P8 · what one browser saves, and what a script changes, the other browser shows without asking', async () => {
  const accounts = await open.world.query<{ id: string }>(
    "select id from accounts where workspace_id = 'meridian-world' and kind = 'large_airport' order by name limit 2",
  );
  const [first, second] = accounts.map(({ id }) => id);
  const a = crmPage(await open.mine.newPage());
  await a.page.goto(open.world.serverUrl);
  await a.signIn('Amara Okafor');
  const b = crmPage(await open.other.newPage());
  const told: string[] = [];
  b.page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => told.push(String(payload))));
  await b.page.goto(open.world.serverUrl);
  await b.signIn('Amara Okafor');
  // from here on the page asks by itself once a minute only
  await b.page.locator('html[data-live="live"]').waitFor();
  await b.openAccount(first ?? '');

  await a.writeNotes(first ?? '', 'saved in the other browser');
  await b.page.locator('[data-notes]', { hasText: 'saved in the other browser' }).waitFor();
  await b.openAccount(second ?? '');
  await open.world.query("update accounts set notes = 'changed by a script' where id = $1", [second]);
  await b.page.locator('[data-notes]', { hasText: 'changed by a script' }).waitFor();

  const changes = told.filter((text) => text.startsWith('{"kind":"changes"'));
  expect(changes.some((text) => text.includes(first ?? ''))).toBe(true);
  expect(changes.some((text) => text.includes(second ?? ''))).toBe(true);
});
