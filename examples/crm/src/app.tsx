import { Center, Loader } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { HoldfastProvider, ProductionMonitoringProvider } from 'holdfast/react';
import { type ReactNode, useSyncExternalStore } from 'react';
import { Route, Switch } from 'wouter';
import { BulkProvider } from './bulk/bulk-provider.tsx';
import { BulkStatus } from './bulk/bulk-status.tsx';
import { AccountsScreen } from './screens/accounts-screen.tsx';
import { AuditScreen } from './screens/audit-screen.tsx';
import { ChangesScreen } from './screens/changes-screen.tsx';
import { ContactsScreen } from './screens/contacts-screen.tsx';
import { DealsScreen } from './screens/deals-screen.tsx';
import { SignInScreen } from './screens/sign-in-screen.tsx';
import type { SessionStore } from './session/session-store.ts';
import { AppHeader } from './shell/app-header.tsx';
import { ConflictNotice } from './shell/conflict-notice.tsx';
import { MainNav } from './shell/main-nav.tsx';
import { SyncNotice } from './shell/sync-notice.tsx';
import { ToastRegion } from './shell/toast-region.tsx';
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
          <HoldfastProvider queue={state.workspace.queue} audit={state.workspace.audit} toasts={state.workspace.toasts}>
            <ProductionMonitoringProvider>
              <BulkProvider>
                <Shell onSignOut={session.signOut} />
                <ToastRegion />
              </BulkProvider>
            </ProductionMonitoringProvider>
          </HoldfastProvider>
        </WorkspaceContext>
      );
  }
}

function Shell({ onSignOut }: { readonly onSignOut: () => void }): ReactNode {
  const [isDeciding, chooser] = useDisclosure(false);
  return (
    <div className="app">
      <AppHeader onSignOut={onSignOut} onDecide={chooser.open} />
      <MainNav />
      <SyncNotice />
      <ConflictNotice isOpen={isDeciding} onOpen={chooser.open} onClose={chooser.close} />
      <BulkStatus />
      <Switch>
        <Route path="/contacts" component={ContactsScreen} />
        <Route path="/deals" component={DealsScreen} />
        <Route path="/audit" component={AuditScreen} />
        <Route path="/changes">
          <ChangesScreen onDecide={chooser.open} />
        </Route>
        <Route component={AccountsScreen} />
      </Switch>
    </div>
  );
}
