import { CLIENT, type Plant } from '../plant.ts';

/** Bugs in values that come later, and in times after which nothing is sent. */
export const FILLING_PLANTS: readonly Plant[] = [
  {
    name: 'placeholder-sent',
    file: `${CLIENT}/queue/adding/slot-filler.ts`,
    find: 'describeFilled(header, withValues(payload, values), values, definitions)',
    replace: 'describeFilled(header, payload, values, definitions)',
    suffering: 'A contact made offline is saved under an account that does not exist.',
  },
  {
    name: 'result-not-kept',
    file: `${CLIENT}/queue/adding/slot-filler.ts`,
    find: 'results.set(id, record.result ?? null)',
    replace: 'results.set(id, null)',
    suffering: 'What was made offline for a new account becomes a failure once the account is there.',
  },
  {
    name: 'filled-before-stored',
    file: `${CLIENT}/engine/unconfirmed.ts`,
    find: "isOpen: (id) => this.has(id) || this.endings.get(id) === 'confirmed'",
    replace: 'isOpen: (id) => this.has(id)',
    suffering: 'A change whose account has just been confirmed is given up, for its id is not stored yet.',
  },
  {
    name: 'expired-although-sent',
    firstSeed: 54,
    file: `${CLIENT}/engine/expiries.ts`,
    find: 'if (!entry.mayHaveBeenSent) due.push(entry);',
    replace: 'due.push(entry);',
    suffering: 'A change is shown as expired, and has taken effect.',
  },
];
