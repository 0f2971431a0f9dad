import { Button } from '@mantine/core';
import type { ReactNode } from 'react';
import { useSync, useWorkspace } from '../workspace/workspace-context.ts';
import classes from './notice.module.css';

/** Says so when what is shown may be out of date. */
export function SyncNotice(): ReactNode {
  const { hasList, problem, answeredAtMs } = useSync();
  const { sync } = useWorkspace();
  if (!hasList || problem === null) return null;
  const kept =
    answeredAtMs === null
      ? 'You see the list kept on this device.'
      : `You see the list as of ${new Date(answeredAtMs).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })}.`;
  return (
    <div className={classes.notice} role="status">
      <span>
        <span className={problem.kind === 'unreachable' ? classes.long : undefined}>{problem.message} </span>
        {kept}
        <span className={classes.long}> Changes you make are saved on this device.</span>
      </span>
      <Button size="compact-sm" variant="subtle" onClick={() => void sync.refresh()}>
        Try again
      </Button>
    </div>
  );
}
