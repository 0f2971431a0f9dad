import { describe, expect, it, onTestFinished } from 'vitest';
import type { WakeReason } from '../ports/wakeups.ts';
import { backgroundSyncWakeups, requestBackgroundSync } from './browser-background-sync.ts';
import { pageWakeups } from './browser-page-wakeups.ts';

describe('a page', () => {
  it('E6 · a page that comes before its user again, from the cache or thawed, says so; one that goes away does not', () => {
    const reasons: WakeReason[] = [];
    const stop = pageWakeups()((reason) => reasons.push(reason));
    let state: DocumentVisibilityState = 'hidden';
    Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => state });
    onTestFinished(() => {
      Reflect.deleteProperty(document, 'visibilityState');
    });
    document.dispatchEvent(new Event('visibilitychange'));
    expect(reasons).toEqual([]);
    state = 'visible';
    document.dispatchEvent(new Event('visibilitychange'));
    window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }));
    document.dispatchEvent(new Event('resume'));
    expect(reasons).toEqual(['foreground', 'foreground', 'foreground']);
    stop();
    document.dispatchEvent(new Event('visibilitychange'));
    expect(reasons).toHaveLength(3);
  });
});

describe('a service worker', () => {
  it('E6 · woken by the browser, the worker does its work and tells every page; one that hangs is told to stop', async () => {
    const url = new URL('./testing-tasks/sync-worker.ts', import.meta.url);
    const registration = await navigator.serviceWorker.register(url, { type: 'module' });
    onTestFinished(async () => {
      await registration.unregister();
    });
    const worker = await activeWorker(registration);
    const answers = new BroadcastChannel('sync-worker');
    const wake = async (tag: string): Promise<unknown> => {
      const answer = new Promise((resolve) => {
        answers.onmessage = ({ data }) => resolve(data);
      });
      worker.postMessage(tag);
      return answer;
    };
    const reasons: WakeReason[] = [];
    let told = (): void => {};
    const stop = backgroundSyncWakeups({ tag: 'send' })((reason) => {
      reasons.push(reason);
      told();
    });
    onTestFinished(stop);
    const isTold = new Promise<void>((resolve) => {
      told = resolve;
    });

    expect(await wake('send')).toEqual({ wokenCount: 1, outcomes: ['fulfilled'] });
    await isTold;
    expect(reasons).toEqual(['backgroundSync']);
    // another tag is another app's
    expect(await wake('other')).toEqual({ wokenCount: 1, outcomes: [] });
    // the browser is told that it is not done, and comes back
    expect(await wake('send')).toEqual({ wokenCount: 2, outcomes: ['rejected'] });
    answers.close();
  });

  it('E6 · the page asks for it when something is pending and cannot be sent, once each time', async () => {
    const asked: string[] = [];
    const sync = { register: async (tag: string) => void asked.push(tag) };
    Object.defineProperty(navigator.serviceWorker, 'ready', { configurable: true, value: Promise.resolve({ sync }) });
    onTestFinished(() => {
      Reflect.deleteProperty(navigator.serviceWorker, 'ready');
    });
    let pendingCount = 0;
    let isOnline = true;
    let listener = (): void => {};
    const stop = requestBackgroundSync(
      {
        getSnapshot: () => ({ pendingCount }),
        network: { isOnline: () => isOnline },
        subscribe: (listen) => {
          listener = listen;
          return () => {
            listener = () => {};
          };
        },
      },
      { tag: 'send' },
    );
    const change = async (pending: number, online: boolean): Promise<void> => {
      pendingCount = pending;
      isOnline = online;
      listener();
      await Promise.resolve();
      await Promise.resolve();
    };
    await change(1, true);
    expect(asked).toEqual([]);
    await change(1, false);
    await change(2, false);
    expect(asked).toEqual(['send']);
    await change(0, true);
    await change(1, false);
    expect(asked).toEqual(['send', 'send']);
    stop();
    await change(0, true);
    await change(1, false);
    expect(asked).toHaveLength(2);
  });
});

async function activeWorker(registration: ServiceWorkerRegistration): Promise<ServiceWorker> {
  if (registration.active !== null) return registration.active;
  const { installing } = registration;
  if (installing === null) throw new Error('The worker does not install.');
  await new Promise<void>((resolve) => {
    installing.addEventListener('statechange', () => {
      if (installing.state === 'activated') resolve();
    });
  });
  return installing;
}
