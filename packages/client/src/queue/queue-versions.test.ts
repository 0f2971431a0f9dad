import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { defineMutation } from '../mutation/definition.ts';
import type { HoldfastError } from '../mutation/holdfast-error.ts';
import type { StorageBatch } from '../ports/storage.ts';
import type { WireMutation } from '../protocol/wire.ts';
import { checksum } from '../mutation/checksum.ts';
import { BODY, META, PENDING, seqKey } from './store/record-keys.ts';
import { countText } from './store/stored-meta.ts';
import { TestDevice } from './testing-queue/test-device.ts';

/** The same type in three versions of an app: a contact with one name, with two, and in another table. */
const first = defineMutation({
  type: 'contact.save',
  payload: v.object({ id: v.string(), name: v.string() }),
  operation: 'update',
  entity: ({ id }) => ({ table: 'contacts', id }),
});
const second = defineMutation({
  type: 'contact.save',
  version: 2,
  payload: v.object({ id: v.string(), given: v.string(), family: v.string() }),
  operation: 'update',
  entity: ({ id }) => ({ table: 'contacts', id }),
  migrate: { 1: splitName },
});
const third = defineMutation({
  type: 'contact.save',
  version: 3,
  payload: v.object({ person: v.string(), given: v.string(), family: v.string() }),
  operation: 'update',
  entity: ({ person }) => ({ table: 'people', id: person }),
  migrate: { 1: splitName, 2: ({ id, ...names }: { readonly id: string }) => ({ person: id, ...names }) },
});
/** Knows no way from version 1. */
const secondWithoutSteps = defineMutation({
  type: 'contact.save',
  version: 2,
  payload: v.object({ id: v.string(), given: v.string(), family: v.string() }),
  operation: 'update',
  entity: ({ id }) => ({ table: 'contacts', id }),
});
const other = defineMutation({ type: 'other', payload: v.object({ n: v.number() }), operation: 'custom' });

function splitName({ id, name }: { readonly id: string; readonly name: string }) {
  const [given = '', family = ''] = name.split(' ');
  if (given === '') throw new Error('a contact without a name');
  return { id, given, family };
}

const save = (id: string, name = 'Ann Lee') => ({ type: 'contact.save', payload: { id, name } }) as const;

/** What an app of version 1 leaves behind that could not send. */
async function leftOffline(device: TestDevice, ...inputs: readonly ReturnType<typeof save>[]): Promise<string[]> {
  await device.goOffline();
  const queue = await device.openWith([first]);
  const ids: string[] = [];
  for (const input of inputs) ids.push((await queue.add(input)).id);
  await queue.close();
  return ids;
}

function sent(device: TestDevice): readonly WireMutation[] {
  return device.server.requests.flatMap(({ request }) => request.mutations);
}

describe('an app that is newer than what waits', () => {
  test('Q17 · what waits is migrated step by step before it is sent, under the same ids and in the same order', async () => {
    const device = new TestDevice();
    const ids = await leftOffline(device, save('a'), save('b', 'Bo Ek'), save('a', 'Ann Berg'));
    device.server.requests.length = 0;

    await device.openWith([third]);
    await device.goOnline();
    await device.clock.pass(5_000);

    expect(device.server.effects).toEqual([ids[0], ids[1], ids[2]]);
    expect(sent(device).map(({ version, entity, payload }) => ({ version, entity, payload }))).toEqual([
      { version: 3, entity: { table: 'people', id: 'a' }, payload: { person: 'a', given: 'Ann', family: 'Lee' } },
      { version: 3, entity: { table: 'people', id: 'b' }, payload: { person: 'b', given: 'Bo', family: 'Ek' } },
      { version: 3, entity: { table: 'people', id: 'a' }, payload: { person: 'a', given: 'Ann', family: 'Berg' } },
    ]);
  });

  test('Q17, Q21 · its first form is kept, and travels along: the server knows it by that', async () => {
    const device = new TestDevice();
    await leftOffline(device, save('a'));
    device.server.requests.length = 0;

    const queue = await device.openWith([second]);
    await device.clock.pass(1_000);
    await queue.close();
    // Two updates of the app later.
    await device.openWith([third]);
    await device.goOnline();
    await device.clock.pass(5_000);

    expect(sent(device).at(-1)).toMatchObject({
      version: 3,
      payload: { person: 'a', given: 'Ann', family: 'Lee' },
      original: {
        version: 1,
        operation: 'update',
        entity: { table: 'contacts', id: 'a' },
        payload: { id: 'a', name: 'Ann Lee' },
      },
    });
  });

  test('Q17 · what the app adds to the same row comes behind what was migrated to it', async () => {
    const device = new TestDevice();
    const [old = ''] = await leftOffline(device, save('a'));

    const queue = await device.openWith([third]);
    const added = await queue.add({ type: 'contact.save', payload: { person: 'a', given: 'Ann', family: 'Ek' } });
    await device.goOnline();
    await device.clock.pass(5_000);

    expect(device.server.effects).toEqual([old, added.id]);
  });

  test('Q17 · 250 that wait are migrated a hundred at a time; killed in between, the rest follows', async () => {
    const device = new TestDevice();
    const inputs = Array.from({ length: 250 }, (_, index) => save(`c${index}`));
    const ids = await leftOffline(device, ...inputs);
    const rewritten = (batch: StorageBatch): number =>
      batch.changes.filter(({ key }) => key.startsWith(PENDING)).length;
    const counts = (): readonly number[] => device.storage.commits.map(rewritten).filter((count) => count > 0);
    device.storage.commits = [];

    // Nothing can be written any more after the first.
    device.storage.isFull = (batch) => rewritten(batch) > 0 && counts().length > 0;
    const queue = await device.openWith([second]);
    await device.clock.pass(1_000);
    const [firstCount = 0] = counts();
    expect(counts()).toEqual([firstCount]);
    expect(firstCount).toBeLessThanOrEqual(100);
    await queue.close();

    device.storage.isFull = () => false;
    await device.openWith([second]);
    await device.clock.pass(1_000);
    expect(counts().reduce((sum, count) => sum + count)).toBe(250);
    expect(Math.max(...counts())).toBeLessThanOrEqual(100);
    await device.goOnline();
    await device.clock.pass(60_000);
    expect(device.server.effects).toEqual(ids);
    expect(
      new Set(
        sent(device)
          .slice(-250)
          .map(({ version }) => version),
      ),
    ).toEqual(new Set([2]));
  });

  test('Q17 · every tab shows the migrated payload at once, also where another one delivers', async () => {
    const device = new TestDevice();
    await leftOffline(device, save('a'));

    const tab = await device.openWith([second]);
    const another = await device.openWith([second]);

    for (const queue of [tab, another])
      expect((await queue.readPending()).map(({ payload }) => payload)).toEqual([
        { id: 'a', given: 'Ann', family: 'Lee' },
      ]);
  });

  test('Q17 · the members of an atomic mutation are migrated too', async () => {
    const device = new TestDevice();
    await device.goOffline();
    const before = await device.openWith([first, other]);
    const { id } = await before.addAtomic([save('a'), { type: 'other', payload: { n: 1 } }]);
    await before.close();
    device.server.requests.length = 0;

    await device.openWith([third, other]);
    await device.goOnline();
    await device.clock.pass(5_000);

    expect(device.server.effects).toEqual([id]);
    expect(sent(device).at(-1)?.payload['members']).toMatchObject([
      { type: 'contact.save', version: 3, entity: { table: 'people', id: 'a' }, payload: { person: 'a' } },
      { type: 'other', version: 1, payload: { n: 1 } },
    ]);
  });
});

describe('no way leads to this version', () => {
  test('Q17 · what surely was never sent is a dead letter, OUTDATED, with its payload', async () => {
    const device = new TestDevice();
    const queue = await device.openWith([first]);
    const { id } = await queue.add({ ...save('a'), delayMs: 60_000 });
    await queue.close();

    const newer = await device.openWith([secondWithoutSteps]);
    await device.clock.pass(1_000);

    expect(await newer.getMutationStatus(id)).toMatchObject({ status: 'failed', lastError: { code: 'OUTDATED' } });
    expect(await newer.readDeadLetter(id)).toMatchObject({ version: 1, payload: { id: 'a', name: 'Ann Lee' } });
    expect(device.server.requests).toEqual([]);
  });

  test('Q17, Q21 · of what may have been sent the server is asked: it may have taken effect', async () => {
    const device = new TestDevice();
    const queue = await device.openWith([first]);
    device.server.isLosingAnswers = true;
    const { id } = await queue.add(save('a'));
    await device.clock.pass(1_000);
    await queue.close();
    device.server.isLosingAnswers = false;
    device.server.requests.length = 0;

    await device.goOffline();
    const newer = await device.openWith([secondWithoutSteps]);
    expect(await newer.getMutationStatus(id)).toMatchObject({
      status: 'pending',
      lastError: { code: 'OUTDATED' },
      sentence:
        'This version of the app cannot send it, and an earlier one may have: the server is asked what became of it as soon as it can be reached.',
    });
    device.server.requests.length = 0;
    await device.goOnline();
    await device.clock.pass(60_000);

    expect(await newer.getMutationStatus(id)).toMatchObject({ status: 'completed' });
    expect(device.server.effects).toEqual([id]);
    expect(sent(device)).toMatchObject([{ version: 1, payload: { id: 'a', name: 'Ann Lee' }, outdated: true }]);
  });

  test.each([
    ['a step throws', save('a', '')],
    ['the schema refuses what a step made', save('a', 'x'.repeat(300_000).slice(0, 200_000) + ' y')],
  ])('Q17 · where %s, it is told why, and a retry by a version that knows better delivers it', async (_, input) => {
    const device = new TestDevice();
    const queue = await device.openWith([first]);
    const { id } = await queue.add({ ...input, delayMs: 60_000 });
    await queue.close();
    const strict = defineMutation({
      ...second,
      payload: v.object({ id: v.string(), given: v.pipe(v.string(), v.maxLength(100)), family: v.string() }),
    });

    const newer = await device.openWith([strict]);
    await device.clock.pass(1_000);
    expect(await newer.getMutationStatus(id)).toMatchObject({ status: 'failed', lastError: { code: 'OUTDATED' } });
    await newer.close();

    const better = defineMutation({ ...second, migrate: { 1: () => ({ id: 'a', given: 'mended', family: '' }) } });
    const mended = await device.openWith([better]);
    await mended.retry(id);
    await device.clock.pass(5_000);
    expect(sent(device)).toMatchObject([{ id, generation: 1, version: 2, payload: { given: 'mended' } }]);
    expect(await mended.getMutationStatus(id)).toMatchObject({ status: 'completed' });
  });
});

describe('an app that is older than what waits', () => {
  test('Q17 · what a newer one has stored is left as it is and reported; its lane waits, and others go', async () => {
    const device = new TestDevice();
    await device.goOffline();
    const newer = await device.openWith([second, other]);
    const { id } = await newer.add({ type: 'contact.save', payload: { id: 'a', given: 'Ann', family: 'Lee' } });
    await newer.close();
    const before = await device.storage.dump();

    const old = await device.openWith([first, other]);
    const errors: HoldfastError[] = [];
    old.onError((error) => errors.push(error));
    const behind = await old.add(save('a', 'Ann Berg'));
    const beside = await old.add({ type: 'other', payload: { n: 1 } });
    await device.goOnline();
    await device.clock.pass(60_000);

    expect(device.server.effects).toEqual([beside.id]);
    expect(await old.getMutationStatus(id)).toMatchObject({
      status: 'pending',
      waitingFor: 'upgrade',
      sentence: 'It needs a newer version of this app; update it to go on.',
    });
    expect((await old.explain(id)).whatToDo).toBe('Install the newer version of the app.');
    expect(await old.getMutationStatus(behind.id)).toMatchObject({ waitingFor: 'lane' });
    const after = await device.storage.dump();
    for (const key of [seqKey(PENDING, 1), seqKey(BODY, 1)]) expect(after[key]).toBe(before[key]);
    await old.close();

    // Updated again, everything goes, in order, and what the old one stored meanwhile too.
    await device.openWith([second, other]);
    await device.clock.pass(60_000);
    expect(device.server.effects).toEqual([beside.id, id, behind.id]);
  });

  test('Q17 · it is reported once for each kind, and cannot be edited here', async () => {
    const device = new TestDevice();
    await device.goOffline();
    const newer = await device.openWith([second]);
    const payload = { id: 'a', given: 'Ann', family: 'Lee' };
    const { id } = await newer.add({ type: 'contact.save', payload });
    await newer.add({ type: 'contact.save', payload: { ...payload, id: 'b' } });
    await newer.close();

    const errors: string[] = [];
    const old = device.createWith([first]);
    old.onError(({ code }) => errors.push(code));
    await device.clock.settle();

    expect(errors).toEqual(['UPGRADE_REQUIRED']);
    await expect(old.edit(id, { id: 'a', name: 'x' })).rejects.toMatchObject({ code: 'UPGRADE_REQUIRED' });
    expect(await old.readPending()).toEqual([]);
  });

  test('Q17 · a tab of the old app leaves the lead to one of the new app that has stored something', async () => {
    const device = new TestDevice();
    const old = await device.openWith([first]);
    const newer = await device.openWith([second]);
    expect(old.getSnapshot().isLeader).toBe(true);

    const { id } = await newer.add({ type: 'contact.save', payload: { id: 'a', given: 'Ann', family: 'Lee' } });
    await device.clock.pass(5_000);

    expect(device.server.effects).toEqual([id]);
    expect(newer.getSnapshot().isLeader).toBe(true);
  });

  test('Q17 · with several tabs of the old app the lead goes straight to the one of the new app', async () => {
    const device = new TestDevice();
    const [first1, first2, first3] = [
      await device.openWith([first]),
      await device.openWith([first]),
      await device.openWith([first]),
    ];
    const newer = await device.openWith([second]);
    expect([first1, first2, first3].map((tab) => tab.getSnapshot().isLeader)).toEqual([true, false, false]);

    const { id } = await newer.add({ type: 'contact.save', payload: { id: 'a', given: 'Ann', family: 'Lee' } });
    await device.clock.pass(1_000);

    expect(device.server.effects).toEqual([id]);
    expect(newer.getSnapshot().isLeader).toBe(true);
  });

  test('Q17 · also where there are no locks: it does not come back before the other had the time', async () => {
    const device = new TestDevice();
    device.browser.hasLock = false;
    const old = await device.openWith([first]);
    await device.clock.pass(2_000);
    const newer = await device.openWith([second]);
    device.server.hold();
    await old.add(save('a'));
    await device.clock.settle();
    const { settled } = await newer.add({ type: 'contact.save', payload: { id: 'b', given: 'Bo', family: 'Ek' } });
    device.server.release();

    for (let second = 0; second < 15; second += 1) await device.clock.pass(1_000);

    expect(newer.getSnapshot().isLeader).toBe(true);
    expect((await settled).status).toBe('completed');
  });

  test('Q17 · opened meanwhile by a version with a newer format, a tab sends nothing more, and goes on storing', async () => {
    const device = new TestDevice();
    const queue = await device.openWith([first]);
    const errors: string[] = [];
    queue.onError(({ code }) => errors.push(code));
    const storage = await device.storage.peek();
    await storage.commit({ expect: [], changes: [{ kind: 'put', key: META.format, value: countText(1_000) }] });

    const { id } = await queue.add(save('a'));
    await device.clock.pass(60_000);

    expect(device.server.requests).toEqual([]);
    expect(queue.getSnapshot()).toMatchObject({ waitingFor: 'upgrade', pendingCount: 1, isLeader: false });
    expect(await queue.getMutationStatus(id)).toMatchObject({ waitingFor: 'upgrade' });
  });

  test('Q17 · a single record of a newer format is left as it is, and stops the tab too', async () => {
    const device = new TestDevice();
    await device.goOffline();
    const queue = await device.openWith([first]);
    await queue.add(save('a'));
    await queue.add(save('b'));
    await queue.close();
    const key = seqKey(PENDING, 1);
    const json = (await device.storage.dump())[key]?.slice(9).replace(/"format":\d+/, '"format":1000') ?? '';
    const value = `${checksum(json).toString(16).padStart(8, '0')} ${json}`;
    await (await device.storage.peek()).commit({ expect: [], changes: [{ kind: 'put', key, value }] });
    device.server.requests.length = 0;

    const old = await device.openWith([first]);
    await device.goOnline();
    await device.clock.pass(60_000);

    expect(device.server.requests).toEqual([]);
    expect(old.getSnapshot().waitingFor).toBe('upgrade');
    expect((await device.storage.dump())[key]).toBe(value);
  });
});

test.each([
  [{ version: 0 }, 'contact.save.version` must be a whole number from 1; it is 0'],
  [{ version: 1.5 }, 'contact.save.version` must be a whole number from 1; it is 1.5'],
  [{ version: 2, migrate: { 2: (payload: object) => payload } }, 'steps from versions before 2'],
  [{ version: 2, migrate: { 1: 'split' } }, 'contact.save.migrate[1]` must be a function'],
])('Q17 · a definition with %j is refused, and told why', async (wrong, message) => {
  const device = new TestDevice();

  await expect(device.openWith([{ ...first, ...wrong } as never])).rejects.toThrow(message);
});
