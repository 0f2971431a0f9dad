// npm run kills:server [-- --kills 200] [--clients 40] [--senders 3] [--seed 1] [--json]
//
// Postgres and the server before it are ended with SIGKILL in the middle of their work, while clients race; then what took
// effect is counted. Exits with 1 when anything was lost, doubled or out of order.
import { readOptions, wholeNumber } from '../../../../scripts/command-line.ts';
import { raceAndKill } from './race-and-kill.ts';

const values = readOptions(import.meta.filename, {
  kills: { type: 'string', default: '200' },
  clients: { type: 'string', default: '40' },
  senders: { type: 'string', default: '3' },
  seed: { type: 'string', default: '1' },
  json: { type: 'boolean', default: false },
});
const report = await raceAndKill({
  killCount: wholeNumber('kills', values.kills),
  clientCount: wholeNumber('clients', values.clients),
  senderCount: wholeNumber('senders', values.senders),
  seed: wholeNumber('seed', values.seed),
  onKill: (done) => {
    if (done % 20 === 0) console.error(`${done} kills`);
  },
});
if (values.json) console.log(JSON.stringify(report));
else {
  console.log(
    `${report.postgresKills} kills of Postgres, ${report.serverKills} of the server; ${report.answered} requests ` +
      `answered, ${report.unanswered} cut off or refused; ${report.effects} effects, ${report.broken.length} broken.`,
  );
  for (const line of report.broken) console.log(line);
}
process.exit(report.broken.length > 0 ? 1 : 0);
