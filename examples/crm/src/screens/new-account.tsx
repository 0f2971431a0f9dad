import type { ReactNode } from 'react';
import { useNotices } from '../shell/notices.tsx';
import { useWorkspace } from '../workspace/workspace-context.ts';
import { AccountForm, EMPTY_FIELDS } from './account-form.tsx';
import { PanelHead } from './panel-head.tsx';

/** `onDone` gets the id of the account, or null when nothing was made. */
export function NewAccount({ onDone }: { readonly onDone: (id: string | null) => void }): ReactNode {
  const { queue } = useWorkspace();
  const notices = useNotices();
  return (
    <>
      <PanelHead title="New account" onClose={() => onDone(null)} />
      <AccountForm
        initial={EMPTY_FIELDS}
        submitLabel="Create account"
        onCancel={() => onDone(null)}
        onSubmit={async (fields) => {
          // the id is made here, so that the account can be edited before the server knows it
          const id = crypto.randomUUID();
          const handle = await queue.add({ type: 'account.create', payload: { id, ...fields } });
          notices.follow(`New account ${fields.name}`, handle.id);
          onDone(id);
        }}
      />
    </>
  );
}
