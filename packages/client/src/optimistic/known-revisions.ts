import { keepLatest } from '../engine/keep-latest.ts';

/** Late word of one that is over comes soon after its verdict, if at all; of those before so many others nobody hears again. */
const OVER_COUNT = 1_000;

/** The revision that was told of each mutation: of all that are open, and of the last that are over. */
export class KnownRevisions {
  private readonly open = new Map<string, number>();
  private readonly over = new Map<string, number>();

  get(id: string): number | undefined {
    return this.open.get(id) ?? this.over.get(id);
  }

  set(id: string, revision: number): void {
    (this.over.has(id) ? this.over : this.open).set(id, revision);
  }

  delete(id: string): void {
    this.open.delete(id);
    this.over.delete(id);
  }

  /** Nothing more becomes of it. */
  end(id: string): void {
    const revision = this.get(id);
    if (revision === undefined) return;
    this.delete(id);
    this.over.set(id, revision);
    keepLatest(this.over, OVER_COUNT);
  }
}
