/** A bug on purpose: one change to production code, and what users would suffer from it. */
export interface Plant {
  readonly name: string;
  /** From the root of the repository. */
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  readonly suffering: string;
  /** Where the search begins, for one that only a rare world shows. @default 1 */
  readonly firstSeed?: number;
}

const CLIENT = 'packages/client/src';

/** Each of them must be found by the simulation; `plants.test.ts` shows it. */
export const PLANTS: readonly Plant[] = [
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
    name: 'match-by-position',
    file: `${CLIENT}/engine/engine.ts`,
    find: 'const outcome = bySeq.get(entry.header.seq);',
    replace:
      'const at = outcomes[entries.indexOf(entry)]; const outcome = at === undefined ? at : { ...at, id: entry.header.id };',
    suffering: 'A change is shown as confirmed because another one was.',
  },
  {
    name: 'id-not-compared',
    file: `${CLIENT}/engine/engine.ts`,
    find: 'if (outcome?.id === entry.header.id)',
    replace: 'if (outcome !== undefined)',
    suffering: "An answer meant for another device settles this device's changes.",
  },
  {
    name: 'partial-answer-marks-all',
    file: `${CLIENT}/engine/engine.ts`,
    find: 'else unanswered.push(entry);',
    replace:
      'else settlements.push(...this.verdicts.ofOutcome(entry, { seq: entry.header.seq, id: entry.header.id, kind: "applied", result: null }, moment));',
    suffering: 'Changes that the server did not answer for are forgotten.',
  },
  {
    name: 'new-id-on-retry',
    file: `${CLIENT}/queue/queue-store.ts`,
    find: 'generation: header.generation + 1,',
    replace: "id: header.id.replace(/.$/, (last) => (last === '0' ? '1' : '0')), generation: header.generation + 1,",
    suffering: 'A retried change that had been applied after all is applied twice.',
  },
  {
    name: 'html-is-success',
    file: `${CLIENT}/delivery/http-transport.ts`,
    find: 'return parseAnswer(response, text);',
    replace:
      "if (response.status === 200 && text.startsWith('<')) return { kind: 'answered', outcomes: request.mutations.map(({ seq, id }) => ({ seq, id, kind: 'applied' as const, result: null })) };\n      return parseAnswer(response, text);",
    suffering: 'The sign-in page of a hotel network swallows a day of work.',
  },
  {
    name: 'expired-token-dead-letters',
    file: `${CLIENT}/engine/engine.ts`,
    find: "if (gates.unauthorized(answer.error, moment)) this.effects.push({ kind: 'refreshToken' });",
    replace: 'this.settle(entries.flatMap((entry) => this.verdicts.rejected(entry, answer.error, moment, false)));',
    suffering: 'An expired sign-in turns everything that waits into failures.',
  },
  {
    name: 'line-failure-uses-attempt',
    file: `${CLIENT}/engine/engine.ts`,
    find: "gates.line.failed('network', answer.error, nowMs, random, {",
    replace:
      "this.settle(entries.flatMap((entry) => this.verdicts.ofOutcome(entry, { seq: entry.header.seq, id: entry.header.id, kind: 'refused', error: answer.error }, moment)));\n        gates.line.failed('network', answer.error, nowMs, random, {",
    suffering: 'An afternoon with a bad connection uses up the attempts, and changes end as dead letters.',
  },
  {
    name: 'floor-past-unsettled',
    file: `${CLIENT}/engine/unconfirmed.ts`,
    find: 'return seq - 1;',
    replace: 'return this.highestSeq - 1;',
    suffering: 'The server takes an unsent change for one it has applied, and it is lost.',
  },
  {
    name: 'pause-not-stored',
    file: `${CLIENT}/queue/mutation-queue.ts`,
    find: 'await store.setPaused(this.options.clock.wallMs());',
    replace: '',
    suffering: 'Paused, and after a reload it sends all the same.',
  },
  {
    name: 'pause-not-read-before-sending',
    file: `${CLIENT}/queue/queue-store.ts`,
    find: 'isPaused: paused !== null,',
    replace: 'isPaused: false,',
    suffering: 'Paused in one tab, while another goes on sending.',
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
    name: 'order-by-wall-clock',
    file: `${CLIENT}/engine/lane.ts`,
    find: '.header.seq > entry.header.seq)',
    replace: '.header.createdAtMs > entry.header.createdAtMs)',
    suffering: 'Setting the clock back makes an older value win.',
  },
  {
    name: 'epoch-not-compared',
    file: `${CLIENT}/queue/queue-store.ts`,
    find: 'expect: [isOwn],',
    replace: 'expect: [],',
    suffering: 'A tab that woke up late writes over what the new leader has settled.',
    firstSeed: 2_100,
  },
  {
    name: 'absurd-retry-after-obeyed',
    file: `${CLIENT}/engine/gates.ts`,
    find: 'const RATE_LIMIT_MS_MAX = 300_000;',
    replace: 'const RATE_LIMIT_MS_MAX = 300_000_000_000;',
    suffering: 'A proxy that says "come back in a year" stops the queue for a year.',
  },
  {
    name: 'message-trusted',
    file: `${CLIENT}/queue/runner.ts`,
    find: 'const LOOK_AGAIN_MS = 60_000;',
    replace: 'const LOOK_AGAIN_MS = 1e12;',
    suffering: 'A change made in a second tab waits until that tab is opened again.',
  },
  {
    name: 'no-attempt-timeout',
    file: `${CLIENT}/queue/sender.ts`,
    find: 'this.ports.alarms.after(this.ports.attemptTimeoutMs, () => abort.abort(TIMED_OUT))',
    replace: '(() => {})',
    suffering: 'One request that is never answered stops everything until a reload.',
  },
  {
    name: 'overlay-removed-at-answer',
    file: `${CLIENT}/optimistic/optimistic-store.ts`,
    find: 'shown.containedFrom ??= this.refreshNumber + 1;',
    replace: 'this.shown = this.shown.filter((each) => each !== shown); this.replay();',
    suffering: 'What the user typed disappears for a moment after it was confirmed.',
  },
  {
    name: 'stale-look-believed',
    file: `${CLIENT}/queue/store-watch.ts`,
    find: 'this.gone.set(id, {',
    replace: 'this.gone.set(`${id} `, {',
    suffering: 'A change that was confirmed comes back, and ends as a dead letter nobody made.',
    firstSeed: 3_200,
  },
  {
    name: 'ledger-not-written',
    file: `${CLIENT}/testing/ledger.ts`,
    find: 'client.ledger.set(row.seq, row);',
    replace: 'if (row.seq % 7 === 0) return;\n    client.ledger.set(row.seq, row);',
    suffering: 'A server that forgets what it applied applies it again.',
  },
];
