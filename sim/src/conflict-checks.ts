import type { WireMutation } from '../../packages/client/src/protocol/wire.ts';
import { MERGED } from './app-mutations.ts';
import type { Made } from './history.ts';
import type { Effect, ServerModel } from './server-model.ts';
import type { TabProcess } from './tab-process.ts';

/** An edit, from the outside: what its user meant to change, and which values they have seen there. */
export interface MadeEdit {
  readonly givesWay: boolean;
  readonly baseVersion: number;
  /** The fields that it was made to change. */
  readonly own: ReadonlySet<string>;
  /** Values that it may overwrite: what its user saw, and whoever chose between two versions. */
  readonly seen: Set<string | null>;
  /** Edits of the same device, known to its tab, that were pending when it was made, on a row that was read just then. */
  readonly pending: readonly Made[] | null;
  /** Edits of the same device and row that may have been pending too. */
  readonly unsure: readonly Made[];
  /** Somebody was told that it waits for a choice. */
  isOpen: boolean;
  /** Somebody has made one. */
  isChosen: boolean;
  /** The server told of a conflict, so that it may have given way, perhaps unheard. */
  mayGiveWay: boolean;
  /** The server found the row changed. */
  hasMetConflict: boolean;
  /** The server found it changed by nothing but these, which the same tab had made before. */
  ownConflict: string | null;
}
/** What must hold for edits whose row someone else may change: C1 to C3 of the invariants. */
export class ConflictChecks {
  /** Edits that the server found in conflict, and which have not taken effect since: a choice may be asked for. */
  readonly open = new Set<Made>();
  private readonly violated: (invariant: string, message: string) => void;
  private model: ServerModel | null = null;

  constructor(violated: (invariant: string, message: string) => void) {
    this.violated = violated;
  }

  attach(model: ServerModel): void {
    this.model = model;
  }

  /** An edit changes what its user meant to change, and overwrites nothing that nobody has seen. */
  onEffect(made: Made, { changed, rowVersion }: Effect, isRewritten: boolean): void {
    this.open.delete(made);
    const { edit, tag, deviceIndex } = made;
    if (edit === null || isRewritten) return;
    if (edit.isOpen && !edit.isChosen)
      this.violated('inv-C2', `${tag} took effect although nobody has chosen between it and the other version`);
    for (const { field, from, to } of changed) {
      // Chosen over a deletion, it stands whole, also on a row that was made anew meanwhile.
      const isWhole = edit.isChosen && this.wasMadeAgain(made);
      if ((!edit.own.has(field) || to !== tag) && !isWhole)
        this.violated('inv-C1', `${tag} changed ${field} from ${from} to ${to}, which its user had not touched`);
      else if (!edit.seen.has(from) && from?.startsWith(`d${deviceIndex}m`) !== true && !this.wasMadeAgain(made))
        this.violated(
          'inv-C1',
          `${tag} overwrote ${field} of ${from} in version ${rowVersion}, which its user had not seen`,
        );
    }
  }

  /** A row that was deleted and made again under its id counts anew, so that an edit of the old one may meet the new one. */
  wasMadeAgain({ entityId }: Made): boolean {
    const creations = this.model?.effects.filter(
      (effect) => effect.entityId === entityId && effect.operation === 'create',
    );
    return (creations?.length ?? 0) > 1;
  }

  /** The server found the row changed: by someone else, or it has been told the wrong version. */
  checkConflict(mutation: WireMutation, made: Made): void {
    const { edit } = made;
    if (edit === null) {
      this.violated('inv-C3', `${made.tag} is in conflict, and was held to no version`);
      return;
    }
    // Nobody may be asked about it, nor may it give way: a tab that has taken the lead finds out that it is its own device's.
    edit.ownConflict = this.ownChanges(mutation, made, edit);
    if (edit.ownConflict !== null) return;
    edit.mayGiveWay ||= edit.givesWay;
    edit.hasMetConflict = true;
    if (!edit.givesWay) this.open.add(made);
  }

  /** What the row was changed by, where that is nothing but what the same tab made before; null for anything else. */
  private ownChanges(mutation: WireMutation, made: Made, edit: MadeEdit): string | null {
    // One that was retried goes as it was made, and meets what its own device has changed since as well.
    const pending = made.places.length > 1 ? null : edit.pending;
    if (pending === null || edit.hasMetConflict || (mutation.rebases ?? 0) > 0 || this.wasMadeAgain(made)) return null;
    // What stands on an edit in conflict meets what that has become.
    if ([...pending, ...edit.unsure].some((other) => other.edit?.hasMetConflict === true)) return null;
    const ofRow = (this.model?.effects ?? []).filter(({ entityId }) => entityId === made.entityId);
    const base = ofRow.findLastIndex(
      ({ rowVersion, operation }) => rowVersion === edit.baseVersion && operation !== 'delete',
    );
    const since = base === -1 ? [] : ofRow.slice(base + 1);
    // Whose change it was that the device holds a damaged record of, it cannot say when no tab has heard the answer.
    // Nor of one that it has given up, when an earlier request brings it about after all.
    const known = pending.filter(({ isDamaged, toldFailedStep }) => !isDamaged && toldFailedStep === null);
    const areOwn = since.every(
      (effect) => effect.operation === 'update' && known.some(({ tag }) => tag === effect.tag.split(MERGED)[0]),
    );
    const isOwn = since.length > 0 && areOwn && isKnownChain([...pending, made]);
    return isOwn ? since.map(({ tag }) => tag).join() : null;
  }

  /** A tab says that an edit waits for a choice. One that does not deliver (`isLeader` false) may hear late of what another has chosen. */
  onAsked(process: TabProcess, made: Made, isLeader: boolean): void {
    if (made.edit === null || made.edit.givesWay) {
      this.violated('inv-C2', `${process.name} asks for a choice about ${made.tag}, which needs none`);
      return;
    }
    const { ownConflict } = made.edit;
    if (ownConflict !== null)
      this.violated('inv-C3', `${made.tag} is in conflict with ${ownConflict}, which its own device made before it`);
    if (made.effectCount > 0 && isLeader)
      this.violated('inv-C2', `${process.name} asks for a choice about ${made.tag}, which has taken effect`);
    made.edit.isOpen = true;
  }
}

/** Each was made in the same tab: what was called elsewhere, unheard, nobody there knew. */
function isKnownChain(chain: readonly Made[]): boolean {
  return chain.every(({ process }) => process === chain[0]?.process);
}

/** Whether it may have ended without an effect because of what someone else had changed. */
export function hasGivenWay({ edit, effectCount }: Made): boolean {
  return edit !== null && edit.mayGiveWay && effectCount === 0;
}
