import { CLIENT, type Plant } from '../plant.ts';

/** Bugs in what stops sending, and what starts it again. */
export const WAITING_PLANTS: readonly Plant[] = [
  {
    name: 'breaker-never-opens',
    file: `${CLIENT}/engine/line.ts`,
    find: 'const delayMs = isWorthATry ? resetDelayMs(random) : lineDelayMs(this.failureCount, random);',
    replace: 'const delayMs = 0;',
    suffering: 'A server that is down gets as many requests as the device can make.',
  },
  {
    name: 'breaker-never-closes',
    file: `${CLIENT}/engine/line.ts`,
    find: `      return;
    }
    this.opened();`,
    replace: `      return;
    }
    this.probeSucceeded = true;`,
    suffering: 'After an outage nothing is sent until the page is loaded again.',
  },
  {
    name: 'waits-without-limit',
    file: `${CLIENT}/engine/backoff.ts`,
    find: 'Math.min(LINE_DELAY_MS_MAX, LINE_DELAY_MS_BASE * 2 ** Math.min(30, failureNumber - 1)) *',
    replace: 'LINE_DELAY_MS_BASE * 2 ** Math.min(30, failureNumber - 1) *',
    suffering: 'After a night without a network the device looks for one once a day.',
  },
  {
    name: 'retry-after-ignored',
    file: `${CLIENT}/engine/gates.ts`,
    find: 'Math.max(retryAfterMs ?? 0, lineDelayMs(this.limitCount, moment.random)),',
    replace: 'lineDelayMs(this.limitCount, moment.random),',
    suffering: 'A server that asks for a pause is not given one, and blocks the device.',
  },
  {
    name: 'rate-limit-kept',
    firstSeed: 158,
    file: `${CLIENT}/engine/gates.ts`,
    find: 'this.rateLimit !== null && this.rateLimit.untilMs > nowMs ? this.rateLimit.untilMs : null,',
    replace: 'null,',
    suffering: 'After "too many requests" nothing is sent until the user does something.',
  },
  {
    name: 'login-never-asked-again',
    firstSeed: 24,
    file: `${CLIENT}/engine/gates.ts`,
    find: "if (this.login.kind !== 'waiting' || this.login.checkAtMs > nowMs) return false;",
    replace: 'return false;',
    suffering: 'A sign-in that was gone for a minute stops everything until a reload.',
  },
  {
    name: 'timer-lost-in-sleep',
    file: `${CLIENT}/queue/runner.ts`,
    find: "() => this.dispatch({ kind: 'tick' })",
    replace: `() => {
      if (this.ports.clock.nowMs() < atMs + 1_000) this.dispatch({ kind: 'tick' });
    }`,
    suffering: 'After the laptop has slept, nothing is tried again.',
  },
  {
    name: 'attempt-cut-off-without-answer',
    file: `${CLIENT}/queue/delivering/sender.ts`,
    find: "if (answer !== null) this.ports.dispatch({ kind: 'answer', batchId, answer });",
    replace: "if (answer !== null && answer !== TIMED_OUT) this.ports.dispatch({ kind: 'answer', batchId, answer });",
    suffering: 'One request that is never answered, and the flag that something is on its way stays up for ever.',
  },
  {
    name: 'nudge-overrides-pause',
    firstSeed: 92,
    file: `${CLIENT}/queue/runner.ts`,
    find: "this.dispatch({ kind: 'hint', hint: 'nudge' });",
    replace: `this.ports.store.setPaused(null).then(() => this.dispatch({ kind: 'resumed' }), () => {});
        this.dispatch({ kind: 'hint', hint: 'nudge' });`,
    suffering: '"Sync now" in one tab undoes the pause that someone had asked for.',
  },
  {
    name: 'one-more-look-for-each-sign',
    file: `${CLIENT}/queue/runner.ts`,
    find: 'this.lock.check();',
    replace: 'this.lock.check();\n        this.alarms.after(LOOK_AGAIN_MS, () => this.lookAgain());',
    suffering: 'An app that was put away a hundred times reads its store a hundred times a minute, for ever.',
  },
  {
    name: 'packed-out-of-its-lane',
    firstSeed: 70,
    file: `${CLIENT}/engine/unconfirmed.ts`,
    shape: { packOverCount: 1, hasWideLanes: false },
    find: '(name) => this.unpacked(this.packed?.takeLane(name)),',
    replace: '() => undefined,',
    suffering: 'Of two changes of one row in a very long queue the second may be made first.',
  },
  {
    name: 'packed-as-never-sent',
    firstSeed: 250,
    file: `${CLIENT}/engine/packed-entries.ts`,
    shape: { packOverCount: 1, hasWideLanes: false },
    find: 'mayHaveBeenSent: (this.wordAt(row, STATE) & SENT) > 0,',
    replace: 'mayHaveBeenSent: false,',
    suffering: 'A change of a very long queue is taken back, and has taken effect.',
  },
];
