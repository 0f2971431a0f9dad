import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { makeProfile, startBrowser, type TestBrowser } from './support/browser.ts';
import { type CrmPage, crmPage } from './support/crm-page.ts';
import { openWorld, type World } from './support/world.ts';

const AMARA = '5d2f1c1e-6a54-4b0e-9a55-0f4a4f6b7a01';
const JONAS = '5d2f1c1e-6a54-4b0e-9a55-0f4a4f6b7a02';

let world: World;
let browser: TestBrowser;
let profile: Awaited<ReturnType<typeof makeProfile>>;
let crm: CrmPage;
let ids: readonly string[] = [];
let lastId = -1;

beforeAll(async () => {
  world = await openWorld();
  profile = await makeProfile();
  browser = await startBrowser(profile.folder);
  crm = crmPage(await browser.newPage());
  await crm.page.goto(world.line.url);
  await crm.signIn('Amara Okafor');
  const rows = await world.query<{ id: string }>(
    "select id from accounts where workspace_id = 'meridian-world' and kind = 'large_airport' order by name limit 20",
  );
  ids = rows.map(({ id }) => id);
});
afterAll(async () => {
  await browser.close();
  await profile.remove();
  await world.close();
});
beforeEach(() => {
  world.line.decide = () => 'deliver';
  world.line.decideOther = () => 'deliver';
  world.line.replaceAuthorization = () => null;
});

const nextId = (): string => ids[++lastId] ?? '';
const notesInPostgres = async (id: string): Promise<string | null> => {
  const rows = await world.query<{ notes: string | null }>('select notes from accounts where id = $1', [id]);
  return rows[0]?.notes ?? null;
};
const tracesOf = (id: string): Promise<readonly object[]> =>
  world.query(
    `select ledger.verdict, audit.new_values ->> 'notes' as notes
     from holdfast.audit_log as audit left join holdfast.ledger using (mutation_id) where audit.entity_id = $1`,
    [id],
  );
const signToken = async (userId: string, workspaceId: string, lifetimeS: number): Promise<string> => {
  const secret = Buffer.from(await readFile(join(world.dataFolder, 'development-secret'), 'utf8'), 'base64url');
  const token = await new SignJWT({ role: 'authenticated', workspace_id: workspaceId })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(userId)
    .setExpirationTime(Math.floor(Date.now() / 1000) + lifetimeS)
    .sign(secret);
  return `Bearer ${token}`;
};

test('an expired token is replaced by a fresh one, and the change arrives once', async () => {
  const id = nextId();
  const expired = await signToken(AMARA, 'meridian-world', -3_600);
  let replacedCount = 0;
  world.line.replaceAuthorization = (path) => {
    if (path !== '/v1/apply' || replacedCount > 0) return null;
    replacedCount += 1;
    return expired;
  };

  await crm.writeNotes(id, 'under an expired token');
  await crm.untilPill(/^All changes confirmed$/);

  expect(replacedCount).toBe(1);
  expect(await tracesOf(id)).toEqual([{ verdict: 'applied', notes: 'under an expired token' }]);
});

test("a login of another workspace is refused: the change is kept, and arrives under one's own", async () => {
  const id = nextId();
  const foreign = await signToken(JONAS, 'meridian-europe', 3_600);
  world.line.replaceAuthorization = (path) => (path === '/v1/apply' ? foreign : null);

  await crm.writeNotes(id, 'not for Europe');
  await crm.untilPill(/1 change saved on this device$/);
  await crm.page.locator('button.holdfast-pill').click();
  const dialog = crm.page.getByRole('dialog');
  await dialog.getByText('Saved on this device').first().waitFor();
  expect(
    (await dialog.innerText())
      .replace(/ Next try: .*/, '')
      .split(/\n+/)
      .slice(0, 6),
  ).toMatchInlineSnapshot(`
    [
      "Your changes on this device",
      "This login does not belong to the workspace of the batch. Sign in to the workspace in which the changes were made.",
      "Try now",
      "Edit: A.B. Won Pat International Airport",
      "Saved on this device",
      "It waits for a valid sign-in; sign in again to go on.",
    ]
  `);
  expect(await crm.pill()).toMatchInlineSnapshot(`"Sign in again · 1 change saved on this device"`);
  expect(await notesInPostgres(id)).toBeNull();
  world.line.replaceAuthorization = () => null;
  await dialog.getByRole('button', { name: 'Try now' }).click();
  await crm.untilPill(/^All changes confirmed$/);

  await crm.page.keyboard.press('Escape');
  expect(await tracesOf(id)).toEqual([{ verdict: 'applied', notes: 'not for Europe' }]);
});

test('2 MB of notes are refused on the device, with what to do, and stay in the form', async () => {
  const id = nextId();
  const requestsBefore = world.line.counts.requests;
  await crm.openAccount(id);
  await crm.page.getByRole('button', { name: 'Edit', exact: true }).click();
  await crm.page.getByLabel('Notes').fill('x'.repeat(2_000_000));
  await crm.page.getByRole('button', { name: 'Save', exact: true }).click();

  const alert = crm.page.getByRole('alert');
  await alert.waitFor();
  expect(await alert.innerText()).toMatchInlineSnapshot(`
    "Not saved

    Not stored: the payload of account.update is 2000056 bytes; the limit is 262144.

    Store large content elsewhere and save a reference to it, or split the change.

    PAYLOAD_TOO_LARGE"
  `);
  expect((await crm.page.getByLabel('Notes').inputValue()).length).toBe(2_000_000);
  expect(await crm.pill()).toBe('All changes confirmed');
  expect(world.line.counts.requests).toBe(requestsBefore);
  await crm.page.getByRole('button', { name: 'Cancel' }).click();
});

test('a payload that breaks the rules is refused in the form, field by field', async () => {
  await crm.openAccount(nextId());
  await crm.page.getByRole('button', { name: 'Edit', exact: true }).click();
  await crm.page.getByLabel('Name').fill(' ');
  await crm.page.getByLabel('Website').fill('not an address');
  await crm.page.getByRole('button', { name: 'Save', exact: true }).click();

  await crm.page.getByText('Enter a name.').waitFor();
  await crm.page.getByText('Enter a web address that begins with http:// or https://.').waitFor();
  await crm.page.getByRole('button', { name: 'Cancel' }).click();
});

test('a captive portal that answers everything with its own page loses nothing and breaks nothing', async () => {
  const id = nextId();
  world.line.decide = () => 'portal';
  world.line.decideOther = () => 'portal';

  await crm.writeNotes(id, 'behind a portal');
  await crm.untilPill(/1 change saved on this device$/);
  await crm.reload();
  await crm.page.locator('[data-notes]', { hasText: 'behind a portal' }).waitFor();
  await crm.page.getByText('Something else than our server answered').first().waitFor();
  world.line.decide = () => 'deliver';
  world.line.decideOther = () => 'deliver';
  await crm.page.getByRole('button', { name: 'Try again' }).first().click();
  await crm.untilPill(/^All changes confirmed$/, 60_000);

  expect(await tracesOf(id)).toEqual([{ verdict: 'applied', notes: 'behind a portal' }]);
});

test('a full disk is said, with what to do; the text stays in the form and can be saved when there is room', async () => {
  const id = nextId();
  const session = await browser.context.newCDPSession(crm.page);
  await crm.openAccount(id);
  await crm.page.getByRole('button', { name: 'Edit', exact: true }).click();
  await crm.page.getByLabel('Notes').fill('no room for this yet');
  await session.send('Storage.overrideQuotaForOrigin', { origin: world.line.url, quotaSize: 1 });
  // the browser looks at the quota anew only after a while
  await expect
    .poll(() => crm.page.evaluate(tryToWrite), { timeout: 60_000, interval: 1_000 })
    .toBe('QuotaExceededError');
  await crm.page.getByRole('button', { name: 'Save', exact: true }).click();

  // The banner above the page says that there is no room as well.
  const alert = crm.page.getByRole('alert', { name: 'Not saved' });
  await alert.waitFor();
  expect(await alert.innerText()).toMatchInlineSnapshot(`
    "Not saved

    Not stored: the space that the browser allows is used up.

    Free space on the device, or send what is pending; then save again.

    STORAGE_FULL"
  `);
  expect(await crm.page.getByLabel('Notes').inputValue()).toBe('no room for this yet');
  await session.send('Storage.overrideQuotaForOrigin', { origin: world.line.url });
  await crm.page.getByRole('button', { name: 'Save', exact: true }).click();
  await crm.page.locator('[data-notes]', { hasText: 'no room for this yet' }).waitFor();
  await crm.untilPill(/^All changes confirmed$/);

  expect(await tracesOf(id)).toEqual([{ verdict: 'applied', notes: 'no room for this yet' }]);
});

test('what the server does not accept is marked, explained, and can be tried again or discarded', async () => {
  const id = nextId();
  await world.query(`alter table accounts add constraint no_secrets check (notes <> 'forbidden words')`);

  // Once it is refused the words are no longer shown: they are looked for while the answer is on its way.
  world.line.decide = () => 'hold';
  await crm.writeNotes(id, 'forbidden words');
  await world.line.untilHeld();
  world.line.decide = () => 'deliver';
  world.line.release();
  await crm.untilPill(/^1 change not accepted$/);
  await crm.page.locator(`[data-account="${id}"] [data-mark="failed"]`).waitFor();
  await crm.page.getByText('Edit: Not accepted').waitFor();
  await crm.page.getByRole('button', { name: 'Discard this change' }).click();
  await crm.untilPill(/^All changes confirmed$/);

  expect(await notesInPostgres(id)).toBeNull();
  await crm.page.locator('[data-notes]', { hasText: 'No notes yet.' }).waitFor();
});

/** Runs in the page: writes a little to a database of its own, and says what came of it. */
function tryToWrite(): Promise<string> {
  return new Promise((resolve) => {
    const opening = indexedDB.open('probe');
    opening.onupgradeneeded = () => opening.result.createObjectStore('things');
    opening.onerror = () => resolve(opening.error?.name ?? 'unknown');
    opening.onsuccess = () => {
      const transaction = opening.result.transaction('things', 'readwrite');
      transaction.objectStore('things').put('something', 'key');
      transaction.oncomplete = () => resolve('written');
      transaction.onabort = () => resolve(transaction.error?.name ?? 'unknown');
    };
  });
}
