import type { Page } from 'playwright-core';
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

/** Whether Tab leads on from a toast, instead of back to where the focus was before. */
async function isLedOnByTab(page: Page): Promise<boolean> {
  const edit = page.getByRole('button', { name: 'Edit', exact: true });
  await edit.focus();
  await page.locator('[data-sonner-toast] button').last().focus();
  await page.keyboard.press('Tab');
  return edit.evaluate((button) => button !== document.activeElement);
}

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
  expect(await isLedOnByTab(crm.page)).toBe(true);
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

test('an account made, edited and deleted offline is there at once, and each step arrives in order', async () => {
  const crm = crmPage(await browser.newPage());
  await crm.page.goto(world.line.url);
  await crm.untilPill(/^All changes confirmed$/);
  await browser.context.setOffline(true);

  await crm.page.getByRole('button', { name: 'New account' }).click();
  await crm.page.getByLabel('Name').fill('Meridian Test Field');
  await crm.page
    .locator('form input[aria-haspopup=listbox]')
    .and(crm.page.getByLabel(/^Country/))
    .fill('Iceland');
  await crm.page.getByRole('option', { name: 'Iceland' }).click();
  await crm.page.getByRole('button', { name: 'Create account' }).click();
  await crm.page.getByRole('heading', { name: 'Meridian Test Field' }).waitFor();
  const id = crm.page.url().split('/').at(-1) ?? '';
  await crm.writeNotes(id, 'not there for long');
  await crm.page.getByRole('button', { name: 'Delete this account' }).click();
  await crm.page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await crm.page.getByLabel('Search accounts').fill('Meridian Test Field');
  await crm.page.getByText('No account matches.').waitFor();
  await browser.context.setOffline(false);
  await crm.untilPill(/^All changes confirmed$/);

  const steps = await world.query('select action, entity_id from holdfast.audit_log where entity_id = $1 order by id', [
    id,
  ]);
  expect(steps).toEqual(['create', 'update', 'delete'].map((action) => ({ action, entity_id: id })));
  await crm.page.close();
});

test('E8 · the list can be used with the keyboard alone', async () => {
  const crm = crmPage(await browser.newPage());
  await crm.page.goto(world.line.url);
  await crm.page.locator('[data-account]').first().waitFor();

  await crm.page.keyboard.press('/');
  await crm.page.keyboard.type('heathrow');
  await crm.page.locator('[data-account]', { hasText: 'London Heathrow' }).first().waitFor();
  await crm.page.getByRole('grid').focus();
  await crm.page.keyboard.press('ArrowDown');
  await crm.page.keyboard.press('Enter');

  await crm.page.getByRole('heading', { name: /Heathrow/ }).waitFor();
  expect(await crm.page.getByRole('grid').getAttribute('aria-activedescendant')).toMatch(/^account-/);
  await crm.page.close();
});

test('K1 · a bad day that is simulated on the page is told as such, and what was changed in it arrives once', async () => {
  const crm = crmPage(await browser.newPage());
  // another tab would send for it
  for (const page of browser.context.pages()) if (page !== crm.page) await page.close();
  await crm.page.goto(world.line.url);
  await crm.untilPill(/^All changes confirmed$/);
  const [account] = await world.query<{ id: string }>(
    "select id from accounts where iata = 'OSL' and workspace_id = 'meridian-world'",
  );
  const id = account?.id ?? '';
  const effectsOf = () => world.query('select 1 from holdfast.audit_log where entity_id = $1', [id]);

  await crm.page.getByRole('button', { name: 'Signed in as Amara Okafor' }).click();
  await crm.page.getByRole('menuitem', { name: /Simulate/ }).click();
  const drawer = crm.page.getByRole('dialog', { name: 'Simulate a bad day' });
  await drawer.getByRole('switch', { name: 'Offline' }).click();
  await drawer.getByRole('radio', { name: /after it has done the work/ }).click();
  await crm.page.keyboard.press('Escape');
  const notice = crm.page.getByRole('status').filter({ hasText: 'Simulating:' });
  await notice.getByText('Simulating: offline, 500 · after it has done the work').waitFor();
  await crm.writeNotes(id, 'Written on a bad day');
  await crm.untilPill(/^Offline · 1 change saved on this device$/);
  expect(await effectsOf()).toEqual([]);

  // now it arrives, and the page is told that it failed
  await notice.getByRole('button', { name: 'Change' }).click();
  await drawer.getByRole('switch', { name: 'Offline' }).click();
  await crm.page.keyboard.press('Escape');
  await expect.poll(effectsOf).toHaveLength(1);
  await crm.untilPill(/^(Server unavailable · )?1 change saved on this device$/);
  await notice.getByRole('button', { name: 'Stop' }).click();
  await crm.untilPill(/^All changes confirmed$/);
  expect(await effectsOf()).toHaveLength(1);
  await notice.waitFor({ state: 'detached' });
  await crm.page.close();
});
