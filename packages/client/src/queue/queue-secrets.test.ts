import * as v from 'valibot';
import { expect, test } from 'vitest';
import { defineMutation } from '../mutation/definition.ts';
import { secureStoreSecrets } from '../storage/system-secure-store-secrets.ts';
import { AppRun } from '../testing/app-run.ts';
import { BrowserSimulator } from '../testing/browser-simulator.ts';
import { SecureStoreSimulator } from '../testing/secure-store-simulator.ts';
import { createQueue } from './create-queue.ts';
import type { MutationQueue } from './mutation-queue.ts';
import type { QueueOptions } from './options.ts';
import { TestDevice } from './testing-queue/test-device.ts';

const saveCard = defineMutation({
  type: 'card.save',
  payload: v.object({ id: v.string(), pan: v.string() }),
  operation: 'update',
  entity: ({ id }) => ({ table: 'cards', id }),
  sensitive: ['pan'],
  retry: { maxRetries: 0 },
});
const note = defineMutation({ type: 'note', payload: v.object({ text: v.string() }), operation: 'custom' });
const mutations = [saveCard, note] as const;
const PAN = '4111 1111 CANARY';
const card = (id: string, pan = PAN) => ({ type: 'card.save', payload: { id, pan } }) as const;

/** A phone with its secure store. */
class Phone extends TestDevice {
  readonly secure = new SecureStoreSimulator();

  async start(
    options: Partial<Pick<QueueOptions<readonly []>, 'clock' | 'tabs'>> = {},
  ): Promise<MutationQueue<typeof mutations>> {
    const queue = createQueue({ ...this.ports, mutations, secrets: secureStoreSecrets(this.secure), ...options });
    await this.clock.settle();
    return queue;
  }

  /** Names of what is in the secure store. */
  get secretNames(): readonly string[] {
    return [...this.secure.items.keys()];
  }

  async dumped(): Promise<string> {
    return JSON.stringify(await this.storage.simulator.dump());
  }
}

test('Q20 · only references stand in the store; they are resolved when it is sent, and once it is confirmed nothing is left of it', async () => {
  const phone = new Phone();
  const before = await phone.start();
  await phone.goOffline();
  await before.add(card('a'));
  await before.add({ type: 'note', payload: { text: 'in the open' } });
  await before.close();
  expect(await phone.dumped()).not.toMatch(/CANARY|card/);
  expect(await phone.dumped()).toContain('in the open');
  expect(phone.secretNames).toHaveLength(2);

  const queue = await phone.start();
  await phone.goOnline();
  await phone.clock.pass(5_000);
  await queue.close();

  expect(phone.server.requests.flatMap(({ request }) => request.mutations.map(({ payload }) => payload))).toEqual([
    { id: 'a', pan: PAN },
    { text: 'in the open' },
  ]);
  expect(phone.server.effects).toHaveLength(2);
  expect(phone.secretNames).toEqual([]);
  expect(await phone.dumped()).not.toContain('~secret');
});

test('Q20 · sent again because its answer was lost, it is the same payload for the server, and takes effect once', async () => {
  const phone = new Phone();
  const queue = await phone.start();
  phone.server.isLosingAnswers = true;
  await queue.add(card('a'));
  await phone.clock.pass(1_000);
  await queue.close();
  phone.server.isLosingAnswers = false;

  const again = await phone.start();
  await phone.clock.pass(60_000);
  await again.close();

  expect(phone.server.effects).toHaveLength(1);
  const sent = phone.server.requests.flatMap(({ request }) => request.mutations);
  expect(sent.length).toBeGreaterThan(1);
  for (const { payload } of sent) expect(payload).toEqual({ id: 'a', pan: PAN });
});

test('Q20 · whatever becomes of it (taken back, edited, merged away, discarded, cleared), its secrets go with it', async () => {
  const phone = new Phone();
  const queue = await phone.start();
  phone.server.judge = () => 'rejected';
  const dead = await queue.add(card('dead'));
  await phone.clock.pass(1_000);
  await phone.goOffline();
  const taken = await queue.add(card('taken'));
  const edited = await queue.add(card('edited'));
  await queue.add({ ...card('own'), id: '0192f0c0-7b1a-7000-8000-00000000000a' });
  await queue.addAtomic([card('atomic'), { type: 'note', payload: { text: 'beside' } }]);

  await taken.cancel();
  await edited.edit({ id: 'edited', pan: `${PAN}-2` });
  expect(await queue.readDeadLetter(dead.id, { includeSensitive: true })).toMatchObject({ payload: { pan: PAN } });
  await queue.discard(dead.id, 'of no use');
  await queue.clear();
  await queue.close();

  expect(await phone.dumped()).not.toMatch(/CANARY/);
  // The mark that tells whether one id is used for two payloads is kept for 7 days.
  expect(phone.secretNames).toHaveLength(1);
});

test('Q20 · a dead letter is kept with its secret: after a restart it is retried and edited like any other', async () => {
  const phone = new Phone();
  const before = await phone.start();
  phone.server.judge = () => 'rejected';
  const ids: string[] = [];
  for (const id of ['a', 'b']) ids.push((await before.add(card(id))).id);
  await phone.clock.pass(1_000);
  await before.close();

  const queue = await phone.start();
  phone.server.judge = () => 'applied';
  await queue.retry(ids[0] ?? '');
  await queue.edit(ids[1] ?? '', { id: 'b', pan: 'another' });
  await phone.clock.pass(5_000);
  await queue.close();

  const last = phone.server.requests.flatMap(({ request }) => request.mutations).slice(-2);
  expect(last.map(({ payload }) => payload['pan'])).toEqual([PAN, 'another']);
  expect(phone.secretNames).toEqual([]);
});

test('Q20 · signed out, what is kept waits with its secrets for the user; what is discarded leaves none', async () => {
  const phone = new Phone();
  const before = await phone.start();
  await phone.goOffline();
  await before.add(card('a'));
  await before.signOut('keep');
  expect(phone.secretNames).toHaveLength(2);

  const queue = await phone.start();
  expect((await queue.readPending()).map(({ payload }) => payload)).toEqual([{ id: 'a', pan: PAN }]);
  await queue.signOut('discard');
  expect(phone.secretNames).toEqual([]);
});

test('Q20 · a file of the queue brings its secrets to another phone, where somebody says that it may hold them', async () => {
  const [one, other] = [new Phone(), new Phone()];
  const queue = await one.start();
  await one.goOffline();
  await queue.add(card('a'));
  await expect(queue.exportQueue()).rejects.toMatchObject({ code: 'INVALID_OPTION' });
  const file = await queue.exportQueue({ includeSensitive: true });

  const there = await other.start();
  await there.importQueue(file);
  await other.clock.pass(5_000);
  await there.close();

  expect(other.server.requests.at(-1)?.request.mutations.map(({ payload }) => payload)).toEqual([
    { id: 'a', pan: PAN },
  ]);
  expect(other.secretNames).toEqual([]);
});

test('Q20 · while the secure store is locked the queue is locked, also at the start; nothing is lost, and it goes on by itself', async () => {
  const phone = new Phone();
  const before = await phone.start();
  await phone.goOffline();
  await before.add(card('a'));
  phone.secure.isLocked = true;
  await expect(before.add(card('b'))).rejects.toMatchObject({ code: 'STORAGE_LOCKED' });
  await before.close();
  await phone.goOnline();

  const queue = await phone.start();
  await phone.clock.pass(1_000);
  expect(queue.getSnapshot()).toMatchObject({ waitingFor: 'locked' });
  phone.secure.isLocked = false;
  await phone.clock.pass(30_000);

  expect(phone.server.effects).toHaveLength(1);
  expect(queue.getSnapshot()).toMatchObject({ pendingCount: 0, failedCount: 0 });
});

test('Q20 · a secret that is gone from the secure store costs its own mutation only: it is never sent, and somebody is told', async () => {
  const phone = new Phone();
  const before = await phone.start();
  await phone.goOffline();
  const payloadGone = await before.add(card('payload'));
  const names = phone.secretNames;
  await before.add(card('all'));
  const namesOfAll = phone.secretNames.filter((name) => !names.includes(name));
  await before.add(card('whole'));
  await before.close();
  for (const name of namesOfAll) phone.secure.items.delete(name);
  const bodyName = names.find((name) => phone.secure.items.get(name)?.includes(PAN)) ?? '';
  phone.secure.items.delete(bodyName);

  const queue = await phone.start();
  const told: string[] = [];
  queue.onError(({ code }) => told.push(code));
  await phone.goOnline();
  await phone.clock.pass(60_000);

  expect(phone.server.requests.flatMap(({ request }) => request.mutations.map(({ entity }) => entity?.id))).toEqual([
    'whole',
  ]);
  expect(await queue.getMutationStatus(payloadGone.id)).toMatchObject({
    status: 'failed',
    lastError: { code: 'UNREADABLE_RECORD' },
  });
  expect(told).toContain('UNREADABLE_RECORD');
  expect((await queue.listQuarantine()).map(({ part, text }) => [part, text.startsWith('~secret:')])).toEqual(
    expect.arrayContaining([['header', true]]),
  );
  // It is shown what is left of it, and disposed of by a person.
  const keys = (await queue.listQuarantine()).map(({ key }) => key);
  await queue.discardQuarantined(keys, 'made again');
  await queue.discard(payloadGone.id, 'made again');
  await queue.close();
  expect(phone.secretNames).toEqual([]);
});

test.each(['before', 'after'] as const)(
  'Q20 · killed just %s any write of the store, each card that was saved is delivered once, and the secure store is empty in the end',
  async (when) => {
    for (let writeNumber = 1; ; writeNumber += 1) {
      const phone = new Phone();
      const run = new AppRun();
      phone.storage.simulator.onCrash = () => run.end();
      const queue = await phone.start({ clock: run.clockOf(phone.clock) });
      await phone.goOffline();
      phone.storage.simulator.crashAtWrite(writeNumber, when);
      const acknowledged: string[] = [];
      for (const id of ['a', 'b']) void queue.add(card(id)).then((handle) => acknowledged.push(handle.id));
      await phone.clock.settle();
      await phone.goOnline();
      await phone.clock.pass(5_000);
      if (run.isAlive) {
        expect(writeNumber).toBeGreaterThan(5);
        await queue.close();
        return;
      }

      const again = await phone.start({ tabs: new BrowserSimulator().openTabs });
      await phone.clock.pass(60_000);
      await again.close();

      const { effects } = phone.server;
      expect(new Set(effects).size, `write ${writeNumber}`).toBe(effects.length);
      expect(effects, `write ${writeNumber}`).toEqual(expect.arrayContaining(acknowledged));
      expect(phone.secretNames, `write ${writeNumber}`).toEqual([]);
    }
  },
);

test('Q20 · a queue with types that have sensitive fields needs keys or a secure store, and says so', () => {
  const device = new TestDevice();

  expect(() => createQueue({ ...device.ports, mutations })).toThrow(
    /`encryption` must be given.*`secrets`.*card\.save/,
  );
});
