import { ActionIcon, Title } from '@mantine/core';
import type { ReactNode } from 'react';
import { Icon } from '../shell/icons.tsx';
import classes from './account-detail.module.css';

interface PanelHeadProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly children?: ReactNode;
}

export function PanelHead({ title, onClose, children }: PanelHeadProps): ReactNode {
  return (
    <div className={classes.head}>
      <ActionIcon variant="subtle" color="gray" size="lg" aria-label="Back to the list" onClick={onClose}>
        <Icon name="back" />
      </ActionIcon>
      <Title order={2} size="h4" className={classes.title ?? ''}>
        {title}
      </Title>
      {children}
    </div>
  );
}
