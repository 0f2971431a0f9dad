import type { Toast, ToastPort } from './toast-port.ts';

/** What of sonner is used. */
interface SonnerOptions {
  readonly id: string;
  readonly description?: string;
  readonly action?: {
    readonly label: string;
    readonly onClick: (event: { readonly preventDefault: () => void }) => void;
  };
  readonly duration: number;
  readonly onDismiss: () => void;
}

/** `toast` of sonner. */
export interface SonnerLike {
  readonly loading: (text: string, options: SonnerOptions) => unknown;
  readonly info: (text: string, options: SonnerOptions) => unknown;
  readonly success: (text: string, options: SonnerOptions) => unknown;
  readonly error: (text: string, options: SonnerOptions) => unknown;
  readonly dismiss: (id: string) => unknown;
}

/** Where the focus was before it came to a toast. */
let before: HTMLElement | null = null;
const toastAround = (target: EventTarget | null) =>
  (target as HTMLElement | null)?.closest<HTMLElement>('[data-sonner-toast]');

function noteBefore({ target, relatedTarget }: FocusEvent): void {
  if (toastAround(target) && !toastAround(relatedTarget)) before = relatedTarget as HTMLElement | null;
}

/**
 * The button that was pressed goes, and would leave the keyboard nowhere (WCAG 2.4.3): it goes on where it was, and where that is not there
 * any more, from the toast.
 */
function leaveToasts(): void {
  const toast = toastAround(document.activeElement);
  if (toast) (before?.isConnected ? before : toast).focus({ preventScroll: true });
}

/** Shows toasts with sonner: `sonnerToasts(toast)`, and its `<Toaster />` somewhere on the page. */
export function sonnerToasts(toast: SonnerLike): ToastPort {
  // Once, however many queues there are: a function that listens already is not added again.
  globalThis.document?.addEventListener('focusin', noteBefore);
  return {
    show: ({ id, tone, text, detail, action, durationMs }: Toast) => {
      const onClick = (event: { readonly preventDefault: () => void }): void => {
        // Sonner would close the toast, which has more to say.
        event.preventDefault();
        action?.onSelect();
        leaveToasts();
      };
      // Sonner keeps what an earlier call gave for an id, so that what is no more has to be said, too.
      toast[tone](text, {
        id,
        description: detail ?? undefined,
        action: action === null ? undefined : { label: action.label, onClick },
        duration: durationMs ?? Number.POSITIVE_INFINITY,
        onDismiss: leaveToasts,
      } as SonnerOptions);
    },
    dismiss: (id) => {
      toast.dismiss(id);
    },
  };
}
