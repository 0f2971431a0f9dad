import { AuditLogViewer } from 'holdfast/react';
import type { ReactNode } from 'react';
import { DEMO_USERS } from '../session/demo-users.ts';
import { nameOfRow } from '../workspace/mutations.ts';
import { useCrmState, useWorkspace } from '../workspace/workspace-context.ts';
import { AUDIT_WORDS } from './audit-words.tsx';
import classes from './page.module.css';

const TABLES = [
  { id: 'accounts', name: 'Accounts', one: 'Account' },
  { id: 'contacts', name: 'Contacts', one: 'Contact' },
  { id: 'deals', name: 'Deals', one: 'Deal' },
];

/** Everything that anybody has changed in this workspace. */
export function AuditScreen(): ReactNode {
  const state = useCrmState();
  const { user } = useWorkspace();
  return (
    <main className={classes.page}>
      <AuditLogViewer
        {...AUDIT_WORDS}
        entityTypes={TABLES}
        actors={DEMO_USERS.filter(({ workspaceId }) => workspaceId === user.workspaceId)}
        describeEntity={({ entityType, entityId, oldValues, newValues }) =>
          `${TABLES.find(({ id }) => id === entityType)?.one ?? entityType}: ${nameOfRow(state, { table: entityType, id: entityId }, newValues, oldValues)}`
        }
      />
    </main>
  );
}
