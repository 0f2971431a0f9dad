import { useComputedColorScheme } from '@mantine/core';
import type { ReactNode } from 'react';
import { Toaster } from 'sonner';

/** Where toasts appear: over the list, never over the buttons of a form. Alt+T brings the keyboard there. */
export function ToastRegion(): ReactNode {
  const scheme = useComputedColorScheme('light', { getInitialValueInEffect: false });
  return (
    <Toaster
      theme={scheme}
      position="bottom-left"
      closeButton
      offset={16}
      mobileOffset={{ bottom: 76, left: 12, right: 12 }}
      containerAriaLabel="Messages"
    />
  );
}
