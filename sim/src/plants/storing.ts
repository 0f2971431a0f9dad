import { CLIENT, type Plant } from '../plant.ts';

/** Bugs in what is stored, and when. */
export const STORING_PLANTS: readonly Plant[] = [
  {
    name: 'acknowledge-before-commit',
    file: `${CLIENT}/queue/group-commit.ts`,
    find: 'const headers = await store.append(',
    replace:
      'for (const { mutation, resolve } of group) resolve({ ...(mutation as NewMutation).header, seq: 0 });\n        const headers = await store.append(',
    suffering: 'The app says "saved", and a full disk or a crash makes it untrue.',
  },
  {
    name: 'seq-not-compared',
    file: `${CLIENT}/queue/queue-store.ts`,
    find: 'expect: [{ key: META.seq, value: this.lastSeq }, ...expect],',
    replace: 'expect: [...expect],',
    suffering: 'Two tabs take the same number, and one change overwrites the other.',
  },
  {
    name: 'delete-before-answer',
    file: `${CLIENT}/queue/sender.ts`,
    find: 'const answer = await transport.send(',
    replace:
      "await store['storage'].commit({ expect: [], changes: headers.map(({ seq }) => ({ kind: 'delete' as const, key: `p/${seq.toString(36).padStart(11, '0')}` })) });\n      const answer = await transport.send(",
    suffering: 'A crash while sending loses what was on its way.',
  },
  {
    name: 'failed-write-forgotten',
    file: `${CLIENT}/queue/settlement-writer.ts`,
    find: 'this.unstored = [...settlements, ...this.unstored];',
    replace: '',
    suffering: 'After a full disk, confirmed changes are pending again for ever.',
  },
  {
    name: 'pause-not-stored',
    file: `${CLIENT}/queue/mutation-queue.ts`,
    find: 'await store.setPaused(this.options.clock.wallMs());',
    replace: '',
    suffering: 'Paused, and after a reload it sends all the same.',
  },
];
