import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeProfile, startBrowser, type TestBrowser } from './support/browser.ts';
import { type CrmPage, crmPage } from './support/crm-page.ts';
import { openWorld, type World } from './support/world.ts';

const RECORD_COUNT = 50;
const EDITS_PER_RECORD = 4;
const EDIT_COUNT = RECORD_COUNT * EDITS_PER_RECORD;

let world: World;
let browser: TestBrowser;
let profile: Awaited<ReturnType<typeof makeProfile>>;

beforeAll(async () => {
  world = await openWorld();
  // counts effects on its own, beside everything of Holdfast's
  await world.query(`
    create table public.effects (number bigint generated always as identity, account_id uuid, notes text);
    create function public.count_effect() returns trigger language plpgsql security definer set search_path = '' as $$
    begin
        insert into public.effects (account_id, notes) values (new.id, new.notes);
        return null;
    end $$;
    create trigger count_effect after insert or update or delete on public.accounts
        for each row execute function public.count_effect();
  `);
  profile = await makeProfile();
});
afterAll(async () => {
  await browser.close();
  await profile.remove();
  await world.close();
});

test('Q1 · P1 · 200 edits in two tabs, offline, reloaded, killed in mid-delivery, answers lost: 200 effects, in order', async () => {
  const accounts = await world.query<{ id: string }>(
    "select id from accounts where workspace_id = 'meridian-world' and kind = 'large_airport' order by name limit $1",
    [RECORD_COUNT],
  );
  const ids = accounts.map(({ id }) => id);
  const [firstHalf, secondHalf] = [ids.slice(0, RECORD_COUNT / 2), ids.slice(RECORD_COUNT / 2)];
  /** What each record was told, in the order it was told. */
  const told = new Map<string, string[]>(ids.map((id) => [id, []]));
  const edit = async (crm: CrmPage, tab: string, round: number, half: readonly string[]): Promise<void> => {
    for (const id of half) {
      const notes = `round ${round}, tab ${tab}`;
      await crm.writeNotes(id, notes);
      told.get(id)?.push(notes);
    }
  };

  // two tabs, both offline
  browser = await startBrowser(profile.folder);
  const a = crmPage(await browser.newPage());
  await a.page.goto(world.line.url);
  await a.signIn('Amara Okafor');
  const b = crmPage(await browser.newPage());
  await b.page.goto(world.line.url);
  await b.untilPill(/^All changes confirmed$/);
  await browser.context.setOffline(true);
  await Promise.all([edit(a, 'A', 1, firstHalf), edit(b, 'B', 1, secondHalf)]);
  await Promise.all([edit(a, 'A', 2, secondHalf), edit(b, 'B', 2, firstHalf)]);

  // both are opened anew without a network, and go on
  await Promise.all([a.reload(), b.reload()]);
  await Promise.all([a, b].map((crm) => crm.untilPill(/^Offline · 100 changes saved on this device$/)));
  await Promise.all([edit(a, 'A', 3, firstHalf), edit(b, 'B', 3, secondHalf)]);
  await Promise.all([edit(a, 'A', 4, secondHalf), edit(b, 'B', 4, firstHalf)]);
  await Promise.all([a, b].map((crm) => crm.untilPill(new RegExp(`^Offline · ${EDIT_COUNT} changes saved`))));
  expect(world.line.counts.requests).toBe(0);

  // the network returns, loses the answer to the first batch and is silent about the second: then the browser dies
  world.line.decide = (number) => (number === 1 ? 'loseAnswer' : 'hold');
  await browser.context.setOffline(false);
  await world.line.untilHeld();
  await browser.kill();
  world.line.release();
  const [killed] = await world.query<{ count: number }>('select count(*)::int as count from holdfast.ledger');
  expect(killed?.count).toBeGreaterThan(0);
  expect(killed?.count).toBeLessThan(EDIT_COUNT);

  // the same profile again, on a line that loses every other answer and now and then a request
  const requestsBefore = world.line.counts.requests;
  world.line.decide = (number) => {
    const since = number - requestsBefore;
    return since > 8 ? 'deliver' : since % 4 === 3 ? 'loseRequest' : since % 2 === 1 ? 'loseAnswer' : 'deliver';
  };
  browser = await startBrowser(profile.folder);
  const [c, d] = [crmPage(await browser.newPage()), crmPage(await browser.newPage())];
  await Promise.all([c, d].map((crm) => crm.page.goto(world.line.url)));
  await Promise.all([c, d].map((crm) => crm.untilPill(/^All changes confirmed$/, 120_000)));

  // counted in Postgres
  const [counts] = await world.query(
    `select (select count(*)::int from public.effects) as effects,
            (select count(*)::int from holdfast.ledger where verdict = 'applied') as ledger,
            (select count(distinct mutation_id)::int from holdfast.ledger) as mutations,
            (select count(*)::int from holdfast.audit_log) as audit`,
  );
  expect(counts).toEqual({ effects: EDIT_COUNT, ledger: EDIT_COUNT, mutations: EDIT_COUNT, audit: EDIT_COUNT });

  // in the order they were made, record by record, in the effects and in the audit log
  const effects = await world.query<{ id: string; list: readonly string[] }>(
    'select account_id as id, array_agg(notes order by number) as list from public.effects group by account_id',
  );
  expect(new Map(effects.map(({ id, list }) => [id, list]))).toEqual(told);
  const audit = await world.query<{ id: string; list: readonly string[] }>(
    "select entity_id as id, array_agg(new_values ->> 'notes' order by id) as list from holdfast.audit_log group by entity_id",
  );
  expect(new Map(audit.map(({ id, list }) => [id, list]))).toEqual(told);

  // and everybody sees it
  for (const crm of [c, d]) {
    await crm.openAccount(ids[0] ?? '');
    await crm.page.locator('[data-notes]', { hasText: told.get(ids[0] ?? '')?.at(-1) ?? '' }).waitFor();
  }
  const repeats = [...world.line.sent.values()].filter((times) => times > 1).length;
  expect(repeats).toBeGreaterThan(0);
  console.log(
    `${EDIT_COUNT} edits: ${killed?.count} applied when the browser was killed; ${world.line.counts.requests} requests, ` +
      `${world.line.counts.lostAnswers} answers and ${world.line.counts.lostRequests} requests lost; ${repeats} mutations were sent more than once.`,
  );
});
