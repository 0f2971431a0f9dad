// A Node process with a queue on SQLite, to be killed: it gets its life as an argument, and tells its parent on a pipe.
import { writeSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { type SqliteDriver, sqliteStorage } from 'holdfast';
import { hastyStorage } from './hasty-storage.ts';
import { live, type VictimLife } from './victim.ts';

/** The file descriptor that the parent reads. */
const TOLD = 3;
const [text = '', path = ''] = process.argv.slice(2);
const life = JSON.parse(text) as VictimLife;
await live(life, {
  storage: life.isHasty === true ? hastyStorage(path) : sqliteStorage({ open: () => driver(path) }),
  // In the pipe when this returns: what is told before it is done must not be lost with the one who does it.
  tell: (message) => void writeSync(TOLD, `${JSON.stringify(message)}\n`),
  pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
});

function driver(file: string): SqliteDriver {
  const database = new DatabaseSync(file);
  const statements = new Map<string, StatementSync>();
  return {
    query: (sql, parameters) => {
      const statement = statements.get(sql) ?? database.prepare(sql);
      statements.set(sql, statement);
      return statement.all(...parameters) as Record<string, unknown>[];
    },
    close: () => database.close(),
  };
}
