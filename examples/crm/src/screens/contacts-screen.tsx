import { Button, Center, Text, TextInput } from '@mantine/core';
import { useVirtualizer } from '@tanstack/react-virtual';
import { type ReactNode, useDeferredValue, useMemo, useRef, useState } from 'react';
import { codesOf } from '../accounts/account-words.ts';
import { CONTACT_WORDS, type Contact, type ContactFields } from '../contacts/contact.ts';
import { contactFieldsSchema } from '../contacts/contact-mutations.ts';
import { ImportContacts } from '../import/import-contacts.tsx';
import { AccountSelect } from '../lists/account-select.tsx';
import { changedFields, RecordForm, textOrNull } from '../lists/record-form.tsx';
import { Icon } from '../shell/icons.tsx';
import { madeOn, useCreateContact, useDeleteContact, useUpdateContact } from '../workspace/mutations.ts';
import { useCrmState, useMarks, useWorkspace } from '../workspace/workspace-context.ts';
import classes from './contacts-screen.module.css';
import screen from './list-screen.module.css';
import { RowMark } from './row-mark.tsx';

const ROW_PX = 56;
const numbers = new Intl.NumberFormat('en');
const NOBODY: ContactFields = { account_id: '', name: '', role: null, email: null, phone: null };

/** The people at the accounts. */
export function ContactsScreen(): ReactNode {
  const { accounts, contacts } = useCrmState();
  const [text, setText] = useState('');
  const [open, setOpen] = useState<Contact | 'new' | 'import' | null>(null);
  const asked = useDeferredValue(text);
  const all = useMemo(
    () => Object.values(contacts).toSorted((a, b) => a.name.localeCompare(b.name) || (a.id < b.id ? -1 : 1)),
    [contacts],
  );
  const found = useMemo(() => {
    const words = asked.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length === 0) return all;
    return all.filter(({ name, role, email, phone, account_id }) => {
      const account = accounts[account_id];
      const text = [name, role, email, phone, account?.name, account?.iata].join(' ').toLowerCase();
      return words.every((word) => text.includes(word));
    });
  }, [all, accounts, asked]);

  return (
    <main className={screen.screen}>
      <div className={screen.toolbar}>
        <TextInput
          className={screen.search ?? ''}
          type="search"
          aria-label="Search contacts"
          placeholder="Search by name, role, e-mail, account"
          leftSection={<Icon name="search" />}
          value={text}
          onChange={({ currentTarget }) => setText(currentTarget.value)}
        />
        <Text size="sm" className="soft" aria-live="polite">
          {found.length === all.length
            ? `${numbers.format(all.length)} contacts`
            : `${numbers.format(found.length)} of ${numbers.format(all.length)}`}
        </Text>
        <Button variant="default" onClick={() => setOpen('import')}>
          Import CSV
        </Button>
        <Button leftSection={<Icon name="plus" size={16} />} onClick={() => setOpen('new')}>
          New contact
        </Button>
      </div>
      {found.length === 0 ? (
        <Center flex={1} p="md">
          <Text className="soft">
            {all.length === 0 ? 'There are no contacts yet. Make one, or import a CSV file.' : 'No contact matches.'}
          </Text>
        </Center>
      ) : (
        <ContactList contacts={found} onChoose={setOpen} />
      )}
      {open === 'import' ? <ImportContacts onClose={() => setOpen(null)} /> : null}
      {open === null || open === 'import' ? null : (
        <ContactForm contact={open === 'new' ? null : open} onClose={() => setOpen(null)} />
      )}
    </main>
  );
}

interface ContactListProps {
  readonly contacts: readonly Contact[];
  readonly onChoose: (contact: Contact) => void;
}

function ContactList({ contacts, onChoose }: ContactListProps): ReactNode {
  const { accounts } = useCrmState();
  const marks = useMarks();
  const scroller = useRef<HTMLDivElement>(null);
  const virtualizer = useVirtualizer({
    count: contacts.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 8,
  });
  return (
    <>
      <div className={classes.columns} aria-hidden="true">
        <span />
        <span>Name and role</span>
        <span>E-mail</span>
        <span>Account</span>
      </div>
      {/* it scrolls by keyboard, too */}
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <div ref={scroller} className={classes.scroller} tabIndex={0} role="region" aria-label="Contacts">
        <ul className={classes.rows} style={{ height: virtualizer.getTotalSize() }}>
          {virtualizer.getVirtualItems().map((item) => {
            const contact = contacts[item.index];
            if (contact === undefined) return null;
            const account = accounts[contact.account_id];
            const mark = marks.get(contact.id);
            return (
              <li
                key={contact.id}
                className={classes.row}
                style={{ transform: `translateY(${item.start}px)` }}
                aria-setsize={contacts.length}
                aria-posinset={item.index + 1}
              >
                <span className={classes.mark}>{mark === undefined ? null : <RowMark mark={mark} />}</span>
                <button type="button" className={classes.open} onClick={() => onChoose(contact)}>
                  <span className={classes.name}>{contact.name}</span>
                  <span className={classes.sub}>
                    {contact.role ?? 'No role'}
                    <span className={classes.narrow}>{contact.email === null ? '' : ` · ${contact.email}`}</span>
                  </span>
                </button>
                <span className={classes.cell}>{contact.email ?? '–'}</span>
                <span className={classes.cell}>
                  {account === undefined
                    ? 'Deleted account'
                    : [account.name, codesOf(account)].filter(Boolean).join(' · ')}
                </span>
              </li>
            );
          })}
        </ul>
      </div>
    </>
  );
}

function ContactForm({
  contact,
  onClose,
}: {
  readonly contact: Contact | null;
  readonly onClose: () => void;
}): ReactNode {
  const { store } = useWorkspace();
  const create = useCreateContact();
  const update = useUpdateContact();
  const remove = useDeleteContact();
  // what others change while the form is open, whoever fills it in has not seen
  const [confirmed] = useState(() => (contact === null ? undefined : store.getBase().contacts[contact.id]));
  const submit = async (fields: ContactFields): Promise<void> => {
    if (contact === null) {
      await create.mutateAsync({ id: crypto.randomUUID(), ...fields });
      return;
    }
    const changes = changedFields<ContactFields>(contact, fields);
    if (Object.keys(changes).length > 0) await update.mutateAsync({ id: contact.id, ...changes }, madeOn(confirmed));
  };
  return (
    <RecordForm<ContactFields>
      title={contact === null ? 'New contact' : `Edit ${contact.name}`}
      initial={contact ?? NOBODY}
      schema={contactFieldsSchema}
      onSubmit={submit}
      onClose={onClose}
      onDelete={contact === null ? undefined : () => remove.mutate({ id: contact.id }, madeOn(confirmed))}
    >
      {({ fields, errors, set }) => (
        <>
          <TextInput
            label={CONTACT_WORDS.name}
            value={fields.name}
            error={errors.name}
            required
            data-autofocus
            onChange={({ currentTarget }) => set({ name: currentTarget.value })}
          />
          <AccountSelect
            value={fields.account_id}
            error={errors.account_id}
            onChange={(account_id) => set({ account_id })}
          />
          {(['role', 'email', 'phone'] as const).map((field) => (
            <TextInput
              key={field}
              label={CONTACT_WORDS[field]}
              value={fields[field] ?? ''}
              error={errors[field]}
              onChange={({ currentTarget }) => set({ [field]: textOrNull(currentTarget.value) })}
            />
          ))}
        </>
      )}
    </RecordForm>
  );
}
