import { expect, test } from 'vitest';
import { crmPage } from './support/crm-page.ts';
import { withTwoBrowsers } from './support/two-browsers.ts';

const open = withTwoBrowsers();

test('Q19 · two tabs deliver each change once, and whoever else is signed in sees it', async () => {
  const accounts = await open.world.query<{ id: string }>(
    "select id from accounts where workspace_id = 'meridian-world' and kind = 'large_airport' order by name limit 20",
  );
  const ids = accounts.map(({ id }) => id);
  const a = crmPage(await open.mine.newPage());
  await a.page.goto(open.world.line.url);
  await a.signIn('Amara Okafor');
  const b = crmPage(await open.mine.newPage());
  await b.page.goto(open.world.line.url);
  await b.untilPill(/^All changes confirmed$/);
  const c = crmPage(await open.other.newPage());
  await c.page.goto(open.world.line.url);
  await c.signIn('Amara Okafor');
  await c.openAccount(ids[0] ?? '');

  // each tab its own accounts: of two edits of one field one would wait for a person to choose
  const edit = async (crm: typeof a, tab: string, own: readonly string[]): Promise<void> => {
    for (const id of own) await crm.writeNotes(id, `from tab ${tab}`);
  };
  await Promise.all([edit(a, 'A', ids.slice(0, 10)), edit(b, 'B', ids.slice(10))]);
  await Promise.all([a, b].map((crm) => crm.untilPill(/^All changes confirmed$/)));

  expect(open.world.line.sent.size).toBe(20);
  expect([...open.world.line.sent.values()]).toEqual(Array.from({ length: 20 }, () => 1));
  expect(await open.world.query('select count(*)::int as count from holdfast.ledger')).toEqual([{ count: 20 }]);
  expect(await open.world.query('select count(distinct client_id)::int as count from holdfast.ledger')).toEqual([
    { count: 1 },
  ]);
  // the browser of someone else, who did nothing
  await c.page.locator('[data-notes]', { hasText: 'from tab' }).waitFor();
});

test('when the tab that delivers is closed, the other one goes on', async () => {
  const [account] = await open.world.query<{ id: string }>(
    "select id from accounts where iata = 'LHR' and workspace_id = 'meridian-world'",
  );
  const id = account?.id ?? '';
  const [first, second] = open.mine.context.pages().filter((page) => page.url().startsWith(open.world.line.url));
  await first?.close();
  if (second === undefined) throw new Error('There is no second tab.');

  await crmPage(second).writeNotes(id, 'after the leader has gone');
  await crmPage(second).untilPill(/^All changes confirmed$/);

  expect(await open.world.query('select notes from accounts where id = $1', [id])).toEqual([
    { notes: 'after the leader has gone' },
  ]);
});

test("5 · another user on the same device neither sees nor sends the first one's changes", async () => {
  const crm = crmPage(
    open.mine.context.pages().filter((page) => page.url().startsWith(open.world.line.url))[0] ??
      (await open.mine.newPage()),
  );
  const [account] = await open.world.query<{ id: string }>(
    "select id from accounts where iata = 'JFK' and workspace_id = 'meridian-world'",
  );
  const id = account?.id ?? '';
  await open.mine.context.setOffline(true);
  await crm.writeNotes(id, "Amara's, made offline");
  const signOut = async (name: string): Promise<void> => {
    await crm.page.getByRole('button', { name: `Signed in as ${name}` }).click();
    await crm.page.getByRole('menuitem', { name: 'Sign out' }).click();
  };
  await signOut('Amara Okafor');
  await open.mine.context.setOffline(false);

  await crm.page.goto(open.world.line.url);
  await crm.signIn('Jonas Lindqvist');
  await crm.untilPill(/^All changes confirmed$/);
  expect(await crm.page.getByText(/^2,8\d\d accounts$/).count()).toBe(1);
  expect(await open.world.query('select notes from accounts where id = $1', [id])).toEqual([{ notes: null }]);

  await signOut('Jonas Lindqvist');
  await crm.signIn('Amara Okafor');
  await crm.untilPill(/^All changes confirmed$/);
  expect(await open.world.query('select notes from accounts where id = $1', [id])).toEqual([
    { notes: "Amara's, made offline" },
  ]);
});
