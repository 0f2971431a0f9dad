import { Button, NativeSelect, NumberInput, Select, Text, TextInput } from '@mantine/core';
import { type DragEvent, memo, type ReactNode, useDeferredValue, useEffect, useMemo, useRef, useState } from 'react';
import type { AccountMark } from '../accounts/account-marks.ts';
import { BulkBar, type BulkField } from '../bulk/bulk-bar.tsx';
import { useBulk } from '../bulk/bulk-context.ts';
import { DEAL_WORDS, type Deal, type DealFields, euros, STAGE_WORDS, STAGES, type Stage } from '../deals/deal.ts';
import { dealFieldsSchema } from '../deals/deal-mutations.ts';
import { AccountSelect } from '../lists/account-select.tsx';
import { changedFields, RecordForm } from '../lists/record-form.tsx';
import { useSelection } from '../lists/use-selection.ts';
import { TEAM } from '../session/demo-users.ts';
import { Icon } from '../shell/icons.tsx';
import { madeOn, useCreateDeal, useDeleteDeal, useUpdateDeal } from '../workspace/mutations.ts';
import { useCrmState, useMarks, useWorkspace } from '../workspace/workspace-context.ts';
import classes from './deals-screen.module.css';
import screen from './list-screen.module.css';
import { RowMark } from './row-mark.tsx';

const STAGE_OPTIONS = STAGES.map((stage) => ({ value: stage, label: STAGE_WORDS[stage] }));
const FIELDS: readonly BulkField[] = [
  { field: 'stage', label: 'Stage', options: STAGE_OPTIONS },
  { field: 'owner', label: 'Owner', options: TEAM.map((name) => ({ value: name, label: name })) },
];
const NOTHING: DealFields = { account_id: '', title: '', stage: 'lead', amount_eur: 0, owner: null };

/** What is being sold, by how far it is. A card is moved by dragging it, or by choosing its stage. */
export function DealsScreen(): ReactNode {
  const { accounts, deals } = useCrmState();
  const { store } = useWorkspace();
  const [text, setText] = useState('');
  const [open, setOpen] = useState<Deal | 'new' | null>(null);
  const update = useUpdateDeal();
  const bulk = useBulk();
  const asked = useDeferredValue(text);
  const found = useMemo(() => {
    const words = asked.toLowerCase().split(/\s+/).filter(Boolean);
    return Object.values(deals)
      .filter((deal) => {
        const about = [deal.title, deal.owner, accounts[deal.account_id]?.name].join(' ').toLowerCase();
        return words.every((word) => about.includes(word));
      })
      .toSorted((a, b) => b.amount_eur - a.amount_eur || (a.id < b.id ? -1 : 1));
  }, [deals, accounts, asked]);
  const selection = useSelection(found);

  // a card that is moved by keyboard keeps the keyboard, in whichever column it appears
  const moved = useRef<{ readonly id: string; readonly stage: Stage } | null>(null);
  useEffect(() => {
    const card = moved.current;
    if (card === null || deals[card.id]?.stage !== card.stage) return;
    moved.current = null;
    if (document.activeElement === document.body)
      document.querySelector<HTMLElement>(`[data-deal="${card.id}"] select`)?.focus();
  }, [deals]);
  const move = (id: string, stage: Stage): void => {
    if (deals[id]?.stage === stage) return;
    moved.current = { id, stage };
    update.mutate({ id, stage }, madeOn(store.getBase().deals[id]));
  };
  const applyToAll = (field: string, value: string, title: string): void => {
    const base = store.getBase().deals;
    const inputs = [...selection.ids].map((id) => ({
      type: 'deal.update' as const,
      payload: { id, [field]: value },
      ...madeOn(base[id]),
    }));
    selection.acts.clear();
    bulk.start(title, inputs);
  };

  return (
    <main className={screen.screen}>
      <div className={screen.toolbar}>
        <TextInput
          className={screen.search ?? ''}
          type="search"
          aria-label="Search deals"
          placeholder="Search by what, account, owner"
          leftSection={<Icon name="search" />}
          value={text}
          onChange={({ currentTarget }) => setText(currentTarget.value)}
        />
        <Button variant="default" onClick={selection.acts.toggleAll} disabled={found.length === 0}>
          {selection.ids.size === found.length && found.length > 0 ? 'Select none' : `Select all ${found.length}`}
        </Button>
        <Button leftSection={<Icon name="plus" size={16} />} onClick={() => setOpen('new')}>
          New deal
        </Button>
      </div>
      <BulkBar
        count={selection.ids.size}
        noun="deals"
        fields={FIELDS}
        onApply={applyToAll}
        onClear={selection.acts.clear}
      />
      <div className={classes.board}>
        {STAGES.map((stage) => (
          <StageColumn
            key={stage}
            stage={stage}
            deals={found.filter((deal) => deal.stage === stage)}
            selectedIds={selection.ids}
            onSelect={selection.acts.toggle}
            onMove={move}
            onOpen={setOpen}
          />
        ))}
      </div>
      {open === null ? null : <DealForm deal={open === 'new' ? null : open} onClose={() => setOpen(null)} />}
    </main>
  );
}

interface CardActs {
  readonly onSelect: (id: string) => void;
  readonly onMove: (id: string, stage: Stage) => void;
  readonly onOpen: (deal: Deal) => void;
}

interface StageColumnProps extends CardActs {
  readonly stage: Stage;
  readonly deals: readonly Deal[];
  readonly selectedIds: ReadonlySet<string>;
}

function StageColumn({ stage, deals, selectedIds, ...acts }: StageColumnProps): ReactNode {
  const { accounts } = useCrmState();
  const marks = useMarks();
  const [isOver, setOver] = useState(false);
  const sum = deals.reduce((total, { amount_eur }) => total + amount_eur, 0);
  const drop = (event: DragEvent): void => {
    event.preventDefault();
    setOver(false);
    const id = event.dataTransfer.getData('text/plain');
    if (id !== '') acts.onMove(id, stage);
  };
  return (
    // dragging is one way; the other, for every keyboard, is the select on each card
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <section
      className={classes.column}
      aria-label={STAGE_WORDS[stage]}
      data-over={isOver}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <header className={classes.columnHead}>
        <h2 className={classes.columnTitle}>{STAGE_WORDS[stage]}</h2>
        <Text size="xs" className="soft">
          {sum === 0 ? deals.length : `${deals.length} · ${euros(sum)}`}
        </Text>
      </header>
      {/* it scrolls by keyboard, too */}
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <ul className={classes.cards} tabIndex={0} aria-label={`Deals: ${STAGE_WORDS[stage]}`}>
        {deals.map((deal) => (
          <DealCard
            key={deal.id}
            deal={deal}
            accountName={accounts[deal.account_id]?.name ?? 'Deleted account'}
            mark={marks.get(deal.id) ?? null}
            isSelected={selectedIds.has(deal.id)}
            {...acts}
          />
        ))}
        {deals.length === 0 ? <li className={classes.none}>None</li> : null}
      </ul>
    </section>
  );
}

interface DealCardProps extends CardActs {
  readonly deal: Deal;
  readonly accountName: string;
  readonly mark: AccountMark | null;
  readonly isSelected: boolean;
}

const DealCard = memo(
  function DealCard({ deal, accountName, mark, isSelected, onSelect, onMove, onOpen }: DealCardProps): ReactNode {
    return (
      // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- as above
      <li
        className={classes.card}
        data-deal={deal.id}
        data-selected={isSelected}
        draggable
        onDragStart={(event) => event.dataTransfer.setData('text/plain', deal.id)}
      >
        <div className={classes.cardHead}>
          <input
            type="checkbox"
            aria-label={`Select ${deal.title}, ${accountName}`}
            checked={isSelected}
            onChange={() => onSelect(deal.id)}
          />
          <button type="button" className={classes.open} onClick={() => onOpen(deal)}>
            {deal.title}
          </button>
          {mark === null ? null : <RowMark mark={mark} />}
        </div>
        <span className={classes.sub}>{accountName}</span>
        <div className={classes.cardFoot}>
          <span className={classes.amount}>{euros(deal.amount_eur)}</span>
          <span className={classes.sub}>{deal.owner ?? 'Nobody'}</span>
        </div>
        <NativeSelect
          size="xs"
          aria-label={`Stage of ${deal.title}, ${accountName}`}
          data={STAGE_OPTIONS}
          value={deal.stage}
          onChange={({ currentTarget }) => onMove(deal.id, currentTarget.value as Stage)}
        />
      </li>
    );
  },
  (a, b) =>
    a.deal === b.deal &&
    a.mark === b.mark &&
    a.isSelected === b.isSelected &&
    a.accountName === b.accountName &&
    a.onSelect === b.onSelect,
);

function DealForm({ deal, onClose }: { readonly deal: Deal | null; readonly onClose: () => void }): ReactNode {
  const { store } = useWorkspace();
  const create = useCreateDeal();
  const update = useUpdateDeal();
  const remove = useDeleteDeal();
  // what others change while the form is open, whoever fills it in has not seen
  const [confirmed] = useState(() => (deal === null ? undefined : store.getBase().deals[deal.id]));
  const submit = async (fields: DealFields): Promise<void> => {
    if (deal === null) {
      await create.mutateAsync({ id: crypto.randomUUID(), ...fields });
      return;
    }
    const changes = changedFields<DealFields>(deal, fields);
    if (Object.keys(changes).length > 0) await update.mutateAsync({ id: deal.id, ...changes }, madeOn(confirmed));
  };
  return (
    <RecordForm<DealFields>
      title={deal === null ? 'New deal' : `Edit ${deal.title}`}
      initial={deal ?? NOTHING}
      schema={dealFieldsSchema}
      onSubmit={submit}
      onClose={onClose}
      onDelete={deal === null ? undefined : () => remove.mutate({ id: deal.id }, madeOn(confirmed))}
    >
      {({ fields, errors, set }) => (
        <>
          <TextInput
            label={DEAL_WORDS.title}
            value={fields.title}
            error={errors.title}
            required
            data-autofocus
            onChange={({ currentTarget }) => set({ title: currentTarget.value })}
          />
          <AccountSelect
            value={fields.account_id}
            error={errors.account_id}
            onChange={(account_id) => set({ account_id })}
          />
          <Select
            label={DEAL_WORDS.stage}
            data={STAGE_OPTIONS}
            value={fields.stage}
            error={errors.stage}
            allowDeselect={false}
            onChange={(stage) => set({ stage: stage as Stage })}
          />
          <NumberInput
            label={DEAL_WORDS.amount_eur}
            value={fields.amount_eur}
            error={errors.amount_eur}
            prefix="€"
            thousandSeparator=","
            allowDecimal={false}
            min={0}
            onChange={(amount) => set({ amount_eur: typeof amount === 'number' ? amount : 0 })}
          />
          <Select
            label={DEAL_WORDS.owner}
            data={[...TEAM]}
            value={fields.owner}
            placeholder="Nobody"
            clearable
            onChange={(owner) => set({ owner })}
          />
        </>
      )}
    </RecordForm>
  );
}
