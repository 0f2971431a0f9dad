import { Tooltip } from '@mantine/core';
import type { ReactNode } from 'react';
import type { AccountMark } from '../accounts/account-marks.ts';
import classes from './row-mark.module.css';

const WORDS: Readonly<Record<AccountMark, string>> = {
  stored: 'Saved on this device, not sent yet',
  sending: 'Sending',
  failed: 'A change was not accepted',
};

/** Tells by shape as well as by colour: a ring waits, a full dot is on its way, a triangle needs someone. */
export function RowMark({ mark }: { readonly mark: AccountMark }): ReactNode {
  return (
    <Tooltip label={WORDS[mark]} openDelay={300}>
      <svg
        className={classes.mark}
        data-mark={mark}
        role="img"
        aria-label={WORDS[mark]}
        width="16"
        height="16"
        viewBox="0 0 16 16"
      >
        {mark === 'stored' ? <circle cx="8" cy="8" r="5" fill="none" stroke="currentColor" strokeWidth="2.5" /> : null}
        {mark === 'sending' ? <circle cx="8" cy="8" r="6" fill="currentColor" /> : null}
        {mark === 'failed' ? (
          <>
            <path d="M8 1.5 15.2 14H.8Z" fill="currentColor" />
            <path d="M8 6v3.6M8 11.4v.8" stroke="var(--card)" strokeWidth="1.7" strokeLinecap="round" />
          </>
        ) : null}
      </svg>
    </Tooltip>
  );
}
