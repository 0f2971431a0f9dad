export type NotificationPermissionState = 'granted' | 'denied' | 'default';

/** What the user is told about outside of the app's own screens. */
export type NotificationKind = 'syncProgress' | 'syncDone' | 'longOffline' | 'criticalFailure';

export interface AppNotification {
  /** One with the same tag takes the place of the one before it. */
  readonly tag: string;
  readonly kind: NotificationKind;
  readonly title: string;
  readonly body: string;
  /** Shown without a sound, as progress is. */
  readonly isSilent: boolean;
}

/** The platform's notifications. Whatever it throws or rejects is taken as: not shown. */
export interface NotificationPort {
  permission(): NotificationPermissionState | Promise<NotificationPermissionState>;
  /** Asks the user, where the platform allows that: most want it to happen in answer to a tap. */
  requestPermission(): Promise<NotificationPermissionState>;
  show(notification: AppNotification): Promise<void> | void;
  close(tag: string): Promise<void> | void;
}
