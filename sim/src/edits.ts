import type { Made } from './history.ts';
import type { TabProcess } from './tab-process.ts';

/** Another payload for a mutation, under a tag of its own: what was asked, and what was answered. */
export interface Edit {
  readonly tag: string;
  readonly made: Made;
  readonly process: TabProcess;
  readonly invokedStep: number;
  readonly invokedAtMs: number;
  answer: 'edited' | 'replaced' | 'refused' | null;
  answeredStep: number | null;
  /** The new mutation that stands for it, once it is known. */
  replacement: Made | null;
}

/** What people have rewritten, and which text of a mutation the server may still be given. */
export class Edits {
  private readonly byTag = new Map<string, Edit>();
  private readonly byMade = new Map<Made, Edit[]>();

  get count(): number {
    return this.byTag.size;
  }

  of(made: Made): readonly Edit[] {
    return this.byMade.get(made) ?? [];
  }

  find(tag: string): Edit | undefined {
    return this.byTag.get(tag);
  }

  invoked(edit: Omit<Edit, 'answer' | 'answeredStep' | 'replacement'>): Edit {
    const record: Edit = { ...edit, answer: null, answeredStep: null, replacement: null };
    this.byTag.set(edit.tag, record);
    this.byMade.set(edit.made, [...this.of(edit.made), record]);
    return record;
  }

  /** The one that it stands for, or the one that that one stands for. */
  firstOf(made: Made): Made {
    const edit = this.byTag.get(made.tag);
    return edit === undefined ? made : this.firstOf(edit.made);
  }

  /** How many on this device were never answered: they may stand, or not. */
  unheardOn(deviceIndex: number): number {
    return [...this.byTag.values()].filter(({ made, answer }) => made.deviceIndex === deviceIndex && answer === null)
      .length;
  }

  /** An edit that was acknowledged, and asked for after this text of the mutation was known to stand. */
  newerThan(made: Made, tag: string): Edit | undefined {
    const own = this.byTag.get(tag);
    if (own !== undefined && own.answeredStep === null) return undefined;
    const sinceStep = own?.answeredStep ?? 0;
    return this.of(made).find((edit) => edit.answer === 'edited' && edit.tag !== tag && edit.invokedStep > sinceStep);
  }
}
