import type { ReactNode } from 'react';
import { useCreateAccount } from '../workspace/mutations.ts';
import { AccountForm, EMPTY_FIELDS } from './account-form.tsx';
import { PanelHead } from './panel-head.tsx';

/** `onDone` gets the id of the account, or null when nothing was made. */
export function NewAccount({ onDone }: { readonly onDone: (id: string | null) => void }): ReactNode {
  const create = useCreateAccount();
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
          await create.mutateAsync({ id, ...fields });
          onDone(id);
        }}
      />
    </>
  );
}
