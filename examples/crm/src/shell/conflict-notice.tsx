import { Button, Modal, Text } from '@mantine/core';
import { ConflictChooser, useConflicts } from 'holdfast/react';
import { type ReactNode, useEffect } from 'react';
import { describeField, describeValue, HIDDEN_FIELDS } from '../screens/audit-words.tsx';
import { nameOfRow } from '../workspace/mutations.ts';
import { useCrmState, useWorkspace } from '../workspace/workspace-context.ts';
import classes from './notice.module.css';

export interface ConflictNoticeProps {
  readonly isOpen: boolean;
  readonly onOpen: () => void;
  readonly onClose: () => void;
}

/** Says so when somebody else has changed the same, and lets the user choose what is to stand. */
export function ConflictNotice({ isOpen, onOpen, onClose }: ConflictNoticeProps): ReactNode {
  const conflicts = useConflicts();
  const state = useCrmState();
  const { user } = useWorkspace();
  const [first] = conflicts;
  const isOver = isOpen && first === undefined;
  useEffect(() => {
    if (!isOver) return;
    // the next one is for the user to open
    onClose();
    // what has opened it is gone: the keyboard goes where it is told how far the changes are
    document.querySelector<HTMLElement>('header .holdfast-pill')?.focus();
  }, [isOver, onClose]);
  return (
    <>
      {first === undefined ? null : (
        <div className={classes.notice} role="status">
          <span>
            {conflicts.length === 1
              ? `You and somebody else have changed ${nameOfRow(state, first.entity, first.theirs, first.base)}.`
              : `${conflicts.length} of your changes were also changed by somebody else.`}
          </span>
          <Button size="compact-sm" variant="filled" onClick={onOpen}>
            Choose what stands
          </Button>
        </div>
      )}
      <Modal
        opened={isOpen && first !== undefined}
        onClose={onClose}
        title={
          <Text fw={650} component="span">
            Which version is to stand?
          </Text>
        }
        closeButtonProps={{ 'aria-label': 'Close' }}
        size="lg"
      >
        <ConflictChooser
          actor={user.id}
          hiddenFields={HIDDEN_FIELDS}
          describe={({ entity, theirs, base }) => nameOfRow(state, entity, theirs, base)}
          describeField={(path, { entity }) => describeField(entity?.table ?? '', String(path[0]))}
          describeValue={(value, path) => describeValue(String(path[0]), value)}
        />
      </Modal>
    </>
  );
}
