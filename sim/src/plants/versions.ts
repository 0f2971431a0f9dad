import { CLIENT, type Plant } from '../plant.ts';

/** Bugs between two versions of the app on one device. */
export const VERSION_PLANTS: readonly Plant[] = [
  {
    name: 'older-sent-as-it-is',
    firstSeed: 12,
    file: `${CLIENT}/engine/versions.ts`,
    find: "if (standing !== 'older') return;",
    replace: "if (standing !== 'outdated') return;",
    suffering: 'After an update what waited is sent in a form that the server no longer knows.',
  },
  {
    name: 'newer-sent-by-the-older-app',
    firstSeed: 474,
    file: `${CLIENT}/engine/versions.ts`,
    find: 'return this.older.has(entry) || this.newer.has(entry);',
    replace: 'return this.older.has(entry);',
    suffering: 'A page from the cache sends what it does not understand.',
  },
  {
    name: 'first-form-forgotten',
    firstSeed: 67,
    file: `${CLIENT}/queue/adding/migrator.ts`,
    find: 'original: original ?? first,',
    replace: 'original: undefined,',
    suffering: 'What was on its way when the app was updated is refused for ever, as if it were another change.',
  },
  {
    name: 'older-app-keeps-the-lead',
    firstSeed: 12,
    file: `${CLIENT}/queue/tabs/leadership.ts`,
    find: 'if (this.ports.isLeader() || this.isInLine) this.leaveTheLine();',
    replace: '',
    suffering: 'With the old page open beside the new one, what the new one has saved is never sent.',
  },
];
