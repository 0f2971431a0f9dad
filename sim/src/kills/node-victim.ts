// A Node process with a queue on SQLite, to be killed: it gets its life as an argument, and tells its parent on a pipe.
import { writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { nodeSqliteDriver, sqliteStorage } from 'holdfast';
import { hastyStorage } from './hasty-storage.ts';
import { live, type VictimLife } from './victim.ts';

/** The file descriptor that the parent reads. */
const TOLD = 3;
const [text = '', path = ''] = process.argv.slice(2);
const life = JSON.parse(text) as VictimLife;
await live(life, {
  storage:
    life.isHasty === true
      ? hastyStorage(path)
      : sqliteStorage({
          open: () => {
            const database = new DatabaseSync(path);
            if (life.pageCountMax !== undefined) database.exec(`pragma max_page_count = ${life.pageCountMax}`);
            return nodeSqliteDriver(database);
          },
        }),
  // In the pipe when this returns: what is told before it is done must not be lost with the one who does it.
  tell: (message) => void writeSync(TOLD, `${JSON.stringify(message)}\n`),
  pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
});
