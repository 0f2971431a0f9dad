import { CLIENT, type Plant } from '../plant.ts';

/** Bugs in what becomes of edits whose row someone else has changed. */
export const CONFLICT_PLANTS: readonly Plant[] = [
  {
    name: 'merge-ignores-theirs',
    firstSeed: 1_180,
    file: `${CLIENT}/delivery/conflicts/three-way-merge.ts`,
    find: 'if (isSameJson(base, mine)) return theirs;',
    replace: 'if (isSameJson(base, mine)) return mine;',
    suffering: 'Saving a form takes back what a colleague changed in another field of it.',
  },
  {
    name: 'merge-never-asks',
    file: `${CLIENT}/delivery/conflicts/resolve-conflict.ts`,
    find: "if (merged.kind === 'conflict') return { kind: 'unresolved', fields: merged.fields };\n  return { kind: 'resend'",
    replace: "return { kind: 'resend'",
    suffering: 'Of two people who change one field, the slower line wins, and nobody is told.',
  },
  {
    name: 'server-wins-overwrites',
    file: `${CLIENT}/delivery/conflicts/resolve-conflict.ts`,
    find: "      return { kind: 'superseded' };\n    case 'client-wins':",
    replace: "      return { kind: 'resend', payload: mine, isUnconditional: true };\n    case 'client-wins':",
    suffering: 'What must give way to the server overwrites it.',
  },
  {
    name: 'conflict-is-success',
    file: `${CLIENT}/engine/verdicts.ts`,
    find: '        entry.lastError = outcome.error;\n        // No attempt',
    replace: '        return this.confirmed(entry, { result: null }, true, moment);\n        // No attempt',
    suffering: 'An edit that had no effect is shown as confirmed.',
  },
  {
    name: 'own-edits-in-conflict',
    file: `${CLIENT}/engine/verdicts.ts`,
    find: '    next.leftBefore = left;\n',
    replace: '',
    suffering: 'Whoever edits a record twice offline is asked to choose between their own edits.',
  },
  {
    name: 'own-edits-forgotten-on-the-way',
    file: `${CLIENT}/engine/verdicts.ts`,
    find: 'const ownSince = Math.min(sinceVersion, ownSinceVersion ?? baseRowVersion);',
    replace: 'const ownSince = sinceVersion;',
    suffering: 'The third of one’s own edits is in conflict with the first.',
  },
  {
    name: 'choosing-mine-takes-all-back',
    file: `${CLIENT}/queue/conflict-desk.ts`,
    find: "choice === 'mine' ? mineOver(theirs.row, body)",
    replace: "choice === 'mine' ? body.payload",
    suffering: 'Keeping one’s own title also takes back the colleague’s text.',
  },
  {
    name: 'conflict-forgotten-at-restart',
    file: `${CLIENT}/engine/entry.ts`,
    find: '    !isInConflict(header) &&\n',
    replace: '    (!isInConflict(header) || ((header as { edit: unknown }).edit = undefined) === undefined) &&\n',
    suffering: 'While someone thinks about which version to keep, theirs is overwritten.',
  },
  {
    name: 'version-not-compared',
    file: 'sim/src/server-model.ts',
    find: '(!isThere || row.version !== base.rowVersion)',
    replace: '!isThere',
    suffering: 'The last one to save wins, whatever they had seen.',
  },
];
