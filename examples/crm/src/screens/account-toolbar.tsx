import { Button, CloseButton, Select, Text, TextInput } from '@mantine/core';
import { memo, type ReactNode, useEffect, useMemo, useRef, useState } from 'react';
import type { Account, AccountKind } from '../accounts/account.ts';
import { ACCOUNT_KINDS } from '../accounts/account.ts';
import type { AccountQuery } from '../accounts/account-search.ts';
import { countryName, KIND_WORDS } from '../accounts/account-words.ts';
import { Icon } from '../shell/icons.tsx';
import classes from './account-toolbar.module.css';

interface AccountToolbarProps {
  readonly accounts: readonly Account[];
  readonly query: AccountQuery;
  readonly foundCount: number;
  readonly onQuery: (query: AccountQuery) => void;
  readonly onNew: () => void;
}

const numbers = new Intl.NumberFormat('en');

/** Search, filters and the way to a new account. `/` puts the cursor into the search field. */
export function AccountToolbar({ accounts, query, foundCount, onQuery, onNew }: AccountToolbarProps): ReactNode {
  const input = useRef<HTMLInputElement>(null);
  const [countriesOf] = useState(createCountryOptions);
  const countries = useMemo(() => countriesOf(accounts), [countriesOf, accounts]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const isTyping =
        event.target instanceof HTMLElement && event.target.closest('input, textarea, select, [role=dialog]') !== null;
      if (event.key !== '/' || isTyping || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      input.current?.focus();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
  return (
    <div className={classes.toolbar}>
      <TextInput
        ref={input}
        className={classes.search ?? ''}
        type="search"
        aria-label="Search accounts"
        placeholder="Search by name, code, country, contact"
        leftSection={<Icon name="search" />}
        rightSection={
          query.text === '' ? null : (
            <CloseButton size="sm" aria-label="Clear the search" onClick={() => onQuery({ ...query, text: '' })} />
          )
        }
        value={query.text}
        onChange={(event) => onQuery({ ...query, text: event.currentTarget.value })}
      />
      <Filters countries={countries} query={query} onQuery={onQuery} />
      <Text size="sm" className={`soft ${classes.count}`} aria-live="polite">
        {foundCount === accounts.length
          ? `${numbers.format(accounts.length)} accounts`
          : `${numbers.format(foundCount)} of ${numbers.format(accounts.length)}`}
      </Text>
      <Button className={classes.add ?? ''} leftSection={<Icon name="plus" size={16} />} onClick={onNew}>
        New account
      </Button>
    </div>
  );
}

interface Option {
  readonly value: string;
  readonly label: string;
}

const KINDS: readonly Option[] = ACCOUNT_KINDS.map((kind) => ({ value: kind, label: KIND_WORDS[kind] }));

/** A list of hundreds of countries, which stays as it is while accounts change. */
const Filters = memo(function Filters({
  countries,
  query,
  onQuery,
}: Pick<AccountToolbarProps, 'query' | 'onQuery'> & { readonly countries: readonly Option[] }): ReactNode {
  return (
    <>
      <Select
        className={classes.filter ?? ''}
        aria-label="Country"
        placeholder="All countries"
        data={countries}
        value={query.countryCode}
        onChange={(countryCode) => onQuery({ ...query, countryCode })}
        searchable
        clearable
        limit={100}
        nothingFoundMessage="No such country"
      />
      <Select
        className={classes.filter ?? ''}
        aria-label="Type"
        placeholder="All types"
        data={KINDS}
        value={query.kind}
        onChange={(kind) => onQuery({ ...query, kind: kind as AccountKind | null })}
        clearable
      />
    </>
  );
});

/** The countries of all accounts by name: the same list until there is another country. */
function createCountryOptions(): (accounts: readonly Account[]) => readonly Option[] {
  let last: { readonly codes: ReadonlySet<string>; readonly options: readonly Option[] } | null = null;
  return (accounts) => {
    const codes = new Set(accounts.map((account) => account.country_code));
    const known = last;
    if (known !== null && codes.size === known.codes.size && [...codes].every((code) => known.codes.has(code)))
      return known.options;
    const options = [...codes]
      .map((value) => ({ value, label: countryName(value) }))
      .toSorted((a, b) => a.label.localeCompare(b.label));
    last = { codes, options };
    return options;
  };
}
