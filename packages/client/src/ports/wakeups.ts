/** `foreground`: the app is before its user again. `backgroundSync`: the platform says that now is a time to send. */
export type WakeReason = 'foreground' | 'backgroundSync';

/** Tells when the platform gives the app a chance to work. Called once to listen; returns what stops it. */
export type Wakeups = (report: (reason: WakeReason) => void) => () => void;
