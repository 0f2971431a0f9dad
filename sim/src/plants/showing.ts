import { CLIENT, type Plant } from '../plant.ts';

/** Bugs in what the user sees. */
export const SHOWING_PLANTS: readonly Plant[] = [
  {
    name: 'overlay-removed-at-answer',
    file: `${CLIENT}/optimistic/optimistic-store.ts`,
    find: 'shown.containedFrom ??= this.refreshNumber + 1;',
    replace: 'this.shown = this.shown.filter((each) => each !== shown); this.replay();',
    suffering: 'What the user typed disappears for a moment after it was confirmed.',
  },
];
