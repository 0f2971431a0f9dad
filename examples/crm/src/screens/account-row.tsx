import { memo, type ReactNode } from 'react';
import type { Account } from '../accounts/account.ts';
import type { AccountMark } from '../accounts/account-marks.ts';
import { codesOf, countryName, feet, KIND_WORDS } from '../accounts/account-words.ts';
import classes from './account-list.module.css';
import { RowMark } from './row-mark.tsx';

interface AccountRowProps {
  readonly account: Account;
  /** Counted from 1, the head included. */
  readonly rowIndex: number;
  readonly topPx: number;
  readonly mark: AccountMark | null;
  readonly isChosen: boolean;
  readonly isActive: boolean;
  readonly isSelected: boolean;
  readonly onChoose: () => void;
  /** `isRange`: from the last one to this one. */
  readonly onSelect: (id: string, isRange: boolean) => void;
}

export const AccountRow = memo(
  function AccountRow({
    account,
    rowIndex,
    topPx,
    mark,
    isChosen,
    isActive,
    isSelected,
    onChoose,
    onSelect,
  }: AccountRowProps): ReactNode {
    const codes = codesOf(account);
    return (
      // the grid has the keyboard; a click is the same as Enter there
      // oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/interactive-supports-focus
      <div
        id={`account-${account.id}`}
        role="row"
        aria-rowindex={rowIndex}
        aria-selected={isSelected}
        aria-current={isChosen}
        data-active={isActive}
        data-account={account.id}
        className={classes.row}
        style={{ transform: `translateY(${topPx}px)` }}
        onClick={onChoose}
      >
        <span role="gridcell" className={classes.check}>
          <input
            type="checkbox"
            // the grid has the keyboard: the space bar does the same there
            tabIndex={-1}
            aria-label={`Select ${account.name}`}
            checked={isSelected}
            onChange={() => undefined}
            onClick={(event) => {
              event.stopPropagation();
              onSelect(account.id, event.shiftKey);
            }}
          />
        </span>
        <span role="gridcell">{mark === null ? null : <RowMark mark={mark} />}</span>
        <span role="gridcell" className={classes.account}>
          <span className={classes.name}>{account.name}</span>
          <span className={classes.sub}>
            {codes === '' ? 'No code' : codes}
            <span className={classes.narrow}>
              {' '}
              · {countryName(account.country_code)} · {KIND_WORDS[account.kind]}
            </span>
          </span>
        </span>
        <span role="gridcell" className={classes.country}>
          {countryName(account.country_code)}
        </span>
        <span role="gridcell" className={classes.kind}>
          {KIND_WORDS[account.kind]}
        </span>
        <span role="gridcell" className={classes.runway}>
          {feet(account.runway_length_ft)}
        </span>
        <span role="gridcell" className={classes.owner}>
          {account.owner ?? '–'}
        </span>
        <span role="gridcell" className={classes.updated}>
          {account.updated_at === null ? 'Not sent yet' : changedText(account.updated_at)}
        </span>
      </div>
    );
  },
  (a, b) =>
    a.account === b.account &&
    a.topPx === b.topPx &&
    a.mark === b.mark &&
    a.isChosen === b.isChosen &&
    a.isActive === b.isActive &&
    a.isSelected === b.isSelected &&
    a.onSelect === b.onSelect &&
    a.rowIndex === b.rowIndex,
);

const dayFormat = new Intl.DateTimeFormat(undefined, {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
});

function changedText(at: string): string {
  return dayFormat.format(new Date(at));
}
