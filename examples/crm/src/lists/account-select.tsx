import { type ComboboxItem, type OptionsFilter, Select } from '@mantine/core';
import { type ReactNode, useMemo } from 'react';
import { codesOf } from '../accounts/account-words.ts';
import { useCrmState } from '../workspace/workspace-context.ts';

interface AccountSelectProps {
  readonly value: string;
  readonly error: string | undefined;
  readonly onChange: (accountId: string) => void;
}

const SEPARATOR = ' · ';

/** Whose code it is comes before those whose name or code has it in it. */
const byNameOrCode: OptionsFilter = ({ options, search, limit }) => {
  const wanted = search.trim().toLowerCase();
  const isCode = ({ label }: ComboboxItem): boolean => label.toLowerCase().split(SEPARATOR).slice(1).includes(wanted);
  const found = (options as ComboboxItem[]).filter(({ label }) => label.toLowerCase().includes(wanted));
  return [...found.filter(isCode), ...found.filter((option) => !isCode(option))].slice(0, limit);
};

/** Finds one of thousands of accounts by name or code. */
export function AccountSelect({ value, error, onChange }: AccountSelectProps): ReactNode {
  const { accounts } = useCrmState();
  const options = useMemo(
    () =>
      Object.values(accounts).map((account) => ({
        value: account.id,
        label: [account.name, codesOf(account)].filter(Boolean).join(SEPARATOR),
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
      filter={byNameOrCode}
      required
      limit={50}
      placeholder="Name or code"
      nothingFoundMessage="No such account"
      onChange={(id) => onChange(id ?? '')}
    />
  );
}
