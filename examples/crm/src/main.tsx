import { MantineProvider } from '@mantine/core';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import '@mantine/core/styles.css';
import 'holdfast/react/styles.css';
import './app.css';
import { App } from './app.tsx';
import { createSessionStore } from './session/session-store.ts';
import { CrashGuard } from './shell/crash-guard.tsx';
import { theme } from './theme.ts';
import { holdWorkspace } from './workspace/workspace-holder.ts';

const session = createSessionStore();
const workspaces = holdWorkspace(session);
const root = document.getElementById('root');
if (root === null) throw new Error('The page has no element called root.');
createRoot(root).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto">
      <CrashGuard>
        <App session={session} workspaces={workspaces} />
      </CrashGuard>
    </MantineProvider>
  </StrictMode>,
);

if ('serviceWorker' in navigator && import.meta.env.PROD) {
  // without it the page works, but needs the network to open
  navigator.serviceWorker.register('/service-worker.js').catch((error: unknown) => {
    console.warn('The page could not be kept on this device:', error);
  });
}
