// npm start: builds the page of the example if its sources changed, then runs server, embedded database and page on one
// port. Arguments and environment go to the server.
import { join, resolve } from 'node:path';
import { buildPage } from './build/build-page.ts';

try {
  buildPage();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
// In this process, so that Ctrl-C reaches the server itself.
const server = join(resolve(import.meta.dirname, '..'), 'examples', 'crm', 'server', 'main.ts');
process.argv[1] = server;
await import(server);
