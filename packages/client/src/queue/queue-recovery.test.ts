import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { defineMutation } from '../mutation/definition.ts';
import { checksum } from '../mutation/checksum.ts';
import type { OpenStorage, Storage } from '../ports/storage.ts';
import { BrowserSimulator } from '../testing/browser-simulator.ts';
import { note, TestDevice } from './testing-queue/test-device.ts';

/** Leaves changes of these notes in the store, unsent, and then changes what stands under a key. */
async function leaveDamaged(device: TestDevice, ids: readonly string[], damage: Readonly<Record<string, string>>) {
  await device.goOffline();
  const queue = await device.open();
  const handles: string[] = [];
  for (const id of ids) handles.push((await queue.add(note(id))).id);
  await queue.close();
  await rewrite(device, damage);
  await device.goOnline();
  return handles;
}

async function rewrite(device: TestDevice, texts: Readonly<Record<string, string>>): Promise<void> {
  const store = await device.storage.peek();
  await store.commit({
    expect: [],
    changes: Object.entries(texts).map(([key, value]) => ({ kind: 'put', key, value })),
  });
}

const number = (seq: number): string => seq.toString(36).padStart(11, '0');
const rename = (payload: object) => ({ type: 'page.rename', payload }) as const;

function pageRename(schema: v.GenericSchema<object, object>) {
  return defineMutation({ type: 'page.rename', payload: schema, operation: 'custom' });
}

describe('what does not read', () => {
  test('S10 · one damaged record among many costs no other, and is shown, exported and discarded by a person', async () => {
    const device = new TestDevice();
    const [first = '', , third = ''] = await leaveDamaged(device, ['a', 'b', 'c'], { [`p/${number(2)}`]: 'torn' });
    const queue = await device.open();

    expect(device.server.effects).toEqual([first, third]);
    const status = await queue.getStatus();
    expect(status.recoveryActions).toEqual([{ action: 'REMOVE_INVALID', count: 1 }]);
    expect(status.counts).toMatchObject({ pending: 0, failed: 0, corrupted: 1 });
    const [found] = await queue.listQuarantine();
    expect(found).toMatchObject({ part: 'header', seq: 2, id: null, text: 'torn' });
    const exported = await queue.exportQuarantine({ actor: 'Olga', reason: 'for support' });
    const file = JSON.parse(exported) as { readonly quarantine: unknown; readonly checksum: string };
    await device.clock.pass(1);
    expect(file.quarantine).toEqual([found]);
    expect(file.checksum).toBe(checksum(JSON.stringify(file.quarantine)).toString(16).padStart(8, '0'));

    const key = found?.key ?? '';
    expect(await queue.discardQuarantined([key, 'q/p/unknown'], 'seen', { actor: 'Olga' })).toEqual({
      touchedCount: 1,
      ids: [key],
    });

    expect(await queue.listQuarantine()).toEqual([]);
    expect(await queue.listActs()).toMatchObject([
      { kind: 'discard', actor: 'Olga', reason: 'seen', ids: [key] },
      { kind: 'export', actor: 'Olga', reason: 'for support' },
    ]);
  });

  test('S10 · what is set aside stays so after a restart, and is not moved twice', async () => {
    const device = new TestDevice();
    await leaveDamaged(device, ['a'], { [`p/${number(1)}`]: 'torn' });
    await (await device.open()).close();
    const again = await device.open();

    expect(await again.listQuarantine()).toMatchObject([{ text: 'torn' }]);
    expect((await again.getStatus()).recoveryActions).toEqual([]);
    expect((await again.getStatus()).counts.corrupted).toBe(1);
  });

  test('S10 · what reads again, since another version of the app can read it, is put back by a person and sent once', async () => {
    const device = new TestDevice();
    await device.goOffline();
    const before = await device.open();
    const { id } = await before.add(note('a'));
    await before.close();
    const whole = (await device.storage.dump())[`p/${number(1)}`] ?? '';
    await rewrite(device, { [`p/${number(1)}`]: 'torn' });
    await device.goOnline();
    const queue = await device.open();
    const [found] = await queue.listQuarantine();
    expect(await queue.retryQuarantined([found?.key ?? ''])).toMatchObject({ touchedCount: 0 });
    expect(await queue.listQuarantine()).toHaveLength(1);

    // The bytes as they were.
    const key = 'q/p/00000000001';
    const record = JSON.parse(((await device.storage.dump())[key] ?? '').slice(9)) as object;
    const text = JSON.stringify({ ...record, text: whole });
    await rewrite(device, { [key]: `${checksum(text).toString(16).padStart(8, '0')} ${text}` });
    expect(await queue.retryQuarantined([key])).toEqual({ touchedCount: 1, ids: [id] });
    await device.clock.settle();

    expect(device.server.effects).toEqual([id]);
    expect(device.server.requests.at(-1)?.request.mutations[0]?.seq).toBe(2);
    expect(await queue.listQuarantine()).toEqual([]);
  });

  test('S10 · a dead letter that is damaged is written anew by a tab that knows it', async () => {
    const device = new TestDevice();
    device.server.judge = () => 'rejected';
    const queue = await device.open();
    const { id } = await queue.add(note('a'));
    await device.clock.settle();
    await rewrite(device, { [`f/${number(1)}`]: 'torn' });

    const result = await queue.recover();

    expect(result.actions).toEqual([{ action: 'RESTORE_KNOWN', count: 1 }]);
    await queue.close();
    const again = await device.open();
    expect(again.peekStatus(id)).toMatchObject({ status: 'failed', lastError: { code: 'BUSY' } });
  });

  test('S10 · what another tab has set aside, not knowing what it was, a tab that knows it makes a dead letter that can be retried', async () => {
    const device = new TestDevice();
    await device.goOffline();
    const queue = await device.open();
    const { id, settled } = await queue.add(note('a'));
    await rewrite(device, { [`p/${number(1)}`]: 'torn' });
    // It does not hear of the first, and takes the lead.
    const other = await device.open({ tabs: new BrowserSimulator().openTabs });
    expect(await other.listQuarantine()).toMatchObject([{ text: 'torn' }]);

    await other.close();
    await device.goOnline();
    await device.clock.pass(60_000);

    expect(await settled).toMatchObject({ status: 'failed', error: { code: 'UNREADABLE_RECORD' } });
    expect(await queue.listQuarantine()).toMatchObject([{ id }]);
    await queue.retry(id);
    await device.clock.pass(60_000);
    expect(await queue.listQuarantine()).toEqual([]);
    expect(device.server.effects).toEqual([id]);
  });

  test('S10 · of two tabs that know it at the same moment, the one that comes second hears of the dead letter too', async () => {
    const device = new TestDevice();
    await device.goOffline();
    const first = await device.open();
    let firstLooks = async (): Promise<void> => {};
    const second = await device.open({
      tabs: new BrowserSimulator().openTabs,
      storage: async (name) => {
        const opened = await device.storage.open(name);
        return {
          ...opened,
          commit: async (batch) => {
            if (batch.expect.some(({ key }) => key.startsWith('q/'))) await firstLooks();
            return opened.commit(batch);
          },
        };
      },
    });
    const { id } = await first.add(note('a'));
    await device.clock.pass(60_000);
    expect(second.peekStatus(id)).toMatchObject({ status: 'pending' });
    const told = second.settled(id);
    await rewrite(device, { [`p/${number(1)}`]: 'torn' });
    const third = await device.open({ tabs: new BrowserSimulator().openTabs });
    await third.close();
    firstLooks = async () => void (await first.recover());

    await second.recover();

    expect(await told).toMatchObject({ status: 'failed', error: { code: 'UNREADABLE_RECORD' } });
    expect(second.peekStatus(id)).toMatchObject({ status: 'failed' });
    await Promise.all([first.close(), second.close()]);
  });

  test('S10 · without a tab that delivers, what nobody knows is set aside all the same', async () => {
    const device = new TestDevice();
    await leaveDamaged(device, ['a'], { [`p/${number(1)}`]: 'torn' });
    // A tab that holds the lead, and answers nobody.
    const frozen = { hasLock: true, lead: () => () => {}, post: () => {}, onMessage: () => () => {}, close: () => {} };
    const queue = await device.open({ tabs: () => frozen });
    expect((await queue.getStatus()).recoveryActions).toEqual([{ action: 'KEEP_UNREADABLE', count: 1 }]);

    const recovering = queue.recover();
    await device.clock.pass(30_000);

    expect(await recovering).toEqual({
      actions: [{ action: 'REMOVE_INVALID', count: 1 }],
      checkedPayloadCount: null,
    });
  });

  test('S10 · what is pending and does not read holds the floor: its number never passes for a settled one', async () => {
    const device = new TestDevice();
    await leaveDamaged(device, ['a', 'b', 'c'], { [`p/${number(2)}`]: 'torn' });
    // It cannot be set aside.
    device.storage.isFull = ({ changes }) => changes.some(({ key }) => key.startsWith('q/'));
    const queue = await device.open();
    await queue.add(note('d'));
    await device.clock.settle();

    expect(device.server.effects).toHaveLength(3);
    expect(device.server.requests.at(-1)?.request.acknowledgedFloor).toBe(1);
    // Set aside, it gets another number when it is sent again.
    device.storage.isFull = () => false;
    await queue.recover();
    await queue.add(note('e'));
    await device.clock.settle();
    expect(device.server.requests.at(-1)?.request.acknowledgedFloor).toBe(4);
  });
});

describe('payloads', () => {
  test('S10 · recover by hand finds a damaged payload before it is sent, tells what depends on it, and sends the rest', async () => {
    const device = new TestDevice();
    await device.goOffline();
    const queue = await device.open();
    const bad = await queue.add(note('a'));
    const child = await queue.add({ ...note('c'), dependsOn: [bad] });
    const good = await queue.add(note('b'));
    await rewrite(device, { [`b/${number(1)}`]: 'torn' });

    const result = await queue.recover();

    expect(result).toEqual({ actions: [{ action: 'REMOVE_INVALID', count: 1 }], checkedPayloadCount: 3 });
    expect(await bad.settled).toMatchObject({ status: 'failed', error: { code: 'UNREADABLE_RECORD' } });
    expect(await child.settled).toMatchObject({ status: 'failed', error: { code: 'PARENT_FAILED' } });
    expect(await queue.listQuarantine()).toMatchObject([
      { part: 'payload', id: bad.id, type: 'note.save', text: 'torn' },
    ]);
    await device.goOnline();
    expect(device.server.effects).toEqual([good.id]);
    const { key } = (await queue.listQuarantine())[0] ?? { key: '' };
    expect(await queue.discardQuarantined([key], 'lost')).toEqual({ touchedCount: 1, ids: [bad.id] });
    expect(await queue.recover()).toEqual({ actions: [], checkedPayloadCount: 0 });
  });

  const strict = pageRename(v.object({ title: v.pipe(v.string(), v.minLength(3)) }));
  const loose = pageRename(v.object({ title: v.string() }));

  async function leaveShort(device: TestDevice) {
    await device.goOffline();
    const queue = await device.openWith([loose]);
    const handles = [await queue.add(rename({ title: 'a' })), await queue.add(rename({ title: 'long' }))];
    await queue.close();
    return handles.map(({ id }) => id);
  }

  test('S10 · what was stored and its schema refuses by now is not sent, but set aside; the others go', async () => {
    const device = new TestDevice();
    const [short = '', long = ''] = await leaveShort(device);
    await device.goOnline();
    const queue = await device.openWith([strict]);

    expect(device.server.effects).toEqual([long]);
    expect(queue.peekStatus(short)).toMatchObject({ status: 'failed', lastError: { code: 'PAYLOAD_REFUSED' } });
    expect(await queue.listQuarantine()).toMatchObject([
      { part: 'payload', id: short, bodyText: '{"payload":{"title":"a"}}' },
    ]);
    expect((await queue.explain(short)).whatToDo).toContain('retry');
    // A person sends it all the same.
    const { key } = (await queue.listQuarantine())[0] ?? { key: '' };
    expect(await queue.retryQuarantined([key])).toEqual({ touchedCount: 1, ids: [short] });
    await device.clock.settle();
    expect(device.server.effects).toEqual([long, short]);
  });

  test('S10 · the same is found by hand while offline', async () => {
    const device = new TestDevice();
    const [short = ''] = await leaveShort(device);
    const queue = await device.openWith([strict]);

    const { actions } = await queue.recover();

    expect(actions).toEqual([{ action: 'REMOVE_INVALID', count: 1 }]);
    expect(queue.peekStatus(short)).toMatchObject({ status: 'failed', lastError: { code: 'PAYLOAD_REFUSED' } });
  });

  test.each([
    { name: 'that makes another form of it', schema: v.object({ title: v.pipe(v.string(), v.transform(Number)) }) },
    {
      name: 'that answers only later',
      schema: v.objectAsync({
        title: v.pipeAsync(
          v.string(),
          v.checkAsync(async () => true),
        ),
      }) as never,
    },
  ])('S10 · a schema $name is not asked about what is stored, and all of it is sent', async ({ schema }) => {
    const device = new TestDevice();
    const definition = pageRename(schema);
    await device.goOffline();
    const before = await device.openWith([definition]);
    const { id } = await before.add(rename({ title: '7' }));
    await before.close();
    const queue = await device.openWith([definition]);
    expect(await queue.recover()).toEqual({ actions: [], checkedPayloadCount: 1 });
    await device.goOnline();

    expect(device.server.effects).toEqual([id]);
    expect(Object.keys(device.server.requests.at(-1)?.request.mutations[0] ?? {})).not.toContain('isOneWay');
  });
});

describe('any kill, while things are set aside', () => {
  test.each(['before', 'after'] as const)(
    'S10 · killed just %s any write of it, the bytes are there, once',
    async (when) => {
      for (let write = 1; ; write += 1) {
        const device = new TestDevice();
        const [good = ''] = await leaveDamaged(device, ['a', 'b'], { [`p/${number(2)}`]: 'torn' });
        let isDead = false;
        device.storage.simulator.onCrash = () => {
          isDead = true;
        };
        device.storage.simulator.crashAtWrite(write, when);
        const killed = await device.open();
        if (!isDead) {
          expect(write).toBeGreaterThan(3);
          await killed.close();
          break;
        }
        const again = await device.open({ tabs: new BrowserSimulator().openTabs });

        expect(await again.listQuarantine(), `write ${write}`).toMatchObject([{ seq: 2, text: 'torn' }]);
        expect(new Set(device.server.effects)).toEqual(new Set([good]));
      }
    },
  );
});

test('S10 · a look through all that fails stops nothing: what waits goes on when the store reads again', async () => {
  const device = new TestDevice();
  let isFailing = false;
  const storage: OpenStorage = async (name) => {
    const opened = await device.storage.open(name);
    const scan: Storage['scan'] = async (query) => {
      if (isFailing && query.prefix === 'f/') throw new Error('The disk does not answer.');
      return opened.scan(query);
    };
    return { ...opened, scan };
  };
  const queue = await device.open({ storage });
  isFailing = true;
  const recovering = queue.recover();
  await expect(recovering).rejects.toThrow('does not answer');
  const { id } = await queue.add(note('a'));
  await device.clock.pass(3_000);
  isFailing = false;

  await device.clock.pass(2_000);

  expect(device.server.effects).toEqual([id]);
});
