import { describe, expect, test } from 'vitest';
import type { WaitingFor } from '../engine/engine-io.ts';
import { TestKeys } from '../storage/testing-keys/test-keys.ts';
import type { Explanation } from './mutation-status.ts';
import { note, TestDevice, type TestQueue } from './testing-queue/test-device.ts';

interface Case {
  readonly sentence: string;
  readonly whatToDo: string;
  /** What else `explain` answers. */
  readonly explains: Partial<Explanation>;
  readonly options?: Parameters<TestDevice['open']>[0];
  /** Leaves something behind that waits for this, and says which. */
  readonly arrange: (device: TestDevice, queue: TestQueue) => Promise<string>;
}

const judged =
  (verdict: ReturnType<TestDevice['server']['judge']>): Case['arrange'] =>
  async (device, queue) => {
    device.server.judge = () => verdict;
    return (await queue.add(note('a'))).id;
  };

const keys = new TestKeys({ isInstant: true });

/** Every value has its case: one that is missing does not compile, nor does one that the union does not have. */
const CASES: { readonly [Value in WaitingFor]: Case } = {
  network: {
    sentence: 'It is saved on this device and is sent as soon as the server can be reached.',
    whatToDo: 'Nothing: it is safe on this device. Connect to a network to send it sooner.',
    explains: { canCancel: true, attemptCount: 0 },
    arrange: async (device, queue) => {
      await device.goOffline();
      return (await queue.add(note('a'))).id;
    },
  },
  circuit: {
    sentence: 'The server cannot serve at the moment; it is asked again at growing intervals.',
    whatToDo: 'Nothing: it is safe on this device. Call `process()` to ask the server at once.',
    explains: { canCancel: false, attemptCount: 0, nextAttemptAtMs: expect.any(Number) as number },
    arrange: judged('unavailable'),
  },
  rateLimit: {
    sentence: 'The server asked for a pause; it is sent when that is over.',
    whatToDo: 'Nothing: wait.',
    explains: { canCancel: false, attemptCount: 0, nextAttemptAtMs: expect.any(Number) as number },
    arrange: judged('rateLimited'),
  },
  backoff: {
    sentence: 'The server could not accept it this time; it is tried again shortly.',
    whatToDo: 'Nothing: wait, or call `process()` to try now.',
    explains: { canCancel: false, attemptCount: 1, nextAttemptAtMs: expect.any(Number) as number },
    arrange: judged('refused'),
  },
  lane: {
    sentence: 'It waits for an earlier change to the same thing.',
    whatToDo: 'Look at the one it waits for.',
    explains: { canCancel: true, behindId: 'id-2', nextAttemptAtMs: null },
    arrange: async (device, queue) => {
      await judged('refused')(device, queue);
      return (await queue.add(note('a', 'y'))).id;
    },
  },
  dependency: {
    sentence: 'It waits for another change that must be confirmed first.',
    whatToDo: 'Look at the ones that it depends on.',
    explains: { canCancel: true, parentIds: ['id-2'], nextAttemptAtMs: null },
    arrange: async (device, queue) => {
      const parent = await judged('refused')(device, queue);
      return (await queue.add({ ...note('b'), dependsOn: [parent] })).id;
    },
  },
  paused: {
    sentence: 'Sending is paused; resume it to go on.',
    whatToDo: 'Call `resume()`.',
    explains: { canCancel: true, pausedBy: expect.objectContaining({ actor: 'bea', reason: 'audit' }) as never },
    arrange: async (_, queue) => {
      await queue.pause({ actor: 'bea', reason: 'audit' });
      return (await queue.add(note('a'))).id;
    },
  },
  auth: {
    sentence: 'It waits for a valid sign-in; sign in again to go on.',
    whatToDo: 'Sign in again, then call `loginChanged()`; after `signOut`, create the queue anew.',
    explains: { login: { userId: 'ann', workspaceId: 'home' }, lastError: expect.objectContaining({}) as never },
    arrange: async (device, queue) => {
      device.token = null;
      return (await queue.add(note('a'))).id;
    },
  },
  policy: {
    sentence: 'It waits for Wi-Fi or for its time, as this app asks; it is sent within a day in any case.',
    whatToDo: 'Nothing: it is safe on this device. Call `process()` to send it now.',
    explains: { canCancel: true, nextAttemptAtMs: expect.any(Number) as number },
    options: { deliveryPolicy: { strategy: 'batched', batchCount: 100, batchDelayMs: 60_000 } },
    arrange: async (_, queue) => (await queue.add(note('a'))).id,
  },
  delay: {
    sentence: 'It can still be taken back; it is sent when the time for that is over.',
    whatToDo: 'Nothing: wait, or call `cancel(id)` to take it back.',
    explains: { canCancel: true, nextAttemptAtMs: expect.any(Number) as number },
    arrange: async (_, queue) => (await queue.add({ ...note('a'), delayMs: 5_000 })).id,
  },
  locked: {
    sentence: 'It is saved on this device, encrypted, and the key is not available; it is sent when the key is back.',
    whatToDo: 'Unlock the device or the key store; it goes on by itself then.',
    explains: { attemptCount: 0, nextAttemptAtMs: null },
    options: { encryption: { keys: keys.open } },
    arrange: async (device, queue) => {
      await device.goOffline();
      const { id } = await queue.add(note('a'));
      keys.isAway = true;
      await device.goOnline();
      await device.clock.pass(20_000);
      return id;
    },
  },
  conflict: {
    sentence: 'Someone else has changed the same; it is sent when someone has chosen what is to stand.',
    whatToDo: 'Look at `getConflict(id)` and call `resolveConflict(id, choice)`.',
    explains: {
      canCancel: false,
      attemptCount: 0,
      lastError: expect.objectContaining({ code: 'ROW_CHANGED' }) as never,
    },
    arrange: async (device, queue) => {
      device.server.rows.set('a', { id: 'a', text: 'theirs', version: 2 });
      const base = { rowVersion: 1, row: { id: 'a', text: 'one', version: 1 } };
      return (await queue.add({ ...note('a', 'mine'), base })).id;
    },
  },
  storage: {
    sentence: 'It waits for the storage of this device, which has to store or to read something first.',
    whatToDo: 'Nothing: wait. If the device has no room, free some.',
    explains: { canCancel: false, lastError: expect.objectContaining({ code: 'EXPIRED' }) as never },
    arrange: async (device, queue) => {
      await device.goOffline();
      const { id } = await queue.add({ ...note('a'), expiresAt: device.clock.wallMs() + 1_000 });
      device.storage.isFull = ({ changes }) => changes.some(({ key }) => key.startsWith('f/'));
      await device.clock.pass(2_000);
      return id;
    },
  },
  upgrade: {
    sentence: 'It needs a newer version of this app; update it to go on.',
    whatToDo: 'Install the newer version of the app.',
    explains: { canCancel: false, attemptCount: 0, nextAttemptAtMs: null },
    arrange: judged('upgradeRequired'),
  },
  nothing: {
    sentence: 'It is sent next.',
    whatToDo: 'Nothing.',
    explains: { canCancel: true, behindId: null, parentIds: [], nextAttemptAtMs: null },
    arrange: async (device, queue) => {
      device.server.hold();
      await queue.add(note('a'));
      await device.clock.settle();
      return (await queue.add(note('b'))).id;
    },
  },
};

const SPECIFIED =
  'network | rateLimit | circuit | backoff | lane | dependency | paused | auth | policy | delay | conflict | locked | storage | upgrade | nothing';

describe('what a mutation waits for', () => {
  const cases = Object.entries(CASES).map(([waitingFor, each]) => ({ waitingFor, ...each }));

  test.each(cases)(
    'Q3 · it says that it waits for $waitingFor, in a sentence, with what to do',
    async ({ waitingFor, sentence, whatToDo, explains, options, arrange }) => {
      const device = new TestDevice();
      const queue = await device.open(options);

      const id = await arrange(device, queue);
      await device.clock.settle();

      const status = { status: 'pending', stage: 'stored', waitingFor, sentence, settledAtMs: null };
      expect(await queue.getMutationStatus(id)).toMatchObject(status);
      expect(await queue.explain(id)).toMatchObject({ ...status, whatToDo, ...explains });
    },
  );

  test('Q3 · all that the specification names is there', () => {
    expect(Object.keys(CASES).toSorted()).toEqual(SPECIFIED.split(' | ').toSorted());
  });
});
