import { ActionIcon, Anchor, Badge, Button, Center, Group, Modal, Stack, Text, Tooltip } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import type { Account, AccountFields } from '../accounts/account.ts';
import { codesOf, countryName, FIELD_WORDS, fieldText, KIND_WORDS } from '../accounts/account-words.ts';
import { Icon } from '../shell/icons.tsx';
import { madeOn, useDeleteAccount, useUpdateAccount } from '../workspace/mutations.ts';
import { useCrmState, useSync, useWorkspace } from '../workspace/workspace-context.ts';
import classes from './account-detail.module.css';
import { AccountForm } from './account-form.tsx';
import { AccountHistory } from './account-history.tsx';
import { PanelHead } from './panel-head.tsx';
import { RelatedRecords, relatedText, relatedTo } from './related-records.tsx';
import { UnconfirmedChanges } from './unconfirmed-changes.tsx';

interface AccountDetailProps {
  readonly accountId: string;
  readonly onClose: () => void;
}

/** What a form was opened on: what others change meanwhile, whoever fills it in has not seen. */
interface Edited {
  readonly account: Account;
  /** As the server had it; undefined for one that it has not confirmed. */
  readonly confirmed: Account | undefined;
}

const GROUPS: readonly { readonly title: string; readonly fields: readonly (keyof AccountFields)[] }[] = [
  { title: 'Contact', fields: ['owner', 'contact_name', 'contact_phone', 'website', 'wikipedia'] },
  { title: 'Airport', fields: ['iata', 'icao', 'kind', 'scheduled_service', 'runway_length_ft', 'elevation_ft'] },
  { title: 'Place', fields: ['country_code', 'continent', 'time_zone', 'latitude', 'longitude'] },
];

/** One account with everything known about it, its changes that wait, and its history. */
export function AccountDetail({ accountId, onClose }: AccountDetailProps): ReactNode {
  const state = useCrmState();
  const [edited, setEdited] = useState<Edited | null>(null);
  const isEditing = edited !== null;
  // what is deleted while it is edited stays in its form: what was typed is not lost, and saving says what became of it
  const account = state.accounts[accountId] ?? edited?.account;
  const { store } = useWorkspace();
  const { hasList } = useSync();
  const update = useUpdateAccount();
  const remove = useDeleteAccount();
  const [isAsking, asking] = useDisclosure(false);
  const related = isAsking ? relatedText(relatedTo(state, accountId)) : null;
  const top = useRef<HTMLDivElement>(null);
  // the form and what it changes both begin at their top
  useEffect(() => {
    top.current?.parentElement?.scrollTo({ top: 0 });
    // changing between the two is what it follows
  }, [isEditing]);

  if (account === undefined) {
    return (
      <>
        <PanelHead title="Account" onClose={onClose} />
        <UnconfirmedChanges accountId={accountId} />
        <Center p="xl">
          <Text className="soft">
            {hasList ? 'This account is not there: it was deleted, or belongs to another workspace.' : 'Fetching …'}
          </Text>
        </Center>
        {hasList ? <AccountHistory accountId={accountId} /> : null}
      </>
    );
  }

  const save = async (before: Edited, fields: AccountFields): Promise<void> => {
    const changes = changedFields(before.account, fields);
    if (Object.keys(changes).length > 0)
      await update.mutateAsync({ id: accountId, ...changes }, madeOn(before.confirmed));
    // only now: what could not be stored stays in the form
    setEdited(null);
  };
  const confirmRemoval = (): void => {
    asking.close();
    // what could not be stored is said on its toast
    remove.mutate({ id: accountId }, madeOn(store.getBase().accounts[accountId]));
    onClose();
  };

  return (
    <>
      <div ref={top} data-detail={accountId} />
      <PanelHead
        title={isEditing ? `Edit ${account.name}` : account.name}
        onClose={isEditing ? () => setEdited(null) : onClose}
      >
        {isEditing ? null : (
          <Group gap={6} wrap="nowrap">
            <Button
              size="xs"
              variant="light"
              leftSection={<Icon name="pencil" size={15} />}
              onClick={() => setEdited({ account, confirmed: store.getBase().accounts[accountId] })}
            >
              Edit
            </Button>
            <Tooltip label="Delete">
              <ActionIcon variant="subtle" color="red" size="lg" aria-label="Delete this account" onClick={asking.open}>
                <Icon name="trash" />
              </ActionIcon>
            </Tooltip>
          </Group>
        )}
      </PanelHead>
      {isEditing ? (
        <AccountForm
          initial={edited.account}
          submitLabel="Save"
          onCancel={() => setEdited(null)}
          onSubmit={(fields) => save(edited, fields)}
        />
      ) : (
        <>
          <div className={classes.summary}>
            <Badge variant="light" size="lg" tt="none" fw={550}>
              {KIND_WORDS[account.kind]}
            </Badge>
            <Text size="sm" className="soft">
              {[codesOf(account), countryName(account.country_code)].filter(Boolean).join(' · ')}
            </Text>
          </div>
          <UnconfirmedChanges accountId={accountId} />
          <Facts account={account} />
          <RelatedRecords accountId={accountId} />
          <AccountHistory accountId={accountId} />
        </>
      )}
      <Modal opened={isAsking} onClose={asking.close} title={<Text fw={650}>Delete this account?</Text>} centered>
        <Stack>
          <Text size="sm">
            {account.name} goes away for everyone in this workspace. You can undo that on its message, and the history
            keeps what it was.
          </Text>
          {related === null ? null : <Text size="sm">What belongs to it stays, without an account: {related}.</Text>}
          <Group justify="end">
            <Button variant="default" onClick={asking.close} data-autofocus>
              Keep it
            </Button>
            <Button color="red" onClick={confirmRemoval}>
              Delete
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  );
}

function Facts({ account }: { readonly account: Account }): ReactNode {
  return (
    <>
      {GROUPS.map(({ title, fields }) => (
        <section key={title} className={classes.section}>
          <h3 className={classes.sectionTitle}>{title}</h3>
          <dl className={classes.facts}>
            {fields.map((field) => (
              <div key={field} data-wide={field === 'website' || field === 'wikipedia'}>
                <dt>{FIELD_WORDS[field]}</dt>
                <dd>
                  <FieldValue field={field} value={account[field]} />
                </dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
      <section className={classes.section}>
        <h3 className={classes.sectionTitle}>Notes</h3>
        <Text size="sm" className={classes.notes ?? ''} data-notes>
          {account.notes ?? <span className="soft">No notes yet.</span>}
        </Text>
      </section>
    </>
  );
}

function FieldValue({
  field,
  value,
}: {
  readonly field: keyof AccountFields;
  readonly value: AccountFields[keyof AccountFields];
}): ReactNode {
  if ((field === 'website' || field === 'wikipedia') && typeof value === 'string' && /^https?:\/\//.test(value)) {
    return (
      <Anchor href={value} target="_blank" rel="noreferrer" size="sm">
        {value.replace(/^https?:\/\/(www\.)?/, '').replace(/\/$/, '')}
      </Anchor>
    );
  }
  if (field === 'contact_phone' && typeof value === 'string') {
    return (
      <Anchor href={`tel:${value.replace(/[^+\d]/g, '')}`} size="sm">
        {value}
      </Anchor>
    );
  }
  return fieldText(field, value);
}

/** Only what is different: someone else may be editing the other fields. */
function changedFields(before: Account, after: AccountFields): Partial<AccountFields> {
  return Object.fromEntries(
    Object.entries(after).filter(([field, value]) => before[field as keyof AccountFields] !== value),
  ) as Partial<AccountFields>;
}
