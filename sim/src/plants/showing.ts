import { CLIENT, type Plant } from '../plant.ts';

/** Bugs in what the user sees. */
export const SHOWING_PLANTS: readonly Plant[] = [
  {
    name: 'overlay-removed-at-answer',
    file: `${CLIENT}/optimistic/optimistic-store.ts`,
    find: 'this.shown[index] = { ...shown, containedFrom: shown.containedFrom ?? containedFrom };',
    replace: 'this.shown.splice(index, 1); this.replay();',
    suffering: 'What the user typed disappears for a moment after it was confirmed.',
  },
  {
    name: 'fresh-data-hides-pending',
    firstSeed: 16,
    file: `${CLIENT}/optimistic/optimistic-store.ts`,
    find: 'const contained = this.shown.filter(({ containedFrom }) => containedFrom !== null && containedFrom <= number);',
    replace: 'const contained = this.shown;',
    suffering: 'A refresh makes what was typed offline disappear.',
  },
  {
    name: 'failed-stays-in-view',
    file: `${CLIENT}/optimistic/optimistic-store.ts`,
    find: 'else this.shown.splice(index, 1);',
    replace: '',
    suffering: 'What the server refused goes on being shown as if it were saved.',
  },
  {
    name: 'old-refresh-wins',
    firstSeed: 35,
    file: `${CLIENT}/optimistic/optimistic-store.ts`,
    find: 'if (number < this.installedNumber) return;',
    replace: '',
    suffering: 'A slow answer of the server brings back yesterday’s list.',
  },
];
