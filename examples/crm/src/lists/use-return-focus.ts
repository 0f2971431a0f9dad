import { useEffect, useState } from 'react';

/** Gives the keyboard back to what had it before this was shown, for dialogues that are there only while they are open. */
export function useReturnFocus(): void {
  const [opener] = useState(() => document.activeElement);
  useEffect(
    () => () => {
      if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
    },
    [opener],
  );
}
