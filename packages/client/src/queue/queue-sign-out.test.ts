import { describe, expect, test } from 'vitest';
import { BrowserSimulator } from '../testing/browser-simulator.ts';
import { AppRun } from '../testing/app-run.ts';
import { note, TestDevice, type TestQueue } from './testing-queue/test-device.ts';

const SECOND_MS = 1_000;

/** Two tabs, offline, with three changes that surely were never sent; the first tab is the one that would deliver. */
async function offlineWithThree(): Promise<{
  readonly device: TestDevice;
  readonly leader: TestQueue;
  readonly other: TestQueue;
  readonly ids: readonly string[];
}> {
  const device = new TestDevice();
  const leader = await device.open();
  const other = await device.open();
  await device.goOffline();
  const handles = [await leader.add(note('a')), await other.add(note('b')), await leader.add(note('c'))];
  await device.clock.settle();
  return { device, leader, other, ids: handles.map(({ id }) => id) };
}

/** Waits for what takes its time. */
async function after<Result>(device: TestDevice, ms: number, promise: Promise<Result>): Promise<Result> {
  await device.clock.pass(ms);
  return promise;
}

/** What becomes known when the user signs in again, in a browser that was started anew. */
async function signInAgain(device: TestDevice): Promise<TestQueue> {
  return device.open({ tabs: new BrowserSimulator().openTabs });
}

describe('without a choice', () => {
  test('R5 · with something pending, signing out without a choice changes nothing, and says what is pending', async () => {
    const { device, leader, other, ids } = await offlineWithThree();
    const before = await device.storage.dump();

    expect(await other.signOut()).toEqual({
      kind: 'undecided',
      pendingCount: 3,
      failedCount: 0,
      waitingFor: 'network',
    });

    expect(await device.storage.dump()).toEqual(before);
    await device.goOnline();
    expect(device.server.effects.toSorted()).toEqual(ids.toSorted());
    expect(await leader.listActs()).toEqual([]);
  });

  test('R5 · with nothing pending it ends as signed out, in every tab, and dead letters stay', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    const other = await device.open();
    device.server.judge = () => 'rejected';
    const dead = await queue.add(note('a'));
    await dead.settled;
    await device.clock.settle();

    expect(await other.signOut()).toEqual({
      kind: 'signedOut',
      sentCount: 0,
      takenBackCount: 0,
      mayHaveTakenEffectCount: 0,
      keptCount: 0,
    });

    await expect(other.add(note('b'))).rejects.toMatchObject({ code: 'QUEUE_CLOSED' });
    await device.clock.settle();
    expect(queue.getSnapshot()).toMatchObject({ waitingFor: 'auth', error: { code: 'SIGNED_OUT' }, failedCount: 1 });
  });

  test('R5 · a choice that there is none of is refused', async () => {
    const { leader } = await offlineWithThree();

    await expect(leader.signOut('drop' as never)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    await expect(leader.signOut('keep', { actor: '' })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    expect(leader.getSnapshot()).toMatchObject({ pendingCount: 3, waitingFor: 'network' });
  });
});

describe('send first', () => {
  test('R5 · what is pending is sent first, and then the login ends', async () => {
    const { device, other, ids } = await offlineWithThree();
    await device.goOnline(() => 'unavailable');
    await device.clock.pass(300 * SECOND_MS);
    device.server.judge = () => 'applied';

    const result = await after(device, SECOND_MS, other.signOut('sendFirst'));

    expect(result).toMatchObject({ kind: 'signedOut', sentCount: 3, keptCount: 0 });
    expect(device.server.effects.toSorted()).toEqual(ids.toSorted());
  });

  test('R5 · when some cannot be sent it says how many are left, and nobody is signed out', async () => {
    const { device, leader, ids } = await offlineWithThree();

    expect(await after(device, SECOND_MS, leader.signOut('sendFirst'))).toEqual({
      kind: 'unsent',
      sentCount: 0,
      pendingCount: 3,
      failedCount: 0,
      waitingFor: 'network',
    });

    await device.goOnline();
    expect(device.server.effects.toSorted()).toEqual(ids.toSorted());
  });
});

describe('keep', () => {
  test('R5 · kept, nothing is sent from any tab until the same user signs in again; then all of it, in order', async () => {
    const { device, leader, other, ids } = await offlineWithThree();

    expect(await after(device, SECOND_MS, other.signOut('keep', { reason: 'end of shift' }))).toMatchObject({
      kind: 'signedOut',
      keptCount: 3,
    });
    await device.goOnline();
    await device.clock.pass(600 * SECOND_MS);

    expect(device.server.requests).toEqual([]);
    expect(await leader.explain(ids[0] ?? '')).toMatchObject({
      status: 'pending',
      waitingFor: 'auth',
      whatToDo: 'Sign in again, then call `loginChanged()`; after `signOut`, create the queue anew.',
    });
    // neither a word of the app in another tab nor a reload of its queue undoes it
    leader.loginChanged();
    await leader.restart();
    await device.clock.pass(SECOND_MS);
    expect(device.server.requests).toEqual([]);

    const back = await device.open();
    await device.clock.settle();
    expect(device.server.effects).toEqual(ids);
    expect(leader.getSnapshot()).toMatchObject({ waitingFor: 'nothing', pendingCount: 0 });
    expect(await back.listActs()).toMatchObject([
      { kind: 'signOut', actor: 'ann', reason: 'end of shift', touchedCount: 0 },
    ]);
  });

  test('R5 · a tab that heard nothing of it finds out before it sends', async () => {
    const { device, leader, other } = await offlineWithThree();
    device.browser.isLosingMessages = true;
    const signingOut = other.signOut('keep');
    await device.clock.pass(10 * SECOND_MS);
    expect(await signingOut).toMatchObject({ kind: 'signedOut', keptCount: 3 });

    await device.goOnline();
    await device.clock.pass(600 * SECOND_MS);

    expect(device.server.requests).toEqual([]);
    expect(leader.getSnapshot()).toMatchObject({ isLeader: true, waitingFor: 'auth' });
  });

  test('R5 · another user neither sends nor sees what was kept', async () => {
    const { device, leader, other } = await offlineWithThree();
    await leader.signOut('keep');
    await other.close();
    await device.goOnline();

    const bob = await device.open({ identity: { userId: 'bob', workspaceId: 'home' } });
    await device.clock.pass(60 * SECOND_MS);

    expect(bob.getSnapshot()).toMatchObject({ pendingCount: 0, waitingFor: 'nothing' });
    expect(device.server.requests).toEqual([]);
  });

  test('R5 · what is on its way is let finish', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    device.server.hold();
    const { id, settled } = await queue.add(note('a'));
    await device.clock.settle();

    const signingOut = queue.signOut('keep');
    await device.clock.settle();
    device.server.release();

    expect(await signingOut).toMatchObject({ kind: 'signedOut', keptCount: 0 });
    expect(await settled).toMatchObject({ status: 'completed', id });
  });
});

describe('discard', () => {
  test('R5 · discarded, what was never sent is taken back from any tab, recorded with actor and reason', async () => {
    const { device, leader, other, ids } = await offlineWithThree();
    const child = await leader.add({ ...note('d'), dependsOn: [ids[0] ?? ''] });

    const result = await after(device, SECOND_MS, other.signOut('discard', { actor: 'bea', reason: 'shared tablet' }));

    expect(result).toEqual({
      kind: 'signedOut',
      sentCount: 0,
      takenBackCount: 4,
      mayHaveTakenEffectCount: 0,
      keptCount: 0,
    });
    expect(Object.keys(await device.storage.dump()).filter((key) => /^[pfb]\//.test(key))).toEqual([]);
    await device.goOnline();
    const back = await signInAgain(device);
    await device.clock.pass(60 * SECOND_MS);
    expect(device.server.requests).toEqual([]);
    const [act] = await back.listActs();
    expect(act).toMatchObject({ kind: 'signOut', actor: 'bea', reason: 'shared tablet', touchedCount: 4 });
    expect(act?.ids.toSorted()).toEqual([...ids, child.id].toSorted());
    expect(await back.settled(child.id)).toEqual({ status: 'cancelled', id: child.id });
  });

  test('R5 · what may have been sent is discarded too, and said to have perhaps taken effect', async () => {
    const device = new TestDevice();
    const queue = await device.open();
    device.server.isLosingAnswers = true;
    const sent = await queue.add(note('a'));
    await device.clock.settle();
    const fresh = await queue.add(note('b'));
    const other = await device.open();

    const result = await after(device, SECOND_MS, other.signOut('discard'));

    expect(result).toMatchObject({ kind: 'signedOut', takenBackCount: 1, mayHaveTakenEffectCount: 1, keptCount: 0 });
    expect(await sent.settled).toEqual({ status: 'cancelled', id: sent.id, reason: 'unconfirmed' });
    expect(await fresh.settled).toEqual({ status: 'cancelled', id: fresh.id });
    const back = await signInAgain(device);
    expect(await back.settled(sent.id)).toEqual({ status: 'cancelled', id: sent.id, reason: 'unconfirmed' });
    expect(device.server.sentIds.flat()).not.toContain(fresh.id);
  });

  test('R5 · a tab that delivers and does not answer does not keep anybody from discarding', async () => {
    const { device, other } = await offlineWithThree();
    device.browser.isLosingMessages = true;

    const signingOut = other.signOut('discard');
    await device.clock.pass(40 * SECOND_MS);

    // Only the silent one knew that they were never sent.
    expect(await signingOut).toMatchObject({ kind: 'signedOut', takenBackCount: 0, mayHaveTakenEffectCount: 3 });
  });

  test.each(['before', 'after'] as const)(
    'R5 · killed at any write of it (%s), the login is over or it is not, and nothing that was to be discarded is sent when the user is back',
    async (when) => {
      for (let writeNumber = 1; writeNumber <= 3; writeNumber += 1) {
        const device = new TestDevice();
        const run = new AppRun();
        device.storage.simulator.onCrash = () => run.end();
        const queue = await device.open({ clock: run.clockOf(device.clock) });
        await device.goOffline();
        const ids = [(await queue.add(note('a'))).id, (await queue.add(note('b'))).id];
        device.storage.simulator.crashAtWrite(writeNumber, when);
        void queue.signOut('discard');
        await device.clock.pass(SECOND_MS);
        expect(run.isAlive).toBe(false);

        device.network.isReachable = true;
        device.server.judge = () => 'applied';
        const back = await signInAgain(device);
        await device.clock.pass(60 * SECOND_MS);

        const isOver = writeNumber > 1 || when === 'after';
        expect(device.server.effects).toEqual(isOver ? [] : ids);
        expect(back.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 0, waitingFor: 'nothing' });
        for (const id of ids)
          expect(await back.settled(id)).toMatchObject({ status: isOver ? 'cancelled' : 'completed' });
      }
    },
  );

  test('R5 · what is added after the sign-out, in a tab that is still open, is kept', async () => {
    const { device, leader, other } = await offlineWithThree();
    device.storage.isFull = ({ changes }) => changes.some(({ key }) => key.startsWith('x/'));
    const signingOut = other.signOut('discard');
    await device.clock.pass(SECOND_MS);
    const later = await leader.add(note('later'));
    device.storage.isFull = () => false;
    await device.clock.pass(40 * SECOND_MS);

    expect(await signingOut).toMatchObject({ kind: 'signedOut', takenBackCount: 3, keptCount: 1 });
    await device.goOnline();
    const back = await device.open();
    await device.clock.pass(SECOND_MS);
    expect(device.server.effects).toEqual([later.id]);
    expect(back.getSnapshot().pendingCount).toBe(0);
  });
});
