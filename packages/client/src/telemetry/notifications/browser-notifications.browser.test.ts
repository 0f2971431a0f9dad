import { afterEach, describe, expect, it, vi } from 'vitest';
import { browserNotifications } from './browser-notifications.ts';

const DONE = { tag: 'holdfast/sync', kind: 'syncDone', title: 'Done', body: '12 changes', isSilent: true } as const;

afterEach(() => {
  vi.unstubAllGlobals();
});

describe('in a browser', () => {
  it('E10 · one that has not allowed notifications says so, and there is nothing to take back', async () => {
    const port = browserNotifications();
    expect(await port.permission()).not.toBe('granted');
    await port.close(DONE.tag);
  });

  it('E10 · what is shown has its tag, its words and its silence, and is taken back by its tag', async () => {
    // No browser that a program drives without a screen shows any: what it would be asked for is looked at.
    const made: { readonly title: string; readonly options: NotificationOptions | undefined; isClosed: boolean }[] = [];
    class Shown {
      static readonly permission = 'granted';
      private readonly record: (typeof made)[number];
      constructor(title: string, options?: NotificationOptions) {
        this.record = { title, options, isClosed: false };
        made.push(this.record);
      }
      close(): void {
        this.record.isClosed = true;
      }
    }
    vi.stubGlobal('Notification', Shown);
    const port = browserNotifications({ icon: '/icon.png' });
    expect(await port.permission()).toBe('granted');
    await port.show(DONE);
    await port.close('another');
    expect(made).toEqual([
      {
        title: 'Done',
        options: { tag: 'holdfast/sync', body: '12 changes', silent: true, icon: '/icon.png' },
        isClosed: false,
      },
    ]);
    await port.close('holdfast/sync');
    expect(made[0]?.isClosed).toBe(true);
  });

  it('E10 · where there is a service worker it shows them, as browsers on phones demand', async () => {
    const shown: unknown[] = [];
    const closed: string[] = [];
    vi.spyOn(navigator.serviceWorker, 'getRegistration').mockResolvedValue({
      showNotification: async (title: string, options: NotificationOptions) => void shown.push([title, options]),
      getNotifications: async ({ tag }: { readonly tag: string }) => [{ close: () => void closed.push(tag) }],
    } as unknown as ServiceWorkerRegistration);
    const port = browserNotifications();
    await port.show(DONE);
    await port.close(DONE.tag);
    expect(shown).toEqual([['Done', { tag: 'holdfast/sync', body: '12 changes', silent: true }]]);
    expect(closed).toEqual(['holdfast/sync']);
  });
});
