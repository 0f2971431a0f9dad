import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeProfile, startBrowser, type TestBrowser } from './support/browser.ts';
import { crmPage } from './support/crm-page.ts';
import { openWorld, type World } from './support/world.ts';

let world: World;
let browser: TestBrowser;
let profile: Awaited<ReturnType<typeof makeProfile>>;

beforeAll(async () => {
  world = await openWorld();
  profile = await makeProfile();
  browser = await startBrowser(profile.folder);
});
afterAll(async () => {
  await browser.close();
  await profile.remove();
  await world.close();
});

test('O3 · an edit made offline survives a reload, is shown at once, confirmed later, and stands in the history', async () => {
  const crm = crmPage(await browser.newPage());
  await crm.page.goto(world.line.url);
  await crm.signIn('Amara Okafor');
  const [account] = await world.query<{ id: string }>(
    "select id from accounts where iata = 'FRA' and workspace_id = 'meridian-world'",
  );
  const id = account?.id ?? '';

  await browser.context.setOffline(true);
  await crm.writeNotes(id, 'Prefers calls before noon');
  expect(await crm.pill()).toBe('Offline · 1 change saved on this device');
  await crm.reload();

  await crm.page.locator('[data-notes]', { hasText: 'Prefers calls before noon' }).waitFor();
  await crm.untilPill(/^Offline · 1 change saved on this device$/);
  await crm.page.locator(`[data-account="${id}"] [data-mark="stored"]`).waitFor();
  expect(await world.query('select 1 from holdfast.ledger')).toEqual([]);

  await browser.context.setOffline(false);
  await crm.untilPill(/^All changes confirmed$/);

  await crm.page.locator('[data-account] [data-mark]').waitFor({ state: 'detached' });
  const history = crm.page.getByRole('region', { name: 'Change history' });
  await history.getByText('Prefers calls before noon').waitFor();
  expect(await history.getByRole('article').innerText()).toMatch(
    /Changed by Amara Okafor.*Notes\s+–\s+→\s+Prefers calls before noon/s,
  );
  expect(await world.query('select notes from accounts where id = $1', [id])).toEqual([
    { notes: 'Prefers calls before noon' },
  ]);
  expect(await world.query('select actor, action, changed_fields from holdfast.audit_log')).toMatchObject([
    { action: 'update' },
  ]);
});
