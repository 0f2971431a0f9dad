import { CLIENT, type Plant } from '../plant.ts';

/** Bugs in what is sent, in which order, and in what answers mean. */
export const DELIVERING_PLANTS: readonly Plant[] = [
  {
    name: 'policy-starves',
    firstSeed: 10,
    file: `${CLIENT}/engine/policy-gate.ts`,
    find: 'if (untilDueMs <= 0 || outageMs >= policy.holdMsMax)',
    replace: 'if (outageMs >= policy.holdMsMax)',
    suffering: 'Whoever has no Wi-Fi at all never gets their photos saved.',
  },
  {
    name: 'match-by-position',
    file: `${CLIENT}/engine/answers.ts`,
    find: 'const outcome = bySeq.get(entry.seq);',
    replace:
      'const at = outcomes[entries.indexOf(entry)]; const outcome = at === undefined ? at : { ...at, id: entry.id };',
    suffering: 'A change is shown as confirmed because another one was.',
  },
  {
    name: 'id-not-compared',
    file: `${CLIENT}/engine/answers.ts`,
    find: 'if (outcome?.id !== entry.id || isStale(outcome, entry)) {',
    replace: 'if (outcome === undefined || isStale(outcome, entry)) {',
    suffering: "An answer meant for another device settles this device's changes.",
  },
  {
    name: 'partial-answer-marks-all',
    file: `${CLIENT}/engine/answers.ts`,
    find: '        unanswered.push(entry);\n        continue;',
    replace:
      'settlements.push(...this.verdicts.ofOutcome(entry, { seq: entry.header.seq, id: entry.header.id, kind: "applied", result: null }, moment));\n        continue;',
    suffering: 'Changes that the server did not answer for are forgotten.',
  },
  {
    name: 'new-id-on-retry',
    file: `${CLIENT}/queue/store/dead-letter-store.ts`,
    find: 'generation: generation + 1,',
    replace: "id: header.id.replace(/.$/, (last) => (last === '0' ? '1' : '0')), generation: generation + 1,",
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
    file: `${CLIENT}/engine/answers.ts`,
    find: "if (gates.unauthorized(answer.error, moment)) this.emit({ kind: 'refreshToken' });",
    replace: 'this.settle(entries.flatMap((entry) => this.verdicts.rejected(entry, answer.error, moment, false)));',
    suffering: 'An expired sign-in turns everything that waits into failures.',
  },
  {
    name: 'line-failure-uses-attempt',
    file: `${CLIENT}/engine/answers.ts`,
    find: "gates.line.failed(isOfStorage(answer) ? 'storage' : 'network', answer.error, nowMs, random, {",
    replace:
      "this.settle(entries.flatMap((entry) => this.verdicts.ofOutcome(entry, { seq: entry.header.seq, id: entry.header.id, kind: 'refused', error: answer.error }, moment)));\n        gates.line.failed(isOfStorage(answer) ? 'storage' : 'network', answer.error, nowMs, random, {",
    suffering: 'An afternoon with a bad connection uses up the attempts, and changes end as dead letters.',
  },
  {
    name: 'floor-past-unsettled',
    file: `${CLIENT}/engine/unconfirmed.ts`,
    find: 'return firstOpenSeq - 1;',
    replace: 'return this.highestSeq - 1;',
    suffering: 'The server takes an unsent change for one it has applied, and it is lost.',
  },
  {
    name: 'order-by-wall-clock',
    file: `${CLIENT}/engine/long-lane.ts`,
    find: 'placeOf(entries[index - 1] as Entry) > place)',
    replace: '(entries[index - 1] as Entry).createdAtMs > entry.createdAtMs && place > 0)',
    suffering: 'Setting the clock back makes an older value win.',
  },
  {
    name: 'no-attempt-timeout',
    file: `${CLIENT}/queue/delivering/sender.ts`,
    find: 'this.ports.alarms.after(this.ports.attemptTimeoutMs, () => abort.abort(TIMED_OUT))',
    replace: '(() => {})',
    suffering: 'One request that is never answered stops everything until a reload.',
  },
  {
    name: 'absurd-retry-after-obeyed',
    file: `${CLIENT}/engine/gates.ts`,
    find: 'const RATE_LIMIT_MS_MAX = 300_000;',
    replace: 'const RATE_LIMIT_MS_MAX = 300_000_000_000;',
    suffering: 'A proxy that says "come back in a year" stops the queue for a year.',
  },
  {
    name: 'lane-head-skipped',
    firstSeed: 33,
    file: `${CLIENT}/engine/long-lane.ts`,
    find: `return this.entries[this.first];
  }

  /** The newest`,
    replace: `const head = this.entries[this.first];
    return head !== undefined && head.backoffUntilMs > 0 ? (this.entries[this.first + 1] ?? head) : head;
  }

  /** The newest`,
    suffering: 'While one edit is being retried the next one overtakes it, and the older value wins.',
  },
  {
    name: 'called-off-dead-letters',
    file: `${CLIENT}/engine/answers.ts`,
    find: `case 'calledOff':
        return;`,
    replace: `case 'calledOff':
        this.settle(entries.flatMap((entry) => this.verdicts.rejected(entry, answer.error, moment, false)));
        return;`,
    suffering: 'Pausing, or closing the tab, while something is sent makes a failure of it.',
  },
  {
    name: 'payload-changes-between-attempts',
    file: `${CLIENT}/queue/delivering/to-wire.ts`,
    find: '...(edit === undefined ? { payload } :',
    replace: '...(edit === undefined ? { payload: { ...payload, level: header.attempts.length } } :',
    suffering: 'A change that had been applied is refused when it is repeated, and shown as failed.',
  },
  {
    name: 'dependency-ignored',
    file: `${CLIENT}/engine/entry.ts`,
    find: '!hasOpenParents(entry) &&\n    amendId === null &&',
    replace: 'amendId === null &&',
    suffering: 'A comment arrives before the article that it belongs to.',
  },
  {
    name: 'orphans-sent',
    file: `${CLIENT}/engine/verdicts.ts`,
    find: 'const orphans = holdsLane ? [] : this.mutations.dependants(entry);',
    replace: `const orphans: readonly Entry[] = [];
    this.mutations.release(entry.header.id, moment.nowMs);`,
    suffering: 'A comment is sent although its article was refused.',
  },
  {
    name: 'retries-without-end',
    file: `${CLIENT}/engine/verdicts.ts`,
    find: 'if (attempts.length > (maxRetries ?? rules.maxRetries))',
    replace: 'if (attempts.length > 1_000)',
    suffering: 'A change that can never succeed is tried for ever, and nobody is told.',
  },
  {
    name: 'cancels-what-was-sent',
    file: `${CLIENT}/engine/engine.ts`,
    find: "entry?.phase.kind === 'waiting' && !entry.mayHaveBeenSent;",
    replace: "entry?.phase.kind === 'waiting';",
    suffering: 'The app says "taken back", and the server has it.',
  },
  {
    name: 'undo-window-hurried',
    firstSeed: 51,
    file: `${CLIENT}/engine/schedule.ts`,
    find: 'head.backoffUntilMs = 0;',
    replace: 'Object.assign(head, { backoffUntilMs: 0, heldUntilMs: 0 });',
    suffering: '"Sync now" sends what could still be taken back.',
  },
  {
    name: 'duplicate-is-a-failure',
    file: `${CLIENT}/engine/verdicts.ts`,
    find: "if (outcome.verdict === 'applied') return this.confirmed(entry, outcome, true, moment);",
    replace:
      "if (outcome.verdict === 'applied') return this.rejected(entry, { category: 'CONFLICT', code: 'ID_REUSED', message: '' }, moment, true);",
    suffering: 'What arrived at the first try and was answered at the second is shown as failed.',
  },
  {
    name: 'edits-what-was-sent',
    firstSeed: 43,
    file: `${CLIENT}/engine/engine.ts`,
    find: 'return this.canCancel(id) && entry.amendId === null && !this.mutations.isBeingRewritten(seq);',
    replace:
      "return this.isLeader && id !== '' && entry.phase.kind === 'waiting' && !this.mutations.isBeingRewritten(seq);",
    suffering: 'The app says "changed", and the server has the first text for ever.',
  },
];
