import { deadLetterOf, type EntryView } from '../engine/entry.ts';
import { invalidOption } from '../mutation/holdfast-error.ts';
import { type Act, type ActKind, type ActRecord, lanesOf, placeOf } from '../mutation/record.ts';
import type { Priority } from '../mutation/definition.ts';
import type { Clock } from '../ports/clock.ts';
import type { ErrorCategory } from '../protocol/wire.ts';
import type { CancelAnswer } from './tabs/ask-leader.ts';
import { type MutationStatus, statusOfEntry } from './mutation-status.ts';
import type { BackupContent } from './store/backup.ts';
import type { ImportResult } from './store/importer.ts';
import { mended } from './store/quarantine.ts';
import type { QueueStore } from './store/queue-store.ts';
import { BODY, seqKey } from './store/record-keys.ts';
import type { Runner } from './runner.ts';

/** Who acts, and why; both are kept with what was done. */
export interface ActOptions {
  /** @default the queue's user */
  readonly actor?: string;
  readonly reason?: string;
}

/** What an act came to. */
export interface ActResult {
  readonly touchedCount: number;
  /** Of the mutations that were touched, in the order in which that happened. */
  readonly ids: readonly string[];
}

/** Which mutations are meant; of what is not given, all. */
export interface MutationFilter {
  readonly type?: string;
  readonly lane?: string;
  readonly priority?: Priority;
  /** Of what was said of it last. */
  readonly code?: string;
  readonly category?: ErrorCategory;
  /** Added longer ago than this, by the device's clock. */
  readonly olderThanMs?: number;
  /** Asked last, and only about those that all the rest is true of. */
  readonly where?: (status: MutationStatus) => boolean;
}

interface Parts {
  readonly runner: Runner;
  readonly store: QueueStore;
}

export interface ActsPorts {
  readonly opened: () => Promise<Parts>;
  readonly userId: string;
  readonly clock: Clock;
  readonly newId: () => string;
}

/** Most mutations in one commit of an act, so that a bulk act never holds up those who add. */
const COMMIT_COUNT_MAX = 100;

/**
 * What a person or the app does to mutations that are there, from any tab. Each mutation is touched whole or not at all,
 * in one commit with the record of who did it; acts on many go through commits of a hundred.
 */
export class Acts {
  private readonly ports: ActsPorts;

  constructor(ports: ActsPorts) {
    this.ports = ports;
  }

  async cancel(id: string, options: ActOptions): Promise<CancelAnswer> {
    const { act, runner } = await this.begin('cancel', options);
    const [answer = 'unknown'] = await runner.cancel([id], act);
    return answer;
  }

  /** Whatever is in the way: a dead letter goes again, a pending one without waiting for its backoff. */
  async forceRetry(id: string, options: ActOptions): Promise<ActResult> {
    const { runner, store } = await this.ports.opened();
    const entry = runner.engine.mutations.get(id);
    if (entry?.phase.kind === 'failed') return this.retry(() => [entry], options, 'forceRetry');
    const act = this.act('forceRetry', options);
    const ids = (await runner.askLeader.ask({ kind: 'hurry', ids: [id] })) ?? [];
    if (ids.length > 0) await store.record(act, ids);
    return touched(ids);
  }

  /** Takes back those that surely were never sent. */
  async takeBack(ids: readonly string[], options: ActOptions): Promise<ActResult> {
    const { act, runner } = await this.begin('cancel', options);
    const gone: string[] = [];
    for (const part of partsOf(ids)) {
      const answers = await runner.cancel(part, act);
      gone.push(...part.filter((_, index) => answers[index] === 'cancelled'));
    }
    return touched(gone);
  }

  /** Disposes of a dead letter, or of a pending one that surely was never sent. */
  async remove(id: string, options: ActOptions): Promise<ActResult> {
    const { runner } = await this.ports.opened();
    const entry = runner.engine.mutations.get(id);
    if (entry?.phase.kind === 'failed') return this.discard(() => [entry], options);
    return this.takeBack([id], options);
  }

  async clear(filter: MutationFilter, options: ActOptions): Promise<ActResult> {
    const { runner } = await this.ports.opened();
    const found = matching(runner, filter);
    const pending = found.filter(({ phase }) => phase.kind === 'waiting').map(({ id }) => id);
    // Those that depend on others go first: taken back after their parent they would be dead letters by then.
    const takenBack = await this.takeBack(pending.reverse(), options);
    const discarded = await this.discard(() => found.filter(({ phase }) => phase.kind === 'failed'), options);
    return touched([...takenBack.ids, ...discarded.ids]);
  }

  async clearStuck(options: ActOptions): Promise<ActResult> {
    const { act, runner, store } = await this.begin('clearStuck', options);
    const ids = (await runner.askLeader.ask({ kind: 'unstick' })) ?? [];
    if (ids.length > 0) await store.record(act, ids);
    return touched(ids);
  }

  async pause(options: ActOptions): Promise<void> {
    const { act, runner, store } = await this.begin('pause', options);
    await store.setPaused(act);
    await runner.stop('paused');
  }

  async retry(
    entries: (runner: Runner) => readonly EntryView[],
    options: ActOptions,
    kind: 'retry' | 'forceRetry' = 'retry',
  ): Promise<ActResult> {
    const { act, runner, store } = await this.begin(kind, options);
    const ids: string[] = [];
    for (const part of partsOf(parentsFirst(entries(runner)).flatMap(deadLetterOf))) {
      const headers = await store.deadLetters.retry(part, act, runner.placeRule);
      if (headers.length === 0) continue;
      runner.added(headers);
      ids.push(...headers.map(({ id }) => id));
      // Behind others that this tab has not looked at, they become known with them.
      // They are stored, whatever becomes of the look; that is reported and repeated elsewhere.
      const isKnown = headers.every(({ id, seq }) => runner.engine.mutations.get(id)?.seq === seq);
      if (!isKnown) await runner.watch.catchUp().catch(() => {});
    }
    return touched(ids);
  }

  async discard(entries: (runner: Runner) => readonly EntryView[], options: ActOptions): Promise<ActResult> {
    const { act, runner, store } = await this.begin('discard', options);
    const ids: string[] = [];
    for (const part of partsOf(entries(runner).flatMap(deadLetterOf))) {
      const discarded = await store.deadLetters.discard(part, act);
      if (discarded.length === 0) continue;
      ids.push(...discarded);
      runner.discarded(discarded);
    }
    return touched(ids);
  }

  /** Takes in what of a backup this device does not know. */
  async takeIn(content: BackupContent, options: ActOptions): Promise<ImportResult> {
    const { act, runner, store } = await this.begin('import', options);
    for (;;) {
      await runner.watch.reconcile();
      const { seen } = runner.watch;
      const result = await store.importAll(content, act, (id) => runner.engine.mutations.knows(id), seen);
      if (result === null) continue;
      runner.post({ kind: 'stored' });
      if (result.deadLetterCount > 0) runner.post({ kind: 'deadLettersChanged' });
      await runner.watch.reconcile();
      return result;
    }
  }

  /** Those that stand in quarantine, and dead letters whose payload does. */
  async discardQuarantined(keys: readonly string[], options: ActOptions): Promise<ActResult> {
    const { act, runner, store } = await this.begin('discard', options);
    const ids = [...(await this.discard(() => corruptedOf(runner, keys), options)).ids];
    for (const part of partsOf(keys)) ids.push(...(await store.quarantine.discard(part, act)));
    return touched(ids);
  }

  async retryQuarantined(keys: readonly string[], options: ActOptions): Promise<ActResult> {
    const { act, runner, store } = await this.begin('retry', options);
    const ids = [...(await this.retry(() => corruptedOf(runner, keys), options)).ids];
    for (const found of await store.quarantine.find(keys)) {
      const whole = mended(found);
      const header = whole === null ? null : await store.putBack(whole, act);
      if (header === null) continue;
      runner.added([header]);
      ids.push(header.id);
    }
    return touched(ids);
  }

  /** Lets a lane go on without the dead letters that hold it; they stay dead letters. */
  async releaseLane(lane: string, options: ActOptions): Promise<ActResult> {
    const { act, runner, store } = await this.begin('releaseLane', options);
    const { mutations } = runner.engine;
    const holding = [...mutations.deadLetters].filter(
      (entry) => lanesOf(entry).includes(lane) && mutations.holdsLane(entry),
    );
    const ids: string[] = [];
    for (const part of partsOf(holding.flatMap(deadLetterOf)))
      ids.push(...(await store.deadLetters.release(part, act)));
    if (ids.length > 0) {
      runner.post({ kind: 'deadLettersChanged' });
      await runner.watch.lookAtDeadLetters();
    }
    return touched(ids);
  }

  async list(limit: number): Promise<readonly ActRecord[]> {
    return (await this.ports.opened()).store.acts.list(limit);
  }

  /** Rejects for options that make no sense before anything else happens. */
  private async begin(kind: ActKind, options: ActOptions): Promise<Parts & { readonly act: Act }> {
    const act = this.act(kind, options);
    return { act, ...(await this.ports.opened()) };
  }

  act(kind: ActKind, { actor, reason }: ActOptions): Act {
    expectText('actor', actor);
    expectText('reason', reason);
    const { userId, newId, clock } = this.ports;
    return { id: newId(), kind, actor: actor ?? userId, reason: reason ?? null, atMs: clock.wallMs() };
  }
}

function touched(ids: readonly string[]): ActResult {
  return { touchedCount: ids.length, ids };
}

/** Dead letters whose payload is damaged or refused, by the keys of their payloads. */
function corruptedOf({ engine }: Runner, keys: readonly string[]): readonly EntryView[] {
  const wanted = new Set(keys);
  return [...engine.mutations.deadLetters].filter(
    ({ seq, phase }) =>
      phase.kind === 'failed' && phase.error.category === 'CORRUPTED' && wanted.has(seqKey(BODY, seq)),
  );
}

/** Those in memory that a filter means: every one that is not confirmed. */
export function matching(runner: Runner, filter: MutationFilter): readonly EntryView[] {
  const moment = runner.moment();
  const priority = filter.priority === 'medium' ? 'normal' : filter.priority;
  return [...runner.engine.mutations.all()].filter((entry) => {
    const { type, priority: ownPriority, createdAtMs, lastError } = entry;
    return (
      (filter.type === undefined || type === filter.type) &&
      (filter.lane === undefined || lanesOf(entry).includes(filter.lane)) &&
      (priority === undefined || ownPriority === priority) &&
      (filter.code === undefined || lastError?.code === filter.code) &&
      (filter.category === undefined || lastError?.category === filter.category) &&
      (filter.olderThanMs === undefined || moment.wallMs - createdAtMs > filter.olderThanMs) &&
      (filter.where === undefined || filter.where(statusOfEntry(runner.engine, entry, moment)))
    );
  });
}

/** In the order they were made, but each after those it depends on, so that none is retried before its parent. */
export function parentsFirst(entries: readonly EntryView[]): readonly EntryView[] {
  const byId = new Map(entries.map((entry) => [entry.id, entry]));
  const ordered = new Set<EntryView>();
  const visit = (entry: EntryView): void => {
    if (ordered.has(entry)) return;
    // Taken out first, so that a circle, which nobody can make, would not go round for ever.
    byId.delete(entry.id);
    for (const parentId of entry.dependsOn) {
      const parent = byId.get(parentId);
      if (parent !== undefined) visit(parent);
    }
    ordered.add(entry);
  };
  for (const entry of [...entries].sort((left, right) => placeOf(left) - placeOf(right))) visit(entry);
  return [...ordered];
}

export function* partsOf<Item>(items: readonly Item[]): Iterable<readonly Item[]> {
  for (let first = 0; first < items.length; first += COMMIT_COUNT_MAX)
    yield items.slice(first, first + COMMIT_COUNT_MAX);
}

function expectText(option: string, value: unknown): void {
  if (value === undefined || (typeof value === 'string' && value.trim() !== '')) return;
  const message = `Not done: \`${option}\` must be a text that is not empty; it is ${JSON.stringify(value)}.`;
  throw invalidOption(option, message, `Give a text as \`${option}\`, or leave it out.`);
}
