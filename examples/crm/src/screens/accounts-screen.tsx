import { Alert, Button, Center, Loader, Stack, Text } from '@mantine/core';
import { type ReactNode, useCallback, useDeferredValue, useEffect, useMemo, useRef, useState } from 'react';
import { useLocation, useRoute } from 'wouter';
import { ACCOUNT_KINDS } from '../accounts/account.ts';
import { createAccountSearch, DEFAULT_QUERY } from '../accounts/account-search.ts';
import { KIND_WORDS } from '../accounts/account-words.ts';
import { BulkBar, type BulkField } from '../bulk/bulk-bar.tsx';
import { useBulk } from '../bulk/bulk-context.ts';
import { takeLostFocus } from '../lists/take-lost-focus.ts';
import { useSelection } from '../lists/use-selection.ts';
import { TEAM } from '../session/demo-users.ts';
import { madeOn } from '../workspace/mutations.ts';
import { useCrmState, useSync, useWorkspace } from '../workspace/workspace-context.ts';
import { AccountDetail } from './account-detail.tsx';
import { AccountList } from './account-list.tsx';
import { AccountToolbar } from './account-toolbar.tsx';
import classes from './accounts-screen.module.css';
import { NewAccount } from './new-account.tsx';

const FIELDS: readonly BulkField[] = [
  { field: 'owner', label: 'Owner', options: TEAM.map((name) => ({ value: name, label: name })) },
  { field: 'kind', label: 'Type', options: ACCOUNT_KINDS.map((kind) => ({ value: kind, label: KIND_WORDS[kind] })) },
];

/** The list, and beside it (on a phone: instead of it) one account. */
export function AccountsScreen(): ReactNode {
  const { accounts } = useCrmState();
  const sync = useSync();
  const [query, setQuery] = useState(DEFAULT_QUERY);
  const deferredQuery = useDeferredValue(query);
  const all = useMemo(() => Object.values(accounts), [accounts]);
  const [search] = useState(createAccountSearch);
  const found = useMemo(() => search(all, deferredQuery), [search, all, deferredQuery]);
  const [, navigate] = useLocation();
  const [isAccount, params] = useRoute('/accounts/:id');
  const [isNew] = useRoute('/new');
  const chosenId = isAccount ? params.id : null;
  const isPanelOpen = isAccount || isNew;
  const listPane = useRef<HTMLElement>(null);
  const wasPanelOpen = useRef(false);
  useEffect(() => {
    const pane = listPane.current;
    // of a list without rows there is only the search
    if (wasPanelOpen.current && !isPanelOpen && pane !== null)
      takeLostFocus(pane.querySelector('[role=grid]') ?? pane.querySelector('input'));
    wasPanelOpen.current = isPanelOpen;
  }, [isPanelOpen]);
  const choose = useCallback((id: string) => navigate(`/accounts/${id}`), [navigate]);
  const selection = useSelection(found);
  const bulk = useBulk();
  const { store } = useWorkspace();
  const applyToAll = (field: string, value: string, title: string): void => {
    const base = store.getBase().accounts;
    const inputs = [...selection.ids].map((id) => ({
      type: 'account.update' as const,
      payload: { id, [field]: value },
      ...madeOn(base[id]),
    }));
    selection.acts.clear();
    bulk.start(title, inputs);
  };

  return (
    <div className={classes.screen} data-panel={isPanelOpen}>
      <main className={classes.listPane} ref={listPane}>
        <AccountToolbar
          accounts={all}
          query={query}
          foundCount={found.length}
          onQuery={setQuery}
          onNew={() => navigate('/new')}
        />
        <BulkBar
          count={selection.ids.size}
          noun="accounts"
          fields={FIELDS}
          onApply={applyToAll}
          onClear={selection.acts.clear}
        />
        {sync.hasList || all.length > 0 ? (
          <AccountList
            accounts={found}
            totalCount={all.length}
            query={query}
            onQuery={setQuery}
            chosenId={chosenId}
            onChoose={choose}
            selection={selection}
          />
        ) : (
          <FirstLoad />
        )}
      </main>
      {isPanelOpen ? (
        <aside className={classes.panel} aria-label={isNew ? 'New account' : 'Account'}>
          {chosenId === null ? (
            <NewAccount onDone={(id) => navigate(id === null ? '/' : `/accounts/${id}`, { replace: true })} />
          ) : (
            <AccountDetail key={chosenId} accountId={chosenId} onClose={() => navigate('/')} />
          )}
        </aside>
      ) : null}
    </div>
  );
}

/** Nothing to show yet: either it is on its way, or it failed. */
function FirstLoad(): ReactNode {
  const { problem } = useSync();
  const { sync } = useWorkspace();
  if (problem === null) {
    return (
      <Center flex={1}>
        <Stack align="center" gap="sm">
          <Loader />
          <Text className="soft">Fetching the accounts …</Text>
        </Stack>
      </Center>
    );
  }
  return (
    <Center flex={1} p="md">
      <Alert color="red" title="The accounts could not be fetched" maw={440}>
        <Text size="sm" mb="sm">
          {problem.message} This device has not kept a list of this workspace yet, so there is nothing to show.
        </Text>
        <Button size="sm" onClick={() => void sync.refresh()}>
          Try again
        </Button>
      </Alert>
    </Center>
  );
}
