import { CLIENT, type Plant } from '../plant.ts';

/** Bugs in what the simulated app does not do, or in a moment that chance seldom meets: crash stories find them. */
export const CRASHING_PLANTS: readonly Plant[] = [
  {
    name: 'merge-told-before-stored',
    file: `${CLIENT}/queue/adding/placer.ts`,
    find: 'const placed = isNothing ? NOTHING : await store.place(placement);',
    replace: `if (plan.amended.length > 0 && plan.added.length === 0) {
        const hear = (late) => late !== null && runner.amender.tell(late.amended, kept?.amendId ?? null);
        void store.place(placement).then(hear, () => {});
        const early = plan.amended.map(({ header, stored }) => ({ ...header, seq: stored.header.seq }));
        return this.tell(additions, plan, { headers: [], amended: early }, store);
      }
      const placed = isNothing ? NOTHING : await store.place(placement);`,
    suffering: 'The last of ten quick edits is called saved, the page is reloaded, and it is gone.',
  },
  {
    name: 'duplicate-under-its-own-id',
    file: `${CLIENT}/queue/adding/placer.ts`,
    find: "return kind === 'added' ? this.ports.added(stored, addition) : this.ports.merged(stored, addition, kind);",
    replace: `if (kind === 'deduplicated') stored.header = { ...stored.header, id: addition.header.id };
      return kind === 'added' ? this.ports.added(stored, addition) : this.ports.merged(stored, addition, kind);`,
    suffering: 'The app waits for a change under an id that nobody knows.',
  },
  {
    name: 'edit-told-before-stored',
    file: `${CLIENT}/queue/adding/amender.ts`,
    find: 'const amended = await this.ports.store.amend([amendment], kept.epoch);',
    replace: `const writing = this.ports.store.amend([amendment], kept.epoch);
    void writing.then((late) => late !== null && this.tell(late), () => {});
    if (amendment !== null) return { ...amendment.header, seq: amendment.stored.header.seq };
    const amended = await writing;`,
    suffering: 'A correction is called saved, and after a reload the error is sent.',
  },
  {
    name: 'evicted-thrown-away',
    file: `${CLIENT}/engine/verdicts.ts`,
    find: "return this.failed(entry, EVICTED, moment, 'device');",
    replace: "return this.cancelled(entry, { reason: 'takenBack', act: null }, moment);",
    suffering: 'A full queue makes room by losing what was saved.',
  },
  {
    name: 'atomic-in-one-lane',
    file: `${CLIENT}/queue/adding/prepare-mutation.ts`,
    find: 'const [lane = ATOMIC_TYPE, ...alsoLanes] = new Set(described.map((each) => each.lane));',
    replace: 'const [lane = ATOMIC_TYPE] = new Set(described.map((each) => each.lane));\n  const alsoLanes = [];',
    suffering: 'What was changed together overtakes, or is overtaken by, what else was done to the second row.',
  },
  {
    name: 'nobody-is-asked',
    file: `${CLIENT}/delivery/conflicts/resolve-conflict.ts`,
    find: "return { kind: 'unresolved', fields: fieldsInConflict({ base, mine, theirs }) };\n    default:",
    replace: "return { kind: 'resend', payload: mine, isUnconditional: false };\n    default:",
    suffering: 'Of two people who change one field, the slower line wins, and nobody is told.',
  },
  {
    name: 'act-recorded-afterwards',
    file: `${CLIENT}/queue/store/dead-letter-store.ts`,
    find: `const changes = [...touched.flatMap(changesOf), ...changesOfAct(act, ids)];
      if (await commitWhere(this.storage, expect, changes)) return ids;`,
    replace: `const isDone = await commitWhere(this.storage, expect, touched.flatMap(changesOf));
      await this.storage.commit({ expect: [], changes: [...changesOfAct(act, ids)] });
      if (isDone) return ids;`,
    suffering: 'A failure was disposed of, and nobody can say by whom.',
  },
];
