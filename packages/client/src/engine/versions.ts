import type { HeaderFields, VersionedType } from '../mutation/record.ts';
import type { Standing } from '../mutation/versions.ts';
import type { WireError } from '../protocol/wire.ts';
import type { Entry } from './entry.ts';

/** How long everything waits for migrations, in milliseconds: normally some commits. */
const HOLD_BACK_MS = 10_000;
/** Mutations migrated in one commit. */
const MIGRATE_COUNT = 100;

/**
 * Those that another version of the app has stored.
 *
 *   older ──migrated──▶ (like any other)
 *     └── no way ─────▶ outdated ──never sent──▶ dead letter
 *                          └──may have been sent──▶ the server is asked whether it knows it; else it refuses it
 *   newer                  waits until this app is as new
 *
 * Until all that is older is migrated nothing is sent: it may belong to another lane then, and what was added after it must
 * not overtake it. Should storage fail for long, the rest goes on.
 */
export class Versions {
  private readonly standingOf: (header: HeaderFields) => Standing;
  private readonly older = new Set<Entry>();
  private readonly newer = new Set<Entry>();
  /** With the reason. */
  private readonly outdated = new Map<Entry, WireError>();
  private holdsUntilMs = 0;

  constructor(standingOf: (header: HeaderFields) => Standing) {
    this.standingOf = standingOf;
  }

  /** It came, or was rewritten. */
  watch(entry: Entry, nowMs: number): void {
    this.forget(entry);
    const standing = this.standingOf(entry);
    if (standing === 'newer') this.newer.add(entry);
    if (standing === 'outdated') this.outdated.set(entry, noWay(entry));
    if (standing !== 'older') return;
    if (this.older.size === 0) this.holdBack(nowMs);
    this.older.add(entry);
  }

  /** It was found that it cannot be migrated. */
  cannotMigrate(entry: Entry, error: WireError): void {
    if (this.older.delete(entry)) this.outdated.set(entry, error);
  }

  /** This tab delivers from now on. */
  holdBack(nowMs: number): void {
    this.holdsUntilMs = nowMs + HOLD_BACK_MS;
  }

  forget(entry: Entry): void {
    this.older.delete(entry);
    this.newer.delete(entry);
    this.outdated.delete(entry);
  }

  /** Whether it is not sent as it is. */
  mustWait(entry: Entry): boolean {
    return this.older.has(entry) || this.newer.has(entry);
  }

  isNewer(entry: Entry): boolean {
    return this.newer.has(entry);
  }

  get hasNewer(): boolean {
    return this.newer.size > 0;
  }

  isOlder(entry: Entry): boolean {
    return this.older.has(entry);
  }

  /** Whether the server is only asked what it knows of it. */
  isOutdated(entry: Entry): boolean {
    return this.outdated.has(entry);
  }

  /** Why this version cannot send it any more; null where it can. */
  noWayFor(entry: Entry): WireError | null {
    return this.outdated.get(entry) ?? null;
  }

  /** Some of `isFree`, those with the lowest numbers that are known first. */
  takeOlder(isFree: (entry: Entry) => boolean): readonly Entry[] {
    const taken: Entry[] = [];
    for (const entry of this.older) {
      if (taken.length === MIGRATE_COUNT) break;
      if (isFree(entry)) taken.push(entry);
    }
    return taken;
  }

  /** Those that surely were never sent, and never will be, each with the reason. */
  get lost(): readonly { readonly entry: Entry; readonly error: WireError }[] {
    if (this.outdated.size === 0) return [];
    return [...this.outdated].flatMap(([entry, error]) =>
      entry.phase.kind === 'waiting' && entry.amendId === null && !entry.mayHaveBeenSent ? [{ entry, error }] : [],
    );
  }

  /** Until when nothing is sent (monotonic); null when nothing stands in the way. */
  holdsBackUntilMs(nowMs: number): number | null {
    return this.older.size > 0 && nowMs < this.holdsUntilMs ? this.holdsUntilMs : null;
  }
}

function noWay({ type, version }: HeaderFields): WireError {
  return outdated(type, version, 'no step of `migrate` leads from there');
}

/** Why one that an earlier version of the app has stored cannot be sent any more. */
export function outdated(type: string, version: number, reason: string): WireError {
  return {
    category: 'OUTDATED',
    code: 'OUTDATED',
    message: `An earlier version of this app has stored it (${type}, version ${version}), and ${reason}.`,
    hint: 'Let a version of the app that knows the way (`migrate` of its type) retry it, or edit it, or discard it.',
  };
}

/** Why one that a newer version of the app has stored is not sent. */
export function fromNewerApp({ type, version }: VersionedType): WireError {
  return {
    category: 'OUTDATED',
    code: 'UPGRADE_REQUIRED',
    message: `A newer version of this app has stored it (${type}, version ${version}).`,
    hint: 'Install that version again. It is left as it is until then, and what is behind it in its lane waits.',
  };
}
