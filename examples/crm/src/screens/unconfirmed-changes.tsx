import { Button, Group, Text } from '@mantine/core';
import type { MutationStatus } from 'holdfast';
import { describeStage } from 'holdfast/react';
import type { ReactNode } from 'react';
import { actionOf } from '../workspace/mutations.ts';
import { refusalText } from '../workspace/refusal-words.ts';
import { useUnconfirmed, useWorkspace } from '../workspace/workspace-context.ts';
import classes from './account-detail.module.css';

/** What the server has not confirmed about this account, and what stands in the way. */
export function UnconfirmedChanges({ accountId }: { readonly accountId: string }): ReactNode {
  const changes = useUnconfirmed(accountId);
  return changes.map((change) => <UnconfirmedChange key={change.id} change={change} />);
}

function UnconfirmedChange({ change }: { readonly change: MutationStatus }): ReactNode {
  const { queue } = useWorkspace();
  const isFailed = change.status === 'failed';
  const refusal = isFailed ? change.lastError : null;
  return (
    <div className={classes.waiting} data-failed={isFailed}>
      <Text size="sm" fw={600}>
        {actionOf(change)}: {describeStage(change).text}
      </Text>
      <Text size="sm">{refusal === null ? change.sentence : refusalText(refusal)}</Text>
      {isFailed ? (
        <Group gap="xs" mt={6}>
          <Button size="compact-sm" variant="light" onClick={() => void queue.retry(change.id)}>
            {queue.listOvertaken().has(change.id) ? 'Overwrite the later change' : 'Try again'}
          </Button>
          <Button
            size="compact-sm"
            variant="light"
            color="red"
            onClick={() => void queue.discard(change.id, 'Discarded on the screen of the account')}
          >
            Discard this change
          </Button>
        </Group>
      ) : null}
    </div>
  );
}
