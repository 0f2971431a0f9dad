import { type AnyMutationDefinition, defineMutation, type JsonObject, type MutationHandle } from 'holdfast';
import type { Caller, Performed } from '../../../packages/client/src/testing/ledger.ts';
import { ServerTables } from '../../../packages/client/src/testing/server-tables.ts';
import type { WireMutation } from '../../../packages/client/src/protocol/wire.ts';
import { anyPayload } from '../any-payload.ts';
import type { AppTab } from '../app-tab.ts';
import type { Device } from '../device.ts';
import { finish } from '../finish.ts';
import type { Story, World } from '../world.ts';

export interface Note {
  readonly id: string;
  readonly words: readonly string[];
}

export interface NotebookOptions {
  readonly options?: Story['options'];
  /** Codes of dead letters that belong to the story. */
  readonly failures?: readonly string[];
  /** Some may give way, and are cancelled then. */
  readonly mayGiveWay?: boolean;
  /** Some are taken back, or disposed of, by somebody. */
  readonly isRemoved?: boolean;
  /** How each call ends, in their order, when nothing crashes: the story is about what it says. */
  readonly endings: readonly string[];
}

/** One call, and what the app was told of it. */
interface Call {
  readonly words: readonly string[];
  /** What it is about: changes of one note, or page, take effect in the order of the calls. */
  readonly about: readonly string[];
  told: 'stored' | 'deduplicated' | 'coalesced' | 'refused' | null;
  /** What stands for it, by what was told. */
  id: string | null;
}

interface Effect {
  readonly id: string;
  readonly words: readonly string[];
}

/** Written on the server by nobody but others, of a page that is edited here. */
export const OTHERS_TEXT = 'what others wrote';

/**
 * A small app whose changes are merged, dropped as duplicates, made together, evicted, or in conflict with what others do: what
 * the simulated app does not. It knows what it was told and what its server did, and nothing of the queue.
 */
export class Notebook implements Story {
  readonly mutations: readonly AnyMutationDefinition[] = DEFINITIONS;
  readonly options: Story['options'];
  private readonly told: NotebookOptions;
  private readonly calls: Call[] = [];
  private readonly effects: Effect[] = [];
  private readonly tables: ServerTables;
  /** Of each edit that the server has called a conflict: whether someone has chosen since. */
  private readonly conflicts = new Map<string, 'open' | 'chosen'>();
  private readonly violations: (readonly [invariant: string, message: string])[] = [];

  constructor(told: NotebookOptions) {
    this.told = told;
    this.options = told.options ?? {};
    this.tables = new ServerTables(
      { pages: { versionColumn: 'version', columns: ['title', 'text'] } },
      { 'note.write': refuseBadWords, 'note.extend': refuseBadWords },
    );
    this.tables.write('pages', { id: 'p', version: 1, title: 'old', text: 'old' }, null);
  }

  perform = (mutation: WireMutation, caller: Caller): Performed => {
    const performed = this.tables.perform(mutation, caller);
    const { id } = mutation;
    if (performed.kind === 'conflict') this.conflicts.set(id, this.conflicts.get(id) ?? 'open');
    if (performed.kind !== 'done') return performed;
    if (this.conflicts.get(id) === 'open' && mutation.type === 'page.ask')
      this.violations.push(['inv-C2', `${id} took effect before someone had chosen`]);
    this.effects.push({ id, words: wordsOf(mutation.payload) });
    return performed;
  };

  write(tab: AppTab, note: Note, more: { readonly id?: string; readonly priority?: 'low' } = {}): void {
    this.called(
      tab,
      { words: note.words, about: [note.id] },
      tab.queue.add({ type: 'note.write', payload: note, ...more }),
    );
  }

  extend(tab: AppTab, note: Note): void {
    this.called(tab, { words: note.words, about: [note.id] }, tab.queue.add({ type: 'note.extend', payload: note }));
  }

  writeTogether(tab: AppTab, notes: readonly Note[]): void {
    const members = notes.map((payload) => ({ type: 'note.write', payload }));
    const together = { words: notes.flatMap(({ words }) => words), about: notes.map(({ id }) => id) };
    this.called(tab, together, tab.queue.addAtomic(members));
  }

  /** Sets the page's title, as its user has seen the page at its first version. */
  editTitle(tab: AppTab, type: 'page.merge' | 'page.yield' | 'page.ask', title: string): void {
    const base = { rowVersion: 1, row: { id: 'p', version: 1, title: 'old', text: 'old' } };
    this.called(tab, { words: [title], about: ['p'] }, tab.queue.add({ type, payload: { id: 'p', title }, base }));
  }

  /** Others change the page: its text, and its title too if that is said. */
  othersEdit(title: string | null): void {
    const row = this.tables.row('pages', 'p');
    const version = Number(row?.['version']) + 1;
    const changed = { ...row, id: 'p', version, text: OTHERS_TEXT, ...(title === null ? {} : { title }) };
    this.tables.write('pages', changed, null);
  }

  /** Whoever sees an edit that waits for a choice chooses their own. */
  choose(tab: AppTab): void {
    for (const { id, waitingFor } of tab.queue.listUnconfirmed(10)) {
      if (waitingFor !== 'conflict') continue;
      this.conflicts.set(id, 'chosen');
      tab.process.calls(`choose mine for ${id}`);
      tab.queue.resolveConflict(id, 'mine', { actor: 'the simulated user' }).catch(() => {});
    }
  }

  /** Takes back what was never sent, or disposes of a dead letter; with a name, since it must be known who did it. */
  remove(tab: AppTab, word: string): void {
    const id = this.calls.find(({ words }) => words.includes(word))?.id ?? null;
    if (id === null) return;
    tab.process.calls(`remove ${word}`);
    tab.queue.remove(id, { actor: 'ann', reason: 'it was a slip' }).catch(() => {});
  }

  private called(
    { process }: AppTab,
    { words, about }: Pick<Call, 'words' | 'about'>,
    adding: Promise<MutationHandle>,
  ): void {
    const call: Call = { words, about, told: null, id: null };
    this.calls.push(call);
    process.calls(`add ${words.join()}`);
    adding.then(
      (handle) => {
        if (!process.isAlive) return;
        call.told = handle.deduplicated ? 'deduplicated' : handle.coalesced ? 'coalesced' : 'stored';
        call.id = handle.id;
        process.calls(`added ${words.join()}: ${call.told}`);
      },
      () => {
        if (process.isAlive) call.told = 'refused';
      },
    );
  }

  /** Through a tab that is opened for it, so that only what is stored counts. */
  async judge(world: World, device: Device): Promise<void> {
    const { history, scheduler, crasher } = world;
    await scheduler.runUntil(scheduler.nowMs + 100_000, () => history.violations.length > 0);
    const { queue, process } = device.openTab();
    const endings: string[] = [];
    for (const call of this.calls) {
      const ending = call.id === null ? 'unknown' : await finish(world, endingOf(queue, call.id));
      if (ending === null) {
        this.violations.push(['inv-I14', `${process.name} cannot be asked`]);
        break;
      }
      endings.push(call.told === null ? 'never told' : call.told === 'stored' ? ending : `${call.told}, ${ending}`);
      if (call.told !== null && call.told !== 'refused') this.checkPromise(call, ending);
    }
    const acts = await finish(world, queue.listActs());
    for (const [index, { words, id }] of this.calls.entries()) {
      const isRemoved = endings[index]?.endsWith('cancelled') === true && this.told.mayGiveWay !== true;
      const isRecorded = acts?.some(({ actor, ids }) => actor === 'ann' && ids.includes(id ?? '')) === true;
      if (isRemoved !== isRecorded)
        this.violations.push(['inv-I26', `${words.join()} is ${endings[index] ?? ''}; recorded: ${isRecorded}`]);
    }
    this.checkEffects();
    if (crasher?.crashCount === 0 && endings.join('; ') !== this.told.endings.join('; '))
      this.violations.push(['story', `it ended as ${endings.join('; ')}`]);
    for (const [invariant, message] of this.violations) history.violated(invariant, message);
  }

  private checkPromise({ words, id }: Call, ending: string): void {
    const what = words.join(' ');
    const effects = this.effects.filter((effect) => effect.id === id);
    const isWhole = effects.length === 1 && words.every((word) => effects[0]?.words.includes(word));
    const [status = '', code = ''] = ending.split(' ');
    if (status === 'unknown') this.violations.push(['inv-I1', `${what} was promised, and the device does not know it`]);
    else if (status === 'pending' || status === 'processing')
      this.violations.push(['inv-I14', `${what} is pending at the end`]);
    else if (status === 'completed' && !isWhole)
      this.violations.push(['inv-I22', `${what} counts as completed; it took effect as ${JSON.stringify(effects)}`]);
    else if (status !== 'completed' && effects.length > 0)
      this.violations.push(['inv-I22', `${what} counts as ${status}, and took effect`]);
    else if (status === 'failed' && this.told.failures?.includes(code) !== true)
      this.violations.push(['inv-I20', `${what} is a dead letter, ${code}, for no reason`]);
    else if (status === 'cancelled' && this.told.mayGiveWay !== true && this.told.isRemoved !== true)
      this.violations.push(['inv-I1', `${what} was taken back by nobody`]);
  }

  /** Both stand for themselves, and somebody was told so. */
  private checkOrder(earlier: Call, later: Call): void {
    if (earlier.told !== 'stored' || later.told !== 'stored') return;
    if (!earlier.about.some((each) => later.about.includes(each))) return;
    const [first, second] = [earlier, later].map((call) => this.effects.findIndex(({ id }) => id === call.id));
    if (first === undefined || second === undefined || first < 0 || second < 0 || first < second) return;
    this.violations.push(['inv-I5', `${later.words.join()} took effect before ${earlier.words.join()}`]);
  }

  private checkEffects(): void {
    for (const { id } of this.effects)
      if (this.effects.filter((effect) => effect.id === id).length > 1)
        this.violations.push(['inv-I2', `${id} took effect more than once`]);
    for (const word of new Set(this.calls.flatMap(({ words }) => words))) {
      const calls = this.calls.filter(({ words }) => words.includes(word));
      // Of a call that nobody lived to hear of it is not known what it came to.
      const unheardCount = calls.filter(({ told }) => told === null).length;
      const standing = new Set(calls.flatMap(({ id }) => id ?? []));
      const count = this.effects.flatMap(({ words }) => words).filter((each) => each === word).length;
      if (count > standing.size + unheardCount)
        this.violations.push(['inv-I2', `${word} took effect ${count} times, and stands in ${standing.size}`]);
    }
    for (const [index, later] of this.calls.entries())
      for (const earlier of this.calls.slice(0, index)) this.checkOrder(earlier, later);
    const page = this.tables.row('pages', 'p');
    if (page?.['text'] !== OTHERS_TEXT && page?.['version'] !== 1 && this.conflicts.size > 0)
      this.violations.push(['inv-C1', 'what others wrote on the page was overwritten']);
  }
}

/** Its status, or that with the code of its dead letter; `unknown` when the device does not know it. */
async function endingOf(queue: AppTab['queue'], id: string): Promise<string> {
  const { status, lastError } = (await queue.getMutationStatus(id)) ?? { status: 'unknown', lastError: null };
  if (status === 'failed') return `failed ${lastError?.code ?? ''}`;
  if (status !== 'unknown') return status;
  // What was taken back, or gave way, is in the notes of what was disposed of.
  return queue.settled(id).then(
    (settled) => settled.status,
    () => 'unknown',
  );
}

/** All words of a change, of all that were made together. */
function wordsOf(payload: JsonObject): readonly string[] {
  const { words, members, title } = payload as {
    readonly words?: readonly string[];
    readonly members?: readonly { readonly payload: JsonObject }[];
    readonly title?: string;
  };
  return words ?? members?.flatMap((member) => wordsOf(member.payload)) ?? (title === undefined ? [] : [title]);
}

/** The word that its server refuses for good. */
export const BAD_WORD = 'bad';

function refuseBadWords({ words }: Note): void {
  if (words.includes(BAD_WORD)) throw Object.assign(new Error('Not that word.'), { status: 422 });
}

const anyNote = anyPayload<Note & JsonObject>();
const anyPage = anyPayload<{ readonly id: string; readonly title: string } & JsonObject>();
const pageOf = ({ id }: { readonly id: string }): { readonly table: string; readonly id: string } => ({
  table: 'pages',
  id,
});
const noteOf = ({ id }: { readonly id: string }): { readonly table: string; readonly id: string } => ({
  table: 'notes',
  id,
});

const DEFINITIONS: readonly AnyMutationDefinition[] = [
  defineMutation({ type: 'note.write', operation: 'custom', payload: anyNote, entity: noteOf }),
  defineMutation({
    type: 'note.extend',
    operation: 'custom',
    payload: anyNote,
    entity: noteOf,
    dedupe: false,
    coalesce: (older, newer) => ({ ...newer, words: [...older.words, ...newer.words] }),
  }),
  defineMutation({ type: 'page.merge', operation: 'update', payload: anyPage, entity: pageOf, conflict: 'merge' }),
  defineMutation({
    type: 'page.yield',
    operation: 'update',
    payload: anyPage,
    entity: pageOf,
    conflict: 'server-wins',
  }),
  defineMutation({ type: 'page.ask', operation: 'update', payload: anyPage, entity: pageOf }),
];
