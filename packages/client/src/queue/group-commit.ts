import type { MutationHeader } from '../mutation/record.ts';
import type { NewMutation, QueueStore } from './queue-store.ts';
import type { Runner } from './runner.ts';

/** A place in the order of calls, taken at the call; what is to be stored comes when it has been checked. */
interface Place {
  mutation: NewMutation | null;
  isGivenUp: boolean;
  stored: (header: MutationHeader) => void;
  reject: (error: unknown) => void;
}

export interface GroupCommitParts {
  readonly store: QueueStore;
  readonly runner: Runner;
}

/** Most mutations in one commit, so that one burst does not make one huge transaction. */
const COMMIT_COUNT_MAX = 500;

/**
 * Calls made together, or while a commit is under way, share the next commit, in the order of the calls: one whose
 * checks take longer is not overtaken. Each still learns its own end, and only after it.
 */
export class GroupCommit {
  private readonly opened: () => Promise<GroupCommitParts>;
  private places: Place[] = [];
  private flushing: Promise<void> | null = null;

  constructor(opened: () => Promise<GroupCommitParts>) {
    this.opened = opened;
  }

  /**
   * Takes a place now; stores what `prepare` brings, or gives the place up when that rejects. `onStored` is called in the
   * same turn as the engine is told, before anything can come back from the server.
   */
  async add<Result>(
    prepare: () => Promise<NewMutation>,
    onStored: (header: MutationHeader) => Result,
  ): Promise<Result> {
    const place: Place = { mutation: null, isGivenUp: false, stored: () => {}, reject: () => {} };
    const stored = new Promise<Result>((resolve, reject) => {
      place.stored = (header) => resolve(onStored(header));
      place.reject = reject;
    });
    this.places.push(place);
    try {
      place.mutation = await prepare();
    } catch (error) {
      place.isGivenUp = true;
      this.begin();
      throw error;
    }
    this.begin();
    return stored;
  }

  /** Resolves once everything that is ready to be stored is stored or refused. */
  async whenFlushed(): Promise<void> {
    await this.flushing;
  }

  private begin(): void {
    this.flushing ??= Promise.resolve().then(() => this.flush());
  }

  private async flush(): Promise<void> {
    for (let group = this.takeReady(); group.length > 0; group = this.takeReady()) {
      try {
        const { store, runner } = await this.opened();
        const headers = await store.append(group.map(({ mutation }) => mutation as NewMutation));
        runner.added(headers);
        headers.forEach((header, index) => group[index]?.stored(header));
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
    // In the same turn as the last look at `places`, so that no call falls between.
    this.flushing = null;
  }

  /** The first ones that are ready, up to the first that is not. */
  private takeReady(): Place[] {
    const group: Place[] = [];
    let taken = 0;
    for (const place of this.places) {
      if ((place.mutation === null && !place.isGivenUp) || group.length === COMMIT_COUNT_MAX) break;
      taken += 1;
      if (!place.isGivenUp) group.push(place);
    }
    this.places = this.places.slice(taken);
    return group;
  }
}
