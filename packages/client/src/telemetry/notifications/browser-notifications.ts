import type { NotificationPort } from '../../ports/notifications.ts';

/**
 * The browser's notifications: through the service worker where one is registered (browsers on phones have no other way), else
 * from the page. Where there are none, permission is `denied`.
 */
export function browserNotifications(options: { readonly icon?: string } = {}): NotificationPort {
  const open = new Map<string, Notification>();
  const registration = async (): Promise<ServiceWorkerRegistration | undefined> =>
    globalThis.navigator?.serviceWorker?.getRegistration();
  return {
    permission: () => (typeof Notification === 'undefined' ? 'denied' : Notification.permission),
    requestPermission: async () => (typeof Notification === 'undefined' ? 'denied' : Notification.requestPermission()),
    async show({ tag, title, body, isSilent }) {
      const shown = { tag, body, silent: isSilent, ...options };
      const worker = await registration();
      if (worker !== undefined) return worker.showNotification(title, shown);
      open.set(tag, new Notification(title, shown));
    },
    async close(tag) {
      open.get(tag)?.close();
      open.delete(tag);
      const worker = await registration();
      for (const notification of (await worker?.getNotifications({ tag })) ?? []) notification.close();
    },
  };
}
