import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type axeCore from 'axe-core';
import type { Page } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import { type CrmPage, crmPage } from './support/crm-page.ts';
import { withTwoBrowsers } from './support/two-browsers.ts';

const open = withTwoBrowsers();
let amara: CrmPage;
let mei: CrmPage;

beforeAll(async () => {
  amara = crmPage(await open.mine.newPage());
  mei = crmPage(await open.other.newPage());
  await Promise.all(
    [[amara, 'Amara Okafor'] as const, [mei, 'Mei Tanaka'] as const].map(async ([crm, name]) => {
      await crm.page.goto(open.world.line.url);
      await crm.signIn(name);
    }),
  );
});

const idOf = async (iata: string): Promise<string> => {
  const [row] = await open.world.query<{ id: string }>(
    "select id from accounts where iata = $1 and workspace_id = 'meridian-world'",
    [iata],
  );
  return row?.id ?? '';
};
const goTo = (crm: CrmPage, screen: string) => crm.page.getByRole('link', { name: screen, exact: true }).click();
const report = ({ page }: CrmPage) => page.getByRole('region', { name: 'Bulk change' });
const chooseOption = async (page: Page, select: string, option: string) => {
  await page.getByRole('combobox', { name: select, exact: true }).click();
  await page.locator('[role=option]:visible', { hasText: option }).click();
};

test('E4 · one press changes hundreds of accounts; what the database refuses is told one by one, and the rest stands', async () => {
  const { page } = amara;
  await open.world.query(
    "update accounts set kind = 'closed' where country_code = 'IS' and kind = 'small_airport' and name < 'F'",
  );
  await page.getByLabel('Search accounts').fill('iceland');
  await page.getByText(/^\d+ of 18,776$/).waitFor();
  await page.getByRole('checkbox', { name: 'Select all' }).click();
  const selected = await page.getByText(/^\d+ selected$/).innerText();
  await chooseOption(page, 'New owner', 'Mei Tanaka');
  await page.getByRole('button', { name: 'Change owner' }).click();
  await report(amara).getByText('done, but for some').waitFor();

  const [counts] = await open.world.query<{ owned: number; closed: number; wrong: number }>(
    `select count(*) filter (where owner = 'Mei Tanaka')::int as owned,
            count(*) filter (where kind = 'closed')::int as closed,
            count(*) filter (where kind = 'closed' and owner is not null)::int as wrong
     from accounts where workspace_id = 'meridian-world' and country_code = 'IS'`,
  );
  const { owned = 0, closed = 0 } = counts ?? {};
  expect(closed).toBeGreaterThan(0);
  expect([selected, counts?.wrong]).toEqual([`${owned + closed} selected`, 0]);
  expect(await report(amara).innerText()).toContain(`${owned} of ${owned + closed} confirmed, ${closed} not accepted`);
  await report(amara).getByText('What was not accepted, and why').click();
  expect(await report(amara).getByRole('listitem').first().innerText()).toContain('A closed airport has no owner.');
  // it is reported here, and nowhere a second time
  expect(await page.locator('[data-sonner-toast]').count()).toBe(0);
  // the other browser sees what stands, and the refused rows are as before
  await mei.page.getByLabel('Search accounts').fill('keflavik');
  await mei.page.locator('[data-account]', { hasText: 'Mei Tanaka' }).first().waitFor();

  await goTo(amara, 'Changes');
  const again = report(amara).getByRole('button', { name: 'Try failed ones again' });
  expect(await again.count()).toBe(1);
  await page.getByRole('button', { name: `Clear (${closed})` }).click();
  await page.getByRole('button', { name: `Delete ${closed}` }).click();
  await again.waitFor({ state: 'detached' });
  await report(amara).getByRole('button', { name: 'Dismiss the report' }).click();
  await amara.untilPill(/^All changes confirmed$/);
});

test('E4 · a CSV of contacts is looked through row by row, its good rows are imported once, and an import can be stopped', async () => {
  const { page } = amara;
  const rows = Array.from({ length: 300 }, (_, index) => `Guest ${index},OSL,guest.${index}@x.example`);
  const text = ['Name,IATA,E-mail', ...rows, ',OSL,nobody', 'Lost,XQX,lost@x.example'].join('\n');
  const file = { name: 'guests.csv', mimeType: 'text/csv', buffer: Buffer.from(text) };
  const guests = () =>
    open.world.query(
      "select count(*)::int as count, count(distinct email)::int as emails from contacts where name like 'Guest %'",
    );
  await goTo(amara, 'Contacts');
  await page.getByRole('button', { name: 'Import CSV' }).click();
  await page.locator('input[type=file]').setInputFiles(file);
  const dialog = page.getByRole('dialog', { name: 'Import contacts' });
  await dialog.getByText('300 of 302 rows can be imported; 2 are left out.').waitFor();
  expect(await dialog.getByRole('region', { name: 'What is wrong, row by row' }).innerText()).toMatch(
    /302\s+Name\s+Enter a name\.\s+302\s+E-mail\s+Enter an e-mail address.*303\s+Account \(code or name\)\s+There is no account "XQX"/s,
  );

  // stopped before anything is sent, nothing arrives
  await open.mine.context.setOffline(true);
  await dialog.getByRole('button', { name: 'Import 300 contacts' }).click();
  await report(amara).getByText('300 saved on this device').waitFor();
  await report(amara).getByRole('button', { name: 'Stop' }).click();
  await report(amara).getByText('0 of 300 confirmed, 300 not made').waitFor();
  await open.mine.context.setOffline(false);
  expect(await guests()).toEqual([{ count: 0, emails: 0 }]);

  await page.getByRole('button', { name: 'Import CSV' }).click();
  await page.locator('input[type=file]').setInputFiles(file);
  await dialog.getByRole('button', { name: 'Import 300 contacts' }).click();
  await report(amara).getByText('300 of 300 confirmed').waitFor();
  expect(await guests()).toEqual([{ count: 300, emails: 300 }]);
  // once more: all of them are there already
  await page.getByRole('button', { name: 'Import CSV' }).click();
  await page.locator('input[type=file]').setInputFiles(file);
  await dialog.getByText('0 of 302 rows can be imported; 302 are left out.').waitFor();
  await page.keyboard.press('Escape');
});

test('C1, E8, K5 · two people edit one account offline: what only one changed stands, the other chooses, and both see the same', async () => {
  const id = await idOf('OSL');
  const edit = async (crm: CrmPage, fields: Readonly<Record<string, string>>): Promise<void> => {
    await crm.openAccount(id);
    await crm.page.getByRole('button', { name: 'Edit', exact: true }).click();
    for (const [label, value] of Object.entries(fields)) await crm.page.getByLabel(label, { exact: true }).fill(value);
    await crm.page.getByRole('button', { name: 'Save', exact: true }).click();
    await crm.page.locator('[data-notes]', { hasText: fields['Notes'] ?? '' }).waitFor();
  };
  await Promise.all([open.mine, open.other].map(({ context }) => context.setOffline(true)));
  await edit(amara, { Notes: "Amara's version", Phone: '+47 111' });
  await edit(mei, { Notes: "Mei's version", Contact: 'Kari Nordmann' });
  await open.mine.context.setOffline(false);
  await amara.untilPill(/^All changes confirmed$/);
  await open.other.context.setOffline(false);

  // what the pill says is to be decided, is decided from there
  await mei.untilPill(/^1 change for you to decide$/);
  await mei.page.locator('header .holdfast-pill').click();
  const changes = mei.page.getByRole('dialog', { name: 'Your changes on this device' });
  await changes.getByRole('button', { name: 'Choose what stands' }).click();
  await changes.waitFor({ state: 'detached' });
  const form = mei.page.getByRole('form', { name: /Oslo/ });
  await form.getByRole('group').first().waitFor();
  expect(await form.getByRole('group').allInnerTexts()).toEqual([
    expect.stringMatching(/^Notes\s+Before: –\s+Yours\s*Mei's version\s*Theirs\s*Amara's version$/),
  ]);
  await form.getByRole('radio', { name: /Theirs/ }).check();
  await form.getByRole('button', { name: 'Save this choice' }).click();
  // the dialogue closes with the last one, and the keyboard is not lost with it
  await mei.page.waitForFunction(() => document.activeElement?.classList.contains('holdfast-pill'));
  await mei.untilPill(/^All changes confirmed$/);

  expect(await open.world.query('select notes, contact_phone, contact_name from accounts where id = $1', [id])).toEqual(
    [{ notes: "Amara's version", contact_phone: '+47 111', contact_name: 'Kari Nordmann' }],
  );
  for (const { page } of [amara, mei]) {
    await page.locator('[data-notes]', { hasText: "Amara's version" }).waitFor();
    await page.locator('dd', { hasText: 'Kari Nordmann' }).waitFor();
    await page.locator('dd', { hasText: '+47 111' }).waitFor();
  }
});

test('C1, K5 · what a colleague saves while a form is open stands when the form is saved', async () => {
  const id = await idOf('BGO');
  const { page } = mei;
  await page.getByLabel('Search accounts').fill('bergen airport');
  await mei.openAccount(id);
  await page.getByRole('button', { name: 'Edit', exact: true }).click();
  await open.world.query("update accounts set notes = 'By a colleague', owner = 'Mei Tanaka' where id = $1", [id]);
  await page.locator(`[data-account="${id}"]`, { hasText: 'Mei Tanaka' }).waitFor();

  await page.getByLabel('Phone', { exact: true }).fill('+47 222');
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.locator('[data-notes]').waitFor();
  await mei.untilPill(/^All changes confirmed$/);

  expect(await open.world.query('select notes, owner, contact_phone from accounts where id = $1', [id])).toEqual([
    { notes: 'By a colleague', owner: 'Mei Tanaka', contact_phone: '+47 222' },
  ]);
});

test('E3 · an edit and a deletion that were sent are undone: the row is as it was, and the audit log tells of it', async () => {
  const id = await idOf('CPH');
  const { page } = amara;
  const row = () => open.world.query('select name, notes, runway_length_ft from accounts where id = $1', [id]);
  const before = await row();
  const undo = (text: RegExp) =>
    page.locator('[data-sonner-toast]', { hasText: text }).getByRole('button', { name: 'Undo' }).click();
  await amara.writeNotes(id, 'A slip');
  await page
    .locator('[data-sonner-toast]', { hasText: /Copenhagen Airport saved/ })
    .first()
    .waitFor();
  expect(await row()).not.toEqual(before);
  await undo(/Copenhagen Airport saved/);
  await expect.poll(row, { timeout: 20_000 }).toEqual(before);

  await page.getByRole('button', { name: 'Delete this account' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await expect.poll(row, { timeout: 20_000 }).toEqual([]);
  await undo(/Copenhagen Airport deleted/);
  await expect.poll(row, { timeout: 20_000 }).toEqual(before);
  await amara.untilPill(/^All changes confirmed$/);
  await amara.openAccount(id);

  expect(
    await open.world.query('select action from holdfast.audit_log where entity_id = $1 order by id', [id]),
  ).toEqual(['update', 'update', 'delete', 'restore'].map((action) => ({ action })));
  await goTo(amara, 'Audit log');
  const log = page.getByRole('region', { name: 'Audit log' });
  await log.getByLabel('Action').selectOption('Restored');
  await log.getByRole('article').first().waitFor();
  expect(await log.getByRole('article').first().innerText()).toMatch(
    /Restored by Amara Okafor.*Account: .*Copenhagen/s,
  );
  const download = page.waitForEvent('download');
  await log.getByRole('button', { name: 'Export CSV' }).click();
  expect((await download).suggestedFilename()).toMatch(/^audit-logs_.*\.csv$/);
});

test('E8 · an account is opened, edited and deleted by the keyboard alone, which is never lost', async () => {
  const { page } = amara;
  const focused = () =>
    page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent);
  const press = async (button: string) => {
    await page.getByRole('button', { name: button, exact: true }).focus();
    await page.keyboard.press('Enter');
  };
  await goTo(amara, 'Accounts');
  await page.getByLabel('Search accounts').fill('norway');
  await page.getByText(/^\d+ of \d+,\d+$/).waitFor();
  const grid = page.getByRole('grid');
  await grid.focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  const panel = page.getByRole('complementary', { name: 'Account' });
  const name = await panel.getByRole('heading', { level: 2 }).first().innerText();

  await press('Edit');
  await expect.poll(focused).toBe(`Edit ${name}`);
  await press('Save');
  await expect.poll(focused).toBe(name);
  await press('Delete this account');
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).focus();
  await page.keyboard.press('Enter');
  await expect.poll(focused).toBe('Accounts');
  await page
    .locator('[data-sonner-toast]', { hasText: `${name} deleted` })
    .getByRole('button', { name: 'Undo' })
    .click();
  await page.locator('[data-sonner-toast]', { hasText: `${name}: taken back` }).waitFor();
  await amara.untilPill(/^All changes confirmed$/);
});

test('E8 · with the colours of the system one sees which screen it is, and what can be switched', async () => {
  const { page } = amara;
  await page.emulateMedia({ forcedColors: 'active' });
  const borderOf = (name: string): Promise<string> =>
    page
      .getByRole('navigation')
      .getByRole('link', { name })
      .evaluate((link) => getComputedStyle(link).borderBottomColor);
  expect(await borderOf('Accounts')).not.toBe(await borderOf('Deals'));

  await amara.openAccount(await idOf('OSL'));
  await page.getByRole('button', { name: 'Edit', exact: true }).click();
  const track = page.locator('.mantine-Switch-track');
  await track.waitFor();
  expect(await track.evaluate((each) => getComputedStyle(each).borderTopWidth)).toBe('1px');
  await page.getByRole('button', { name: 'Cancel', exact: true }).click();
  await page.emulateMedia({ forcedColors: 'none' });
});

test('E8 · axe finds nothing serious on any screen, wide and light or narrow and dark, and nothing is wider than the page', async () => {
  const { page } = amara;
  const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  const look = async (): Promise<readonly string[]> => {
    // a toast that is fading is paler than it is to be
    await page.waitForFunction(() =>
      document
        .getAnimations()
        .every(({ effect, playState }) => playState !== 'running' || effect?.getTiming().iterations === Infinity),
    );
    await page.evaluate(axe);
    return page.evaluate(async () => {
      const { run } = (globalThis as unknown as { axe: typeof axeCore }).axe;
      const { violations } = await run(document, { resultTypes: ['violations'] });
      const issues = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
      const overflow = document.documentElement.scrollWidth - innerWidth;
      return [
        ...issues.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`)),
        ...(overflow > 0 ? [`${overflow} px wider than the page`] : []),
      ];
    });
  };
  const found: Record<string, readonly string[]> = {};
  for (const [width, height, colorScheme] of [
    [1440, 900, 'light'],
    [390, 844, 'dark'],
  ] as const) {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme });
    for (const screen of ['Contacts', 'Deals', 'Changes', 'Audit log', 'Accounts']) {
      await goTo(amara, screen);
      await page.getByRole('main').waitFor();
      // a few of each kind tell as much as hundreds, in a tenth of the time
      if (screen === 'Deals') await page.getByLabel('Search deals').fill('oslo');
      if (screen === 'Audit log') await page.getByLabel('Action').selectOption('Restored');
      found[`${screen} ${width}`] = await look();
    }
    await amara.openAccount(await idOf('OSL'));
    found[`account ${width}`] = await look();
    await page.getByRole('button', { name: 'Edit', exact: true }).click();
    found[`form ${width}`] = await look();
    await page.getByRole('button', { name: 'Back to the list' }).click();
  }
  expect(Object.entries(found).filter(([, issues]) => issues.length > 0)).toEqual([]);
});
