import { Button, Center, Stack, Text } from '@mantine/core';
import { useVirtualizer } from '@tanstack/react-virtual';
import { type KeyboardEvent, memo, type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from 'react';
import type { Account } from '../accounts/account.ts';
import { type AccountQuery, DEFAULT_QUERY, type SortKey } from '../accounts/account-search.ts';
import type { Selection } from '../lists/use-selection.ts';
import { Icon } from '../shell/icons.tsx';
import { useMarks } from '../workspace/workspace-context.ts';
import classes from './account-list.module.css';
import { AccountRow } from './account-row.tsx';

interface AccountListProps {
  readonly accounts: readonly Account[];
  /** Before searching. */
  readonly totalCount: number;
  readonly query: AccountQuery;
  readonly onQuery: (query: AccountQuery) => void;
  readonly chosenId: string | null;
  readonly onChoose: (id: string) => void;
  readonly selection: Selection;
}

const ROW_PX = 56;

/**
 * The accounts as a grid of which only the visible rows exist. One stop for the keyboard: arrows, Page Up and Down, Home
 * and End move, Enter opens, Space selects, Ctrl+A selects all.
 */
export const AccountList = memo(function AccountList({
  accounts,
  totalCount,
  query,
  onQuery,
  chosenId,
  onChoose,
  selection,
}: AccountListProps): ReactNode {
  const scroller = useRef<HTMLDivElement>(null);
  const marks = useMarks();
  const [activeId, setActiveId] = useState<string | null>(chosenId);
  const soughtId = activeId ?? chosenId;
  const activeIndex = useMemo(
    () => (soughtId === null ? -1 : accounts.findIndex(({ id }) => id === soughtId)),
    [accounts, soughtId],
  );
  const virtualizer = useVirtualizer({
    count: accounts.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    // all of one height: a key for each row would have all of them measured anew whenever one changes
    overscan: 8,
  });

  // another search begins at the top
  useEffect(() => {
    scroller.current?.scrollTo({ top: 0 });
    // oxlint-disable-next-line react/exhaustive-deps -- the query is what it follows
  }, [query]);

  // an account that was opened by its address, or just made, is brought into view
  const isChosenListed = useMemo(
    () => chosenId !== null && accounts.some(({ id }) => id === chosenId),
    [accounts, chosenId],
  );
  useEffect(() => {
    const index = isChosenListed ? accounts.findIndex(({ id }) => id === chosenId) : -1;
    if (index >= 0) virtualizer.scrollToIndex(index, { align: 'auto' });
    // oxlint-disable-next-line react/exhaustive-deps -- once for each account, not at every refresh of the list
  }, [chosenId, isChosenListed]);

  const selectRow = useCallback(
    (id: string, isRange: boolean) => (isRange ? selection.acts.extendTo(id) : selection.acts.toggle(id)),
    [selection.acts],
  );
  const moveTo = (index: number): void => {
    const account = accounts[Math.max(0, Math.min(accounts.length - 1, index))];
    if (account === undefined) return;
    setActiveId(account.id);
    virtualizer.scrollToIndex(accounts.indexOf(account));
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const pageCount = Math.max(1, Math.floor((scroller.current?.clientHeight ?? ROW_PX) / ROW_PX) - 1);
    const target = {
      ArrowDown: activeIndex + 1,
      ArrowUp: activeIndex - 1,
      PageDown: activeIndex + pageCount,
      PageUp: activeIndex - pageCount,
      Home: 0,
      End: accounts.length - 1,
    }[event.key];
    const active = accounts[activeIndex];
    if (event.key === 'a' && (event.ctrlKey || event.metaKey)) selection.acts.toggleAll();
    else if (event.target instanceof HTMLInputElement) return;
    else if (target !== undefined) moveTo(target);
    else if (event.key === ' ' && active !== undefined) selectRow(active.id, event.shiftKey);
    else if (event.key === 'Enter' && active !== undefined) onChoose(active.id);
    else return;
    event.preventDefault();
  };

  if (totalCount === 0) return <Empty text="There are no accounts in this workspace yet." />;
  if (accounts.length === 0) {
    return (
      <Empty text="No account matches.">
        <Button
          variant="light"
          onClick={() => onQuery({ ...DEFAULT_QUERY, sortKey: query.sortKey, isDescending: query.isDescending })}
        >
          Clear search and filters
        </Button>
      </Empty>
    );
  }
  return (
    <div
      ref={scroller}
      className={classes.scroller}
      role="grid"
      tabIndex={0}
      aria-label="Accounts"
      aria-multiselectable
      aria-rowcount={accounts.length + 1}
      aria-activedescendant={activeIndex < 0 ? undefined : `account-${accounts[activeIndex]?.id}`}
      onKeyDown={onKeyDown}
    >
      <div className={classes.head} role="row" aria-rowindex={1} tabIndex={-1}>
        <span role="columnheader" className={classes.check}>
          <input
            type="checkbox"
            aria-label="Select all"
            checked={selection.ids.size === accounts.length}
            onChange={selection.acts.toggleAll}
          />
        </span>
        <span role="columnheader" aria-label="Status of your changes" />
        <SortHeader label="Account" sortKey="name" query={query} onQuery={onQuery} />
        <SortHeader label="Country" sortKey="country" query={query} onQuery={onQuery} className={classes.country} />
        <SortHeader label="Type" sortKey="kind" query={query} onQuery={onQuery} className={classes.kind} />
        <SortHeader label="Runway" sortKey="runway" query={query} onQuery={onQuery} className={classes.runway} />
        <span role="columnheader" className={classes.owner}>
          Owner
        </span>
        <SortHeader label="Changed" sortKey="updated" query={query} onQuery={onQuery} className={classes.updated} />
      </div>
      <div className={classes.rows} role="rowgroup" style={{ height: virtualizer.getTotalSize() }}>
        {virtualizer.getVirtualItems().map((item) => {
          const account = accounts[item.index];
          return account === undefined ? null : (
            <AccountRow
              key={account.id}
              account={account}
              rowIndex={item.index + 2}
              topPx={item.start}
              mark={marks.get(account.id) ?? null}
              isChosen={account.id === chosenId}
              isActive={item.index === activeIndex}
              isSelected={selection.ids.has(account.id)}
              onSelect={selectRow}
              onChoose={() => {
                setActiveId(account.id);
                onChoose(account.id);
              }}
            />
          );
        })}
      </div>
    </div>
  );
});

interface SortHeaderProps {
  readonly label: string;
  readonly sortKey: SortKey;
  readonly query: AccountQuery;
  readonly onQuery: (query: AccountQuery) => void;
  readonly className?: string | undefined;
}

function SortHeader({ label, sortKey, query, onQuery, className }: SortHeaderProps): ReactNode {
  const isSorted = query.sortKey === sortKey;
  const order = isSorted ? (query.isDescending ? 'descending' : 'ascending') : 'none';
  return (
    <span role="columnheader" aria-sort={order} className={className}>
      <button
        type="button"
        className={classes.sort}
        // what grows with importance begins with the most
        onClick={() =>
          onQuery({
            ...query,
            sortKey,
            isDescending: isSorted ? !query.isDescending : sortKey === 'runway' || sortKey === 'updated',
          })
        }
      >
        {label}
        {isSorted ? <Icon name={query.isDescending ? 'down' : 'up'} size={14} /> : null}
      </button>
    </span>
  );
}

function Empty({ text, children }: { readonly text: string; readonly children?: ReactNode }): ReactNode {
  return (
    <Center flex={1}>
      <Stack align="center" gap="sm">
        <Text className="soft">{text}</Text>
        {children}
      </Stack>
    </Center>
  );
}
