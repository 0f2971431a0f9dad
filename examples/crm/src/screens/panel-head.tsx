import { ActionIcon, Title } from '@mantine/core';
import { type ReactNode, useEffect, useRef } from 'react';
import { takeLostFocus } from '../lists/take-lost-focus.ts';
import { Icon } from '../shell/icons.tsx';
import classes from './account-detail.module.css';

interface PanelHeadProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly children?: ReactNode;
}

export function PanelHead({ title, onClose, children }: PanelHeadProps): ReactNode {
  const heading = useRef<HTMLHeadingElement>(null);
  // the button that has led here, or from a form back, is gone or hidden with what was shown before
  useEffect(() => takeLostFocus(heading.current), [title]);
  return (
    <div className={classes.head}>
      <ActionIcon variant="subtle" color="gray" size="lg" aria-label="Back to the list" onClick={onClose}>
        <Icon name="back" />
      </ActionIcon>
      <Title order={2} size="h4" className={classes.title ?? ''} ref={heading} tabIndex={-1}>
        {title}
      </Title>
      {children}
    </div>
  );
}
