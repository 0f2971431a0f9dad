/** What a toast offers to do. */
export interface ToastAction {
  readonly label: string;
  readonly onSelect: () => void;
}

export interface Toast {
  /** The same id again changes the toast that is there. */
  readonly id: string;
  /** `loading`: under way; `info`: safe on this device, and waiting. */
  readonly tone: 'loading' | 'info' | 'success' | 'error';
  readonly text: string;
  /** A second line; null for none. */
  readonly detail: string | null;
  readonly action: ToastAction | null;
  /** How long it stays, in milliseconds; null until something else is to be said or someone closes it. */
  readonly durationMs: number | null;
}

/** Shows toasts, with whichever library. */
export interface ToastPort {
  readonly show: (toast: Toast) => void;
  readonly dismiss: (id: string) => void;
}
