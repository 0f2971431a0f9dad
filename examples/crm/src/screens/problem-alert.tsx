import { Alert, Text } from '@mantine/core';
import { isHoldfastError } from 'holdfast';
import { type ReactNode, useEffect, useRef } from 'react';

/** What went wrong, and what to do about it. */
export function ProblemAlert({ title, error }: { readonly title: string; readonly error: unknown }): ReactNode {
  const alert = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // newer browsers return a promise here, which is no clean-up
    alert.current?.scrollIntoView({ block: 'nearest' });
  }, [error]);
  return (
    <Alert ref={alert} color="red" title={title} role="alert" style={{ scrollMarginBottom: 80 }}>
      <Text size="sm">{error instanceof Error ? error.message : String(error)}</Text>
      {isHoldfastError(error) && error.hint !== undefined ? (
        <Text size="sm" mt={4}>
          {error.hint}
        </Text>
      ) : null}
      {isHoldfastError(error) ? (
        <Text size="xs" mt={4} className="soft">
          {error.code}
        </Text>
      ) : null}
    </Alert>
  );
}
