import * as v from 'valibot';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { defineMutation } from '../mutation/definition.ts';
import { soloTabs } from '../tabs/solo-tabs.ts';
import { createQueue } from './create-queue.ts';

const write = defineMutation({
  type: 'log.write',
  payload: v.object({ line: v.string() }),
  operation: 'custom',
  lane: () => 'log',
});
const run = Math.random().toString(36).slice(2);
let count = 0;
const restores: (() => void)[] = [];

afterEach(() => {
  for (const restore of restores.splice(0)) restore();
});

/** A queue on the browser's own store, offline; nothing is said about what happens when it fails. */
async function openQueue(name: string = newName()) {
  const queue = createQueue({
    name,
    identity: { userId: 'ada', workspaceId: 'north' },
    mutations: [write],
    transport: { send: () => new Promise(() => {}) },
    network: {
      isOnline: () => false,
      onHint: () => () => {},
      probe: async () => ({ kind: 'notReached', reason: 'off' }),
    },
    tabs: soloTabs,
  });
  onTestFinished(() => queue.close());
  await queue.ready;
  const add = (line: string) => queue.add({ type: 'log.write', payload: { line } });
  return { queue, name, add, pendingIds: async () => (await queue.getStatus()).pendingMutations.map(({ id }) => id) };
}

function newName(): string {
  count += 1;
  return `healing-${run}-${count}`;
}

/** Replaces a function of a browser's class until the test ends; what comes before is handed in. */
function instead<Target extends object, Key extends keyof Target & string>(
  target: Target,
  key: Key,
  make: (original: Target[Key]) => Target[Key],
): void {
  const original = target[key];
  target[key] = make(original);
  restores.push(() => {
    target[key] = original;
  });
}

/** Connections that are open now, and those of later, in order. */
function watchConnections(): IDBDatabase[] {
  const connections: IDBDatabase[] = [];
  instead(
    IDBFactory.prototype,
    'open',
    (original) =>
      function open(this: IDBFactory, ...args: [string, number?]) {
        const request = original.apply(this, args);
        request.addEventListener('success', () => connections.push(request.result));
        return request;
      },
  );
  return connections;
}

/** From now on every transaction of these connections is ended by the browser, as when its storage process has died. */
function loseServer(connections: readonly IDBDatabase[]): void {
  const dead = new Set(connections);
  instead(
    IDBDatabase.prototype,
    'transaction',
    (original) =>
      function transaction(this: IDBDatabase, ...args: Parameters<typeof original>) {
        const made = original.apply(this, args);
        if (!dead.has(this)) return made;
        for (const storeName of made.objectStoreNames) {
          const store = made.objectStore(storeName);
          for (const call of ['get', 'getAll', 'getAllKeys', 'put', 'openCursor'] as const)
            Object.defineProperty(store, call, {
              value: () => {
                throw new DOMException(
                  'Connection to Indexed Database server lost. Refresh the page to try again',
                  'UnknownError',
                );
              },
            });
        }
        return made;
      },
  );
}

describe('IndexedDB in this browser', () => {
  test('S13 · an `UnknownError` on a connection is healed by another one, and the add succeeds durably', async () => {
    const connections = watchConnections();
    const { queue, name, add, pendingIds } = await openQueue();
    const first = await add('a');
    loseServer(connections);

    const second = await add('b');

    expect(second.durability).toBe('strict');
    expect(queue.getStorageHealth()).toMatchObject({ kind: 'well', reopenCount: 1, leftBehindCount: 0 });
    expect(await pendingIds()).toEqual([first.id, second.id]);
    await queue.close();
    const again = await openQueue(name);
    expect(await again.pendingIds()).toEqual([first.id, second.id]);
  });

  test.each([
    { how: 'closed by force', kill: (each: IDBDatabase) => each.close() },
    {
      how: 'closed with an event',
      kill: (each: IDBDatabase) => {
        each.close();
        each.dispatchEvent(new Event('close'));
      },
    },
    {
      how: 'told that the version changes',
      kill: (each: IDBDatabase) => each.dispatchEvent(new Event('versionchange')),
    },
  ])('S13 · a connection that was $how is replaced, between any two calls', async ({ kill }) => {
    const connections = watchConnections();
    const { add, pendingIds } = await openQueue();
    const ids: string[] = [];
    for (let turn = 0; turn < 5; turn += 1) {
      ids.push((await add(`${turn}`)).id);
      for (const each of connections) kill(each);
    }

    expect(await pendingIds()).toEqual(ids);
  });

  test('S13 · a database deleted under an open queue: what is added from then on is stored', async () => {
    const { queue, name, add } = await openQueue();
    await add('a');
    const storeName = ['holdfast', name, 'north', 'ada'].join('/');
    await new Promise<void>((resolve, reject) => {
      const request = indexedDB.deleteDatabase(storeName);
      request.onsuccess = () => resolve();
      request.onblocked = () => reject(new Error('blocked'));
    });

    const { id, durability } = await add('b');
    expect(durability).toBe('strict');
    await queue.close();
    const again = await openQueue(name);
    expect(await again.pendingIds()).toContain(id);
  });

  test('S13 · a database that the browser cannot open any more: another one takes its place, in the next run too', async () => {
    const connections = watchConnections();
    const { queue, name, add } = await openQueue();
    const first = await add('a');
    const storeName = ['holdfast', name, 'north', 'ada'].join('/');
    let isBroken = true;
    instead(
      IDBFactory.prototype,
      'open',
      (original) =>
        function open(this: IDBFactory, ...args: [string, number?]) {
          if (isBroken && args[0] === storeName)
            throw new DOMException('Internal error opening backing store for indexedDB.open.', 'UnknownError');
          return original.apply(this, args);
        },
    );
    loseServer(connections);

    const second = await add('b');

    expect(second.durability).toBe('strict');
    expect(queue.getStorageHealth()).toMatchObject({ kind: 'well', leftBehindCount: 1 });
    await queue.close();
    const again = await openQueue(name);
    expect(await again.pendingIds()).toEqual([second.id]);
    await again.queue.close();
    isBroken = false;
    const whole = await openQueue(name);
    expect(new Set(await whole.pendingIds())).toEqual(new Set([first.id, second.id]));
  });

  test('S11 · without IndexedDB the queue goes on in memory, and moves to the disk when there is one', async () => {
    const own = Object.getOwnPropertyDescriptor(window, 'indexedDB') as PropertyDescriptor;
    restores.push(() => Object.defineProperty(window, 'indexedDB', own));
    Object.defineProperty(window, 'indexedDB', { configurable: true, value: undefined });
    const { queue, name, add } = await openQueue();
    expect(queue.getStorageHealth()).toMatchObject({ kind: 'degraded', durability: 'volatile' });
    const { id, durability } = await add('a');
    expect(durability).toBe('volatile');

    Object.defineProperty(window, 'indexedDB', own);
    expect(await queue.retryStorage()).toMatchObject({ kind: 'well', durability: 'strict' });
    await queue.close();

    const again = await openQueue(name);
    expect(await again.pendingIds()).toEqual([id]);
  });
});
