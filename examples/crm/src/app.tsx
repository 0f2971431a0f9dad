import { Center, Loader } from '@mantine/core';
import { HoldfastProvider, ProductionMonitoringProvider } from 'holdfast/react';
import { type ReactNode, useSyncExternalStore } from 'react';
import { AccountsScreen } from './screens/accounts-screen.tsx';
import { SignInScreen } from './screens/sign-in-screen.tsx';
import type { SessionStore } from './session/session-store.ts';
import { AppHeader } from './shell/app-header.tsx';
import { NoticeRegion } from './shell/notices.tsx';
import { WorkspaceContext } from './workspace/workspace-context.ts';
import type { WorkspaceHolder } from './workspace/workspace-holder.ts';

interface AppProps {
  readonly session: SessionStore;
  readonly workspaces: WorkspaceHolder;
}

export function App({ session, workspaces }: AppProps): ReactNode {
  const state = useSyncExternalStore(workspaces.subscribe, workspaces.getSnapshot);
  switch (state.kind) {
    case 'signedOut':
      return <SignInScreen onChoose={session.signIn} />;
    case 'opening':
      return (
        <Center h="100dvh">
          <Loader aria-label="Opening" />
        </Center>
      );
    case 'open':
      return (
        <WorkspaceContext value={state.workspace} key={state.workspace.user.id}>
          <HoldfastProvider queue={state.workspace.queue}>
            <ProductionMonitoringProvider>
              <NoticeRegion>
                <div className="app">
                  <AppHeader onSignOut={session.signOut} />
                  <AccountsScreen />
                </div>
              </NoticeRegion>
            </ProductionMonitoringProvider>
          </HoldfastProvider>
        </WorkspaceContext>
      );
  }
}
