import { useComputedColorScheme } from '@mantine/core';
import type { FocusEvent, ReactNode } from 'react';
import { Toaster } from 'sonner';

/** Mantine's dialogs stand at 200: a toast that stays would lie over their buttons on a phone. */
const BELOW_DIALOGS = 190;

/** Where toasts appear: over the list, never over the buttons of a form. Alt+T brings the keyboard there, Tab leads on. */
export function ToastRegion(): ReactNode {
  const scheme = useComputedColorScheme('light', { getInitialValueInEffect: false });
  return (
    <div onBlurCapture={letFocusGo}>
      <Toaster
        theme={scheme}
        position="bottom-left"
        closeButton
        offset={16}
        mobileOffset={{ bottom: 76, left: 12, right: 12 }}
        containerAriaLabel="Messages"
        style={{ zIndex: BELOW_DIALOGS }}
      />
    </div>
  );
}

/** Sonner brings the focus back to where it came from, so that Tab went round between a toast and what stands before it (WCAG 2.1.2). */
function letFocusGo(event: FocusEvent<HTMLDivElement>): void {
  if (!event.currentTarget.contains(event.relatedTarget)) event.stopPropagation();
}
