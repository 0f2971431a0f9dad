import { CLIENT, type Plant } from '../plant.ts';

/** Bugs of the server half, planted into its model. */
export const SERVER_PLANTS: readonly Plant[] = [
  {
    name: 'ledger-not-written',
    file: `${CLIENT}/testing/ledger.ts`,
    find: 'client.ledger.set(row.seq, row);',
    replace: 'if (row.seq % 7 === 0) return;\n    client.ledger.set(row.seq, row);',
    suffering: 'A server that forgets what it applied applies it again.',
  },
];
