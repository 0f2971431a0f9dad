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
}

/** `toast` of sonner. */
export interface SonnerLike {
  readonly loading: (text: string, options: SonnerOptions) => unknown;
  readonly info: (text: string, options: SonnerOptions) => unknown;
  readonly success: (text: string, options: SonnerOptions) => unknown;
  readonly error: (text: string, options: SonnerOptions) => unknown;
  readonly dismiss: (id: string) => unknown;
}

/** Shows toasts with sonner: `sonnerToasts(toast)`, and its `<Toaster />` somewhere on the page. */
export function sonnerToasts(toast: SonnerLike): ToastPort {
  return {
    show: ({ id, tone, text, detail, action, durationMs }: Toast) => {
      const onClick = (event: { readonly preventDefault: () => void }): void => {
        // Sonner would close the toast, which has more to say.
        event.preventDefault();
        action?.onSelect();
      };
      // Sonner keeps what an earlier call gave for an id, so that what is no more has to be said, too.
      toast[tone](text, {
        id,
        description: detail ?? undefined,
        action: action === null ? undefined : { label: action.label, onClick },
        duration: durationMs ?? Number.POSITIVE_INFINITY,
      } as SonnerOptions);
    },
    dismiss: (id) => {
      toast.dismiss(id);
    },
  };
}
