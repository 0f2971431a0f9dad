// The page that the tests of real browsers open several times. `?tab=A` names it; `?fault=` makes its browser worse.
import * as v from 'valibot';
import { createQueue, defineMutation, httpTransport } from '../../index.ts';
import type { PageApi } from './page-api.ts';

const query = new URLSearchParams(location.search);
const tab = query.get('tab') ?? '';
const faults = query.getAll('fault');

if (faults.includes('lockBroken')) {
  // Grants everyone at once, which a lock manager must not do.
  const grantAll = async (_name: string, options: unknown, callback: (lock: unknown) => unknown): Promise<unknown> =>
    callback({ name: _name, mode: 'exclusive', options });
  Object.defineProperty(navigator, 'locks', { value: { request: grantAll } });
}
if (faults.includes('noLock')) Object.defineProperty(navigator, 'locks', { value: undefined });
if (faults.includes('noChannel')) Reflect.deleteProperty(globalThis, 'BroadcastChannel');
const keep = defineMutation({
  type: 'kept',
  payload: v.object({ text: v.string() }),
  operation: 'custom',
  lane: ({ text }) => text,
});

const queue = createQueue({
  name: 'tabs',
  identity: { userId: 'ann', workspaceId: 'home' },
  mutations: [keep],
  transport: httpTransport({ url: `/v1/apply?tab=${tab}` }),
});

const api: PageApi = {
  ready: () => queue.ready,
  add: async (text) => (await queue.add({ type: 'kept', payload: { text } })).id,
  state: () => {
    const { isLeader, pendingCount, isPaused, waitingFor } = queue.getSnapshot();
    return { isLeader, pendingCount, isPaused, waitingFor };
  },
  until: (part) =>
    new Promise((resolve) => {
      const look = (): boolean => {
        const state = api.state();
        const isSo = Object.entries(part).every(([key, value]) => state[key as keyof typeof state] === value);
        if (isSo) resolve();
        return isSo;
      };
      if (look()) return;
      const stop = queue.subscribe(() => {
        if (look()) stop();
      });
    }),
  untilConfirmed: async (count) => {
    while ((await queue.getStatus()).counts.completed < count) await new Promise((next) => setTimeout(next, 20));
  },
  pause: () => queue.pause(),
  tell: async (event) => void document.dispatchEvent(new Event(event)),
};

Object.assign(globalThis, { page: api });
