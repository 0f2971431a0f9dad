import { type MaybeLater, whenKnown } from '../../mutation/maybe-later.ts';

/** A place in the order of calls, taken at the call; what is to be stored comes when it has been checked. */
interface Place<Item, Result> {
  item: Item | null;
  isGivenUp: boolean;
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
}

/** Stores these together; each comes to a result or an error of its own. Rejects when it came to nothing for all of them. */
export type CommitGroup<Item, Result> = (items: readonly Item[]) => Promise<readonly (Result | Error)[]>;

/** Most mutations in one commit, so that one burst does not make one huge transaction. */
export const COMMIT_COUNT_MAX = 500;

/**
 * Calls made together, or while a commit is under way, share the next commit, in the order of the calls: one whose
 * checks take longer is not overtaken. Each still learns its own end, and only after it.
 */
export class GroupCommit<Item, Result> {
  private readonly commit: CommitGroup<Item, Result>;
  private readonly idle: () => void;
  private places: Place<Item, Result>[] = [];
  private flushing: Promise<void> | null = null;

  /** `idle`: nothing is under way any more, neither in a commit nor being checked. */
  constructor(commit: CommitGroup<Item, Result>, idle: () => void) {
    this.commit = commit;
    this.idle = idle;
  }

  /** Takes a place now; stores what `prepare` brings, or gives the place up when that rejects. */
  add(prepare: () => MaybeLater<Item>): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      const place: Place<Item, Result> = { item: null, isGivenUp: false, resolve, reject };
      this.places.push(place);
      const giveUp = (error: unknown): void => {
        place.isGivenUp = true;
        this.begin();
        reject(error as Error);
      };
      try {
        const prepared = whenKnown(prepare(), (item) => {
          place.item = item;
          this.begin();
        });
        prepared?.catch(giveUp);
      } catch (error) {
        giveUp(error);
      }
    });
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
        const ends = await this.commit(group.map(({ item }) => item as Item));
        ends.forEach((end, index) => {
          if (end instanceof Error) group[index]?.reject(end);
          else group[index]?.resolve(end);
        });
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
    // In the same turn as the last look at `places`, so that no call falls between.
    this.flushing = null;
    if (this.places.length === 0) this.idle();
  }

  /** The first ones that are ready, up to the first that is not. */
  private takeReady(): Place<Item, Result>[] {
    const group: Place<Item, Result>[] = [];
    let taken = 0;
    for (const place of this.places) {
      if ((place.item === null && !place.isGivenUp) || group.length === COMMIT_COUNT_MAX) break;
      taken += 1;
      if (!place.isGivenUp) group.push(place);
    }
    this.places = this.places.slice(taken);
    return group;
  }
}
