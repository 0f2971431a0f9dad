import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Notes, note, TestDevice, type TestQueue } from '../queue/testing-queue/test-device.ts';
import { createOptimisticStore, type OptimisticStore } from './optimistic-store.ts';

/** What the model knows of a mutation. Those that are `gone` have failed, or were taken back. */
interface Known {
  readonly queueId: string;
  readonly noteId: string;
  readonly text: string;
  readonly state: 'pending' | 'confirmed' | 'gone';
  readonly canBeRetried: boolean;
}

/** One call: which tab, and whether the server or the disk will refuse it. */
interface Add {
  readonly at: number;
  readonly noteId: string;
  readonly bad: boolean;
  readonly isRefused: boolean;
}

interface Tab {
  queue: TestQueue;
  store: OptimisticStore<Notes>;
  /** Refreshes under way: what they will bring, and how they end. */
  readonly refreshes: { readonly finish: () => void; readonly done: Promise<void> }[];
}

const isBad = (text: string): boolean => text.startsWith('!');

/** Two tabs of one device, and a model of what they show that knows nothing of how they do it. */
class History {
  private readonly device = new TestDevice();
  private readonly tabs: Tab[] = [];
  private readonly server: Record<string, string> = {};
  private known: Known[] = [];
  private textCount = 0;

  async open(): Promise<void> {
    for (let count = 0; count < 2; count += 1) this.tabs.push(await this.openTab());
    await this.device.goOffline();
  }

  private async openTab(): Promise<Tab> {
    const queue = await this.device.open();
    const store = createOptimisticStore<Notes>({ queue, base: { notes: { ...this.server } } });
    await this.device.clock.settle();
    return { queue, store, refreshes: [] };
  }

  private tab(at: number): Tab {
    return this.tabs[at % this.tabs.length] as Tab;
  }

  private newText(bad: boolean): string {
    this.textCount += 1;
    return `${bad ? '!' : ''}<${this.textCount}>`;
  }

  /** Several at once, in one tab or in two; each is in view where it was called, and then stored or refused. */
  async add(adds: readonly Add[]): Promise<void> {
    const refused = new Set<string>();
    const texts = adds.map(({ bad, isRefused }) => {
      const text = this.newText(bad);
      if (isRefused) refused.add(text);
      return text;
    });
    this.device.storage.isFull = ({ changes }) => [...refused].some((text) => JSON.stringify(changes).includes(text));
    const seqs = new Map<string, number>();
    const stops = this.tabs.map(({ queue }) => queue.on('stored', ({ id, seq }) => seqs.set(id, seq)));
    const calls = adds.map(({ at: which, noteId }, index) =>
      this.tab(which).queue.add(note(noteId, texts[index] as string)),
    );
    for (const tab of this.tabs) {
      const added = adds.flatMap(({ at: which, noteId }, index) =>
        this.tab(which) === tab ? [{ noteId, text: texts[index] as string }] : [],
      );
      expect(tab.store.getSnapshot().notes).toEqual(this.expected(tab, added));
    }
    const ends = await Promise.allSettled(calls);
    for (const stop of stops) stop();
    this.device.storage.isFull = () => false;
    const stored = ends.flatMap((end, index) => {
      if (end.status === 'rejected') return [];
      const { id } = end.value;
      const { noteId } = adds[index] as Add;
      return [{ queueId: id, noteId, text: texts[index] as string, state: 'pending', canBeRetried: true } as const];
    });
    this.known.push(...stored.toSorted((a, b) => (seqs.get(a.queueId) ?? 0) - (seqs.get(b.queueId) ?? 0)));
  }

  /** The mutation of this number among those that are in a state. */
  private pick(at: number, state: Known['state']): Known | undefined {
    const some = this.known.filter((each) => each.state === state && each.canBeRetried);
    return some[at % Math.max(1, some.length)];
  }

  private change(known: Known, change: Partial<Known>): void {
    this.known = this.known.map((each) => (each === known ? { ...each, ...change } : each));
  }

  async cancel(at: number): Promise<void> {
    const known = this.pick(at, 'pending');
    if (known === undefined) return;
    const answer = await this.device.clock.until(this.tab(at).queue.cancel(known.queueId));
    if (answer === 'cancelled') this.change(known, { state: 'gone', canBeRetried: false });
  }

  async edit(at: number, bad: boolean): Promise<void> {
    const known = this.pick(at, 'pending');
    if (known === undefined) return;
    const text = this.newText(bad);
    const answer = await this.device.clock.until(this.tab(at).queue.edit(known.queueId, { id: known.noteId, text }));
    if (answer.kind === 'edited') this.change(known, { text });
    else this.known.push({ ...known, queueId: answer.id, text });
  }

  /** It goes last in its lane, and is shown last. */
  async retry(at: number): Promise<void> {
    const known = this.pick(at, 'gone');
    if (known === undefined) return;
    const { touchedCount } = await this.device.clock.until(this.tab(at).queue.retry(known.queueId));
    if (touchedCount === 0) return;
    this.known = [...this.known.filter((each) => each !== known), { ...known, state: 'pending' }];
  }

  async deliver(): Promise<void> {
    await this.device.goOnline(({ payload }) => (isBad(String(payload['text'])) ? 'rejected' : 'applied'));
    await this.device.goOffline();
    this.known = this.known.map((each) => {
      if (each.state !== 'pending') return each;
      if (isBad(each.text)) return { ...each, state: 'gone' };
      this.server[each.noteId] = `${this.server[each.noteId] ?? ''}${each.text}`;
      return { ...each, state: 'confirmed' };
    });
  }

  beginRefresh(at: number): void {
    const { store, refreshes } = this.tab(at);
    const seen = { notes: { ...this.server } };
    let finish = (): void => {};
    const done = store.refresh(
      () =>
        new Promise((resolve) => {
          finish = () => resolve(seen);
        }),
    );
    refreshes.push({ finish: () => finish(), done });
  }

  /** Of those under way any one, so that they overtake each other. */
  async endRefresh(at: number): Promise<void> {
    const { refreshes } = this.tab(at);
    const [one] = refreshes.splice(at % Math.max(1, refreshes.length), 1);
    one?.finish();
    await one?.done;
  }

  async restart(at: number): Promise<void> {
    const index = at % this.tabs.length;
    const before = this.tab(index);
    before.store.close();
    await this.device.clock.until(before.queue.close());
    this.tabs[index] = await this.openTab();
  }

  async check(): Promise<void> {
    await this.device.clock.settle();
    for (const tab of this.tabs) expect(tab.store.getSnapshot().notes).toEqual(this.expected(tab));
  }

  /** What a tab shows; `storing`: called in it, and not stored yet. */
  private expected({ store }: Tab, storing: readonly Pick<Known, 'noteId' | 'text'>[] = []): Record<string, string> {
    const expected: Record<string, string> = { ...store.getBase().notes };
    for (const { noteId, text } of [...this.known.filter(({ state }) => state !== 'gone'), ...storing]) {
      const isContained = (expected[noteId] ?? '').includes(text);
      if (!isContained) expected[noteId] = `${expected[noteId] ?? ''}${text}`;
    }
    return expected;
  }

  async close(): Promise<void> {
    for (const { queue } of this.tabs) await this.device.clock.until(queue.close());
  }
}

const at = fc.nat(20);
type Step = (history: History) => Promise<void> | void;
const add: fc.Arbitrary<Add> = fc.record({
  at,
  noteId: fc.constantFrom('a', 'b'),
  bad: fc.boolean(),
  isRefused: fc.nat(5).map((number) => number === 0),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.array(add, { minLength: 1, maxLength: 3 }).map(
      (adds): Step =>
        (it) =>
          it.add(adds),
    ),
  },
  { weight: 2, arbitrary: fc.constant<Step>((it) => it.deliver()) },
  {
    weight: 2,
    arbitrary: at.map(
      (which): Step =>
        (it) =>
          it.beginRefresh(which),
    ),
  },
  {
    weight: 2,
    arbitrary: at.map(
      (which): Step =>
        (it) =>
          it.endRefresh(which),
    ),
  },
  {
    weight: 1,
    arbitrary: at.map(
      (which): Step =>
        (it) =>
          it.cancel(which),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(at, fc.boolean()).map(
      (all): Step =>
        (it) =>
          it.edit(...all),
    ),
  },
  {
    weight: 1,
    arbitrary: at.map(
      (which): Step =>
        (it) =>
          it.retry(which),
    ),
  },
  {
    weight: 1,
    arbitrary: at.map(
      (which): Step =>
        (it) =>
          it.restart(which),
    ),
  },
);

test('O2, O1, O3 · after any history each tab shows its base with every effect that it lacks, replayed in order', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 50, size: 'max' }), async (steps) => {
      const history = new History();
      await history.open();
      for (const each of steps) {
        await each(history);
        await history.check();
      }
      await history.close();
    }),
    { numRuns: Number(process.env['HISTORY_COUNT'] ?? 40) },
  );
});
