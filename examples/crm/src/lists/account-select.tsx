import { Select } from '@mantine/core';
import { type ReactNode, useMemo } from 'react';
import { codesOf } from '../accounts/account-words.ts';
import { useCrmState } from '../workspace/workspace-context.ts';

interface AccountSelectProps {
  readonly value: string;
  readonly error: string | undefined;
  readonly onChange: (accountId: string) => void;
}

/** Finds one of thousands of accounts by name or code. */
export function AccountSelect({ value, error, onChange }: AccountSelectProps): ReactNode {
  const { accounts } = useCrmState();
  const options = useMemo(
    () =>
      Object.values(accounts).map((account) => ({
        value: account.id,
        label: [account.name, codesOf(account)].filter(Boolean).join(' · '),
      })),
    [accounts],
  );
  return (
    <Select
      label="Account"
      data={options}
      value={value === '' ? null : value}
      error={error}
      searchable
      required
      limit={50}
      placeholder="Name or code"
      nothingFoundMessage="No such account"
      onChange={(id) => onChange(id ?? '')}
    />
  );
}
