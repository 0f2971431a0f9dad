import { Alert, Button, Center, Text } from '@mantine/core';
import { Component, type ReactNode } from 'react';

/** Stands in for a screen that failed: what was saved is safe, and says so. */
export class CrashGuard extends Component<{ readonly children: ReactNode }, { readonly error: unknown }> {
  override state: { readonly error: unknown } = { error: null };

  static getDerivedStateFromError(error: unknown): { readonly error: unknown } {
    return { error };
  }

  override render(): ReactNode {
    if (this.state.error === null) return this.props.children;
    return (
      <Center h="100dvh" p="md">
        <Alert color="red" title="This page has failed" maw={440} role="alert">
          <Text size="sm" mb="sm">
            What you saved is safe on this device and is sent as soon as the server can be reached. Load the page again
            to go on.
          </Text>
          <Button size="sm" onClick={() => location.reload()}>
            Load again
          </Button>
        </Alert>
      </Center>
    );
  }
}
