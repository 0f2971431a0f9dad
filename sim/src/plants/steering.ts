import { CLIENT, type Plant } from '../plant.ts';

/** Bugs in what people do to mutations that are there. */
export const STEERING_PLANTS: readonly Plant[] = [
  {
    name: 'lane-not-held',
    file: `${CLIENT}/engine/unconfirmed.ts`,
    find: 'if (this.holdsLane(entry)) this.schedule.block(entry);',
    replace: '',
    suffering: 'The goods are shipped although the payment was refused.',
  },
  {
    name: 'hold-forgotten-after-restart',
    file: `${CLIENT}/mutation/record.ts`,
    find: 'holdsLane: v.optional(v.boolean(), false),',
    replace: 'holdsLane: v.pipe(v.optional(v.boolean(), false), v.transform(() => false)),',
    suffering: 'A lane that waits for a decision goes on without one after a reload.',
  },
  {
    name: 'retry-loses-its-place',
    file: `${CLIENT}/queue/store/dead-letter-store.ts`,
    find: 'return isBehindParent ? null : placeOf(header);',
    replace: 'return null;',
    suffering: 'The payment that held up an order is tried again after the goods were shipped.',
  },
  {
    name: 'pause-acknowledged-too-early',
    firstSeed: 583,
    shape: {
      durationMs: 40_000,
      tabCountMax: 2,
      laneCount: 2,
      editRate: 0,
      actionsPerMinute: 60,
      hasLock: false,
      rates: { storageSlow: 0.6, messageLost: 0.5, messageLate: 0.5, recordDamaged: 0 },
    },
    file: `${CLIENT}/queue/runner.ts`,
    find: "await this.askLeader.ask({ kind: 'stop', reason }, PAUSE_GRACE_MS + ANSWER_MS);",
    replace: '',
    suffering: 'Told that all is paused, while another tab sends one more batch.',
  },
  {
    name: 'discard-believed-too-early',
    firstSeed: 2_169,
    file: `${CLIENT}/queue/sign-out.ts`,
    find: 'if (ids.length === 0 && !(await hasPendingUpTo(record.discardUpToSeq, store))) return true;',
    replace: 'if (ids.length === 0) return true;',
    suffering: 'What someone has discarded at a sign-out is sent when they are back.',
  },
  {
    name: 'acts-without-their-actor',
    firstSeed: 17,
    file: `${CLIENT}/queue/acts.ts`,
    find: 'actor: actor ?? userId',
    replace: 'actor: userId',
    suffering: 'Two people look after a device, and the log says that one of them did it all.',
  },
  {
    name: 'both-told-that-they-disposed-of-it',
    firstSeed: 17,
    file: `${CLIENT}/queue/store/dead-letter-store.ts`,
    find: 'if (touched.length === 0) return [];',
    replace: 'if (touched.length === 0) return deadLetters.map(({ header }) => header.id);',
    suffering: 'Two people discard the same change, each is told that they did, and the log knows of one.',
  },
];
