import { Button, Loader, Text } from '@mantine/core';
import { Fragment, type ReactNode, useCallback, useEffect, useState } from 'react';
import type { AccountFields } from '../accounts/account.ts';
import { FIELD_WORDS, fieldText } from '../accounts/account-words.ts';
import { changesOf, fetchHistory, type HistoryEntry } from '../accounts/fetch-history.ts';
import { findDemoUser } from '../session/demo-users.ts';
import { useSync, useWorkspace } from '../workspace/workspace-context.ts';
import classes from './account-detail.module.css';

const ACTION_WORDS = { create: 'Created', update: 'Changed', delete: 'Deleted', restore: 'Restored' } as const;

interface Loaded {
  readonly entries: readonly HistoryEntry[];
  readonly nextBefore: string | null;
}

/** Who changed what, when, and from what to what: as the server's audit log has it. */
export function AccountHistory({ accountId }: { readonly accountId: string }): ReactNode {
  const { getToken, simulation, store } = useWorkspace();
  const { answeredAtMs } = useSync();
  const [loaded, setLoaded] = useState<Loaded | null>(null);
  const [isFailed, setFailed] = useState(false);
  // what the server last said about this account: when that changes, so has its history
  const version = answeredAtMs === null ? null : (store.getBase().accounts[accountId]?.updated_at ?? 'gone');

  const load = useCallback(
    async (before: string | null, isWanted: () => boolean = () => true): Promise<void> => {
      try {
        const page = await fetchHistory(accountId, before, { getToken, fetch: simulation.fetch });
        if (!isWanted()) return;
        setFailed(false);
        setLoaded((known) => ({
          entries: [...(before === null ? [] : (known?.entries ?? [])), ...page.entries],
          nextBefore: page.nextBefore,
        }));
      } catch {
        if (isWanted()) setFailed(true);
      }
    },
    [accountId, getToken, simulation],
  );
  useEffect(() => {
    let isWanted = true;
    void load(null, () => isWanted);
    return () => {
      isWanted = false;
    };
    // oxlint-disable-next-line react/exhaustive-deps -- another version of the account has another history
  }, [load, version]);

  return (
    <section className={classes.section} aria-label="Change history">
      <h3 className={classes.sectionTitle}>Change history</h3>
      {loaded === null && !isFailed ? <Loader size="sm" aria-label="Fetching the history" /> : null}
      {isFailed ? (
        <Text size="sm" className="soft">
          The history is kept by the server, which cannot be reached now.{' '}
          <Button size="compact-xs" variant="subtle" onClick={() => void load(null)}>
            Try again
          </Button>
        </Text>
      ) : null}
      {loaded?.entries.length === 0 ? (
        <Text size="sm" className="soft">
          Nobody has changed this account yet.
        </Text>
      ) : null}
      {loaded?.entries.map((entry) => (
        <Change key={entry.id} entry={entry} />
      ))}
      {loaded !== null && loaded.nextBefore !== null ? (
        <Button size="compact-sm" variant="light" onClick={() => void load(loaded.nextBefore)}>
          Show earlier changes
        </Button>
      ) : null}
    </section>
  );
}

const timeFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

function Change({ entry }: { readonly entry: HistoryEntry }): ReactNode {
  const who = entry.actor === null ? 'Someone' : (findDemoUser(entry.actor)?.name ?? entry.actor);
  return (
    <article className={classes.change}>
      <div className={classes.changeHead}>
        <span>
          <b>{ACTION_WORDS[entry.action]}</b> by {who}
        </span>
        <time dateTime={entry.occurredAt} className="soft">
          {timeFormat.format(new Date(entry.occurredAt))}
        </time>
      </div>
      <div className={classes.values}>
        {changesOf(entry).map(({ field, before, after }) => (
          <Fragment key={field}>
            <span className="soft">{FIELD_WORDS[field as keyof AccountFields] ?? field}</span>
            <del className={classes.before}>{fieldText(field, before)}</del>
            <span aria-label="became" role="img" className="soft">
              →
            </span>
            <ins style={{ textDecoration: 'none' }}>{fieldText(field, after)}</ins>
          </Fragment>
        ))}
      </div>
    </article>
  );
}
