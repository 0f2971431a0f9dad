import { keepLatest } from '../../engine/keep-latest.ts';
import { rowKey } from '../../engine/unconfirmed.ts';
import type { NewMutation } from '../store/number-giver.ts';
import type { Standing } from './merge-plan.ts';

/** A call of this tab before, about the same row. `seq`: 0 while it is stored together with the one behind it. */
export interface OwnBefore {
  readonly before: Pick<Standing, 'header' | 'payload' | 'origin'>;
  readonly seq: number;
}

/** Rows that are remembered: as many as two commits have at most. */
const ROW_COUNT_MAX = 1_000;

/** The last call of this tab about each row; the longest ago is forgotten first. Put in order by row only when an edit asks: most calls are none. */
export class CalledBefore {
  private readonly ofRow = new Map<string, OwnBefore>();
  private notListed: OwnBefore[] = [];

  note(own: OwnBefore): void {
    if (own.before.header.entity === null) return;
    this.notListed.push(own);
    if (this.notListed.length === ROW_COUNT_MAX) this.list();
  }

  find(header: NewMutation['header']): OwnBefore | undefined {
    this.list();
    return this.ofRow.get(rowKey(header));
  }

  clear(): void {
    this.notListed = [];
    this.ofRow.clear();
  }

  private list(): void {
    for (const own of this.notListed) {
      const key = rowKey(own.before.header);
      this.ofRow.delete(key);
      this.ofRow.set(key, own);
    }
    this.notListed = [];
    keepLatest(this.ofRow, ROW_COUNT_MAX);
  }
}
