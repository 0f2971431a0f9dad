import { CLIENT, type Plant } from '../plant.ts';

/** Bugs in what is done for a server that has forgotten what it confirmed. */
export const REWINDING_PLANTS: readonly Plant[] = [
  {
    name: 'tail-not-sent-again',
    file: `${CLIENT}/queue/delivering/tail-sender.ts`,
    find: 'const tail = await store.tail.read();',
    replace: 'const tail = (await store.tail.read()).slice(0, 0);',
    suffering: 'The server is restored from last night, and what was confirmed since is gone for good.',
    firstSeed: 40,
  },
  {
    name: 'tail-under-new-ids',
    file: `${CLIENT}/queue/delivering/tail-sender.ts`,
    find: 'mutations.push(toWire({ header, after, ',
    replace: "mutations.push(toWire({ header: { ...header, id: header.id.replace(/.$/, 'f') }, after, ",
    suffering: 'What the restored server still knew is done twice.',
    firstSeed: 40,
  },
  {
    name: 'new-epoch-stored-first',
    firstSeed: 137,
    file: `${CLIENT}/queue/delivering/tail-sender.ts`,
    find: 'const tail = await store.tail.read();',
    replace: 'const tail = await store.tail.read();\n    await store.serverEpoch.note(epoch, before);',
    suffering: 'The app is closed while it sends again what the server forgot, and the rest of it never comes.',
  },
  {
    name: 'epoch-not-named',
    file: `${CLIENT}/queue/delivering/sender.ts`,
    find: '...(claim.serverEpoch === null ? {} : { epoch: claim.serverEpoch }),',
    replace: '',
    suffering: 'A change is made on what the restored server does not have, before it has it again.',
    firstSeed: 234,
  },
  {
    name: 'tail-forgotten-with-the-payload',
    file: `${CLIENT}/queue/delivering/settlement-store.ts`,
    find: 'return { seqs: new Set(completed.map(({ seq }) => seq)), changes, committed };',
    replace: 'return { seqs: new Set<number>(), changes, committed };',
    suffering: 'What the restored server forgot is known by name on the device, and nothing more.',
    firstSeed: 234,
  },
];
