import { AuditLogViewer } from 'holdfast/react';
import type { ReactNode } from 'react';
import { AUDIT_WORDS } from './audit-words.tsx';

/** Who changed what, when, and from what to what: as the server's audit log has it. */
export function AccountHistory({ accountId }: { readonly accountId: string }): ReactNode {
  return (
    <AuditLogViewer
      {...AUDIT_WORDS}
      filter={{ entityType: 'accounts', entityId: accountId }}
      limit={30}
      title="Change history"
      className="history"
    />
  );
}
