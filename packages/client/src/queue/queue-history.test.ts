import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { EngineRig } from '../engine/testing-engine/engine-rig.ts';
import { defineMutation } from '../mutation/definition.ts';
import { parentsOf } from './store/history.ts';
import { TestDevice } from './testing-queue/test-device.ts';

const types = [
  defineMutation({
    type: 'folder.create',
    payload: v.object({ id: v.string() }),
    result: v.object({ id: v.string() }),
    operation: 'create',
    entity: ({ id }) => ({ table: 'folders', id }),
  }),
  defineMutation({ type: 'log.write', payload: v.object({ line: v.string() }), operation: 'custom' }),
] as const;

const EIGHT_DAYS_MS = 8 * 24 * 3_600_000;
const create = { type: 'folder.create', payload: { id: 'a' } } as const;

/** The creation is confirmed by one tab, of which the other hears nothing; eight days later history is swept. */
async function confirmUnheard(
  addChild: (other: Awaited<ReturnType<typeof openTab>>, parentId: string) => Promise<{ readonly id: string }>,
): Promise<{ device: TestDevice; other: Awaited<ReturnType<typeof openTab>>; child: { readonly id: string } }> {
  const device = new TestDevice();
  const leader = await openTab(device);
  const other = await openTab(device);
  await device.goOffline();
  const parent = await other.add(create);
  const child = await addChild(other, parent.id);
  await device.clock.settle();
  device.browser.isLosingMessages = true;
  await device.goOnline(({ type }) => (type === 'folder.create' ? 'applied' : 'deferred'));
  expect(device.server.effects).toEqual([parent.id]);
  device.clock.wallOffsetMs += EIGHT_DAYS_MS;
  await (await openTab(device)).close();
  await leader.close();
  device.browser.isLosingMessages = false;
  device.server.judge = () => 'applied';
  await device.clock.pass(120_000);
  return { device, other, child };
}

const openTab = (device: TestDevice) => device.openWith(types);

describe('history that is over', () => {
  test('Q8 · history is kept while something depends on it: a tab that had heard of nothing does not take it for disposed of', async () => {
    const { device, other, child } = await confirmUnheard((tab, parentId) =>
      tab.add({ type: 'log.write', payload: { line: 'x' }, dependsOn: [parentId] }),
    );
    expect(await other.settled(child.id)).toMatchObject({ status: 'completed' });
    expect(device.server.effects).toHaveLength(2);
    await other.close();
  });

  test('Q8 · history keeps the value that it returned, for whoever waits for that', async () => {
    const { device, other, child } = await confirmUnheard((tab, parentId) => {
      const line = { holdfastSlot: { mutationId: parentId, path: ['id'], kind: 'string' } } as unknown as string;
      return tab.add({ type: 'log.write', payload: { line } });
    });
    expect(await other.settled(child.id)).toMatchObject({ status: 'completed' });
    expect(device.server.requests.at(-1)?.request.mutations).toMatchObject([
      { payload: { line: expect.any(String) as string } },
    ]);
    await other.close();
  });

  test('Q8 · history of what nothing stands on is forgotten after 7 days, what was disposed of too', async () => {
    const device = new TestDevice();
    const queue = await openTab(device);
    const { id } = await queue.add(create);
    await device.goOffline();
    const taken = await queue.add({ type: 'log.write', payload: { line: 'x' } });
    await queue.cancel(taken.id);
    device.clock.wallOffsetMs += EIGHT_DAYS_MS;
    await (await openTab(device)).close();
    const keys = Object.keys(await device.storage.dump());
    expect(keys.filter((key) => [`d/${id}`, `x/${taken.id}`].includes(key))).toEqual([]);
    await queue.close();
  });

  test('Q4 · what was counted by a commit that failed only for us is counted once, though its history was swept since', async () => {
    const device = new TestDevice();
    let isUnheard = true;
    const queue = await device.openWith(types, {
      storage: async (name) => {
        const opened = await device.storage.open(name);
        return {
          ...opened,
          commit: async (batch) => {
            const result = await opened.commit(batch);
            if (isUnheard && batch.changes.some(({ key }) => key === 'meta/completed'))
              throw new Error('The disk said nothing.');
            return result;
          },
        };
      },
    });
    await queue.add(create);
    await device.clock.settle();
    device.clock.wallOffsetMs += EIGHT_DAYS_MS;
    await (await openTab(device)).close();
    isUnheard = false;
    await device.clock.pass(60_000);

    expect((await queue.getStatus()).counts).toMatchObject({ pending: 0, completed: 1 });
    await queue.close();
  });
});

test('Q8, S7 · what something still lacks a value of is kept, also where it was confirmed just before that was stored', () => {
  const rig = new EngineRig();
  const slot = { placeholder: 'of a creation', parentId: 'creation', from: ['id'] };
  rig.input({ kind: 'found', headers: [rig.header({ slots: [slot] })], deadLetters: [] });

  const isParent = parentsOf(rig.engine.mutations);

  expect([isParent('creation'), isParent('another')]).toEqual([true, false]);
});
