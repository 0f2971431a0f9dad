import { CLIENT, type Plant } from '../plant.ts';

/** Bugs in what is dropped as a duplicate, or merged into one that was never sent. */
export const MERGING_PLANTS: readonly Plant[] = [
  {
    name: 'merged-into-what-was-sent',
    firstSeed: 43,
    file: `${CLIENT}/engine/engine.ts`,
    find: 'return this.canCancel(id) && entry.amendId === null && !this.mutations.isBeingRewritten(seq);',
    replace:
      "return this.isLeader && entry.phase.kind === 'waiting' && entry.amendId === null && seq > 0 && id !== '';",
    suffering:
      'An edit is merged into one that the server has already: it is refused as another use of the same id, and lost.',
  },
  {
    name: 'merge-without-its-body',
    file: `${CLIENT}/queue/store/queue-store.ts`,
    find: 'if (body !== null) changes.push(put(seqKey(BODY, seq), body));',
    replace: '',
    suffering: 'Ten edits end as a record that cannot be read.',
  },
  {
    name: 'merged-past-the-newest',
    file: `${CLIENT}/queue/adding/placer.ts`,
    find: 'const isLoose = additions.every(({ mayMerge }) => !mayMerge);',
    replace: 'const isLoose = additions.length > 0;',
    suffering: 'An edit made after that of another tab is merged into one before it, and the older value wins.',
  },
  {
    name: 'earlier-leader-forgotten',
    firstSeed: 35,
    file: `${CLIENT}/engine/engine.ts`,
    find: 'return seq <= this.earlierSeq || generation > 0;',
    replace: 'return generation > 0 && seq > 0;',
    suffering: 'After a tab has died, what it sent last is changed by the one that takes over.',
  },
  {
    name: 'only-the-first-of-those-made-together',
    file: `${CLIENT}/queue/adding/prepare-mutation.ts`,
    find: 'members: described.map(({ type,',
    replace: 'members: described.slice(0, 1).map(({ type,',
    suffering: 'Money leaves one account and never comes to the other.',
  },
];
