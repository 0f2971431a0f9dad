import { CLIENT, type Plant } from '../plant.ts';

/** Bugs in what is stored, and when. */
export const STORING_PLANTS: readonly Plant[] = [
  {
    name: 'acknowledge-before-commit',
    file: `${CLIENT}/queue/adding/placer.ts`,
    find: 'const placed = isNothing ? NOTHING : await store.place(placement);',
    replace: `if (plan.amended.length === 0 && !isNothing) {
        void store.place(placement).then((late) => late !== null && runner.added(late.headers), () => {});
        const early = plan.added.map(({ header }) => ({ ...header, seq: 0 }));
        return this.tell(additions, plan, { headers: early, amended: [] }, store);
      }
      const placed = isNothing ? NOTHING : await store.place(placement);`,
    suffering: 'The app says "saved", and a full disk or a crash makes it untrue.',
  },
  {
    name: 'seq-not-compared',
    file: `${CLIENT}/queue/store/number-giver.ts`,
    find: 'expect: [{ key: META.seq, value: textOfSeq(this.lastSeq) }, ...expect],',
    replace: 'expect: [...expect],',
    suffering: 'Two tabs take the same number, and one change overwrites the other.',
  },
  {
    name: 'numbers-begin-anew',
    firstSeed: 33,
    file: `${CLIENT}/queue/store/stored-meta.ts`,
    find: 'return Math.max(highestSeq, Math.min(Math.max(0, Math.floor(wallMs)) * 1_000, SEQ_ANEW_MAX));',
    replace: 'return Math.min(highestSeq, wallMs, SEQ_ANEW_MAX, 0);',
    suffering: 'A bit flips in the last number given out, and new changes overwrite those that wait to be sent.',
  },
  {
    name: 'delete-before-answer',
    file: `${CLIENT}/queue/delivering/sender.ts`,
    find: 'const given = await transport.send(',
    replace:
      "await store['storage'].commit({ expect: [], changes: headers.map(({ seq }) => ({ kind: 'delete' as const, key: `p/${seq.toString(36).padStart(11, '0')}` })) });\n      const given = await transport.send(",
    suffering: 'A crash while sending loses what was on its way.',
  },
  {
    name: 'failed-write-forgotten',
    firstSeed: 18,
    file: `${CLIENT}/queue/delivering/settlement-writer.ts`,
    find: 'this.unstored = [...settlements, ...this.unstored];',
    replace: '',
    suffering: 'After a full disk, confirmed changes are pending again for ever.',
  },
  {
    name: 'pause-not-stored',
    file: `${CLIENT}/queue/acts.ts`,
    find: 'await store.setPaused(act);',
    replace: '',
    suffering: 'Paused, and after a reload it sends all the same.',
  },
  {
    name: 'dead-letters-in-a-ring',
    file: `${CLIENT}/queue/delivering/settlement-changes.ts`,
    find: 'put(seqKey(FAILED, deadLetter.header.seq), sealRecord(deadLetter)),',
    replace: 'put(seqKey(FAILED, deadLetter.header.seq % 8), sealRecord(deadLetter)),',
    suffering: 'Of many failures only the last few are there to be retried; the work in the others is gone.',
  },
  {
    name: 'sign-out-clears',
    file: `${CLIENT}/queue/store/queue-store.ts`,
    find: 'async close(): Promise<void> {',
    replace: `async close(): Promise<void> {
    const pending = await this.storage.scan({ prefix: PENDING, limit: 1_000 });
    await this.storage.commit({ expect: [], changes: pending.map(({ key }) => ({ kind: 'delete' as const, key })) });`,
    suffering: 'Closing the queue, as at a sign-out, throws away what was not sent yet.',
  },
  {
    name: 'discard-leaves-the-record',
    file: `${CLIENT}/queue/store/dead-letter-store.ts`,
    find: 'drop(key),\n      drop(seqKey(BODY, header.seq)),\n      disposal(header, { act, atMs: act.atMs, error }),',
    replace: 'drop(seqKey(BODY, header.seq)),\n      disposal(header, { act, atMs: act.atMs, error }),',
    suffering: 'A failure that someone disposed of is back after a reload.',
  },
  {
    name: 'retry-keeps-generation',
    file: `${CLIENT}/queue/store/dead-letter-store.ts`,
    find: 'generation: generation + 1,',
    replace: 'generation,',
    suffering: 'A corrected server is never asked again: each retry fails by the old verdict.',
  },
  {
    name: 'retry-keeps-attempts',
    file: `${CLIENT}/queue/store/dead-letter-store.ts`,
    find: 'attempts: [],\n              delayMs: 0,',
    replace: 'delayMs: 0,',
    suffering: 'A retried change fails at the first hiccup, since its attempts are used up already.',
  },
  {
    name: 'counted-twice',
    firstSeed: 22,
    file: `${CLIENT}/queue/delivering/settlement-store.ts`,
    find: 'stored.filter((record, index) => record === null && isOpen?.[index] !== false).length',
    replace: 'stored.filter((_, index) => index >= 0 || isOpen === null).length',
    suffering: 'The status page counts more changes than were made.',
  },
  {
    name: 'cancel-told-before-stored',
    file: `${CLIENT}/queue/delivering/settlement-writer.ts`,
    find: 'for (const settlement of settlements) if (!isOwn(settlement)) this.ports.settled(settlement);',
    replace: 'for (const settlement of settlements) this.ports.settled(settlement);',
    suffering: 'The app says "taken back", a full disk keeps it from being stored, and it is sent after all.',
  },
  {
    name: 'calls-stored-backwards',
    file: `${CLIENT}/queue/adding/group-commit.ts`,
    find: 'this.places.push(place);',
    replace: 'this.places.unshift(place);',
    suffering: 'Two edits in quick succession are applied the wrong way round.',
  },
  {
    name: 'undo-window-forgotten-at-reload',
    file: `${CLIENT}/engine/engine.ts`,
    find: 'return elapsedMs < 0 || elapsedMs >= delayMs ? 0 : moment.nowMs + delayMs - elapsedMs;',
    replace: 'return elapsedMs < delayMs ? 0 : moment.nowMs;',
    suffering: 'A reload cuts short the time in which a message can be taken back.',
  },
  {
    name: 'history-sweeps-pending',
    firstSeed: 10,
    file: `${CLIENT}/queue/store/history.ts`,
    find: 'for (const { key, value } of await this.storage.scan({ prefix: COMPLETED, limit: PAGE })) {',
    replace: `for (const { key } of await this.storage.scan({ prefix: 'p/', limit: 1 }))
      await this.storage.commit({ expect: [], changes: [{ kind: 'delete', key }] });
    for (const { key, value } of await this.storage.scan({ prefix: COMPLETED, limit: PAGE })) {`,
    suffering: 'Tidying up the history at the start takes away what was not sent yet.',
  },
  {
    name: 'unreadable-costs-those-behind',
    firstSeed: 66,
    file: `${CLIENT}/queue/store/record-pages.ts`,
    find: "else unreadable.push({ key, seq: seqOfKey(key), text: value, isNewer: parsed.kind === 'newer' });",
    replace: 'else return { records, unreadable, hasMore: false };',
    suffering: 'One damaged record, and everything stored after it is gone too.',
  },
  {
    name: 'unreadable-passed-over',
    firstSeed: 66,
    file: `${CLIENT}/queue/store/record-pages.ts`,
    find: "else unreadable.push({ key, seq: seqOfKey(key), text: value, isNewer: parsed.kind === 'newer' });",
    replace: '',
    suffering: 'A damaged change is gone without a word.',
  },
  {
    name: 'damaged-body-sent',
    firstSeed: 70,
    file: `${CLIENT}/mutation/record.ts`,
    find: 'if (checksum(text) !== bodyChecksum || isStray)',
    replace: 'if (isStray || text === String(bodyChecksum))',
    suffering: 'A bit flips on the disk, and another amount is booked than was typed.',
  },
  {
    name: 'numbers-given-out-again',
    firstSeed: 1520,
    shape: {
      durationMs: 40_000,
      laneCount: 2,
      editRate: 0,
      actionsPerMinute: 20,
      isStoreRelaxed: true,
      rates: { powerLoss: 8, responseLost: 0.5, requestDuplicated: 0.5, delayed: 0.4 },
    },
    file: `${CLIENT}/queue/store/queue-store.ts`,
    find: 'hasGap ? min + Math.floor(random() * (max - min)) : 0;',
    replace: '0;',
    suffering: 'After a power cut a new change is refused, since the server has seen its number on one that was lost.',
  },
  {
    name: 'relaxed-called-strict',
    file: `${CLIENT}/queue/mutation-queue.ts`,
    find: '      durability,\n',
    replace: "      durability: durability === 'relaxed' ? 'strict' : durability,\n",
    suffering: 'The app is told that what it saved survives a power cut, and it does not.',
  },
];
