import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { archiveMonths } from '../archive.ts';
import type { Database } from '../database.ts';
import { maintain } from '../maintenance.ts';
import { exportMigrations, migrate } from '../migrate.ts';
import { openPg } from '../pg-database.ts';
import { examine } from './examine.ts';
import type { Command } from './parse-command.ts';
import { readStatus } from './read-status.ts';
import {
  renderArchive,
  renderExport,
  renderFindings,
  renderHelp,
  renderMaintenance,
  renderMigration,
  renderStatus,
} from './render.ts';

export interface CommandResult {
  /** For standard output. */
  readonly text: string;
  /** 0, or 3 when something is wrong. */
  readonly exitCode: number;
}

export interface CommandWorld {
  readonly version: string;
  readonly nowMs: () => number;
}

/** Carries a command out. What fails, throws. */
export async function runCommand(command: Command, world: CommandWorld): Promise<CommandResult> {
  switch (command.kind) {
    case 'help':
      return { text: renderHelp(command.about), exitCode: 0 };
    case 'version':
      return { text: `${world.version}\n`, exitCode: 0 };
    case 'export': {
      const files = await exportMigrations();
      await mkdir(command.folder, { recursive: true });
      for (const { name, sql } of files) await writeFile(join(command.folder, name), sql);
      const names = files.map(({ name }) => name);
      return {
        text: command.isJson ? json({ folder: command.folder, files: names }) : renderExport(names, command.folder),
        exitCode: 0,
      };
    }
    default:
      return withDatabase(command.databaseUrl, async (database) => {
        if (command.kind === 'migrate') {
          const report = await migrate(database);
          return { text: command.isJson ? json(report) : renderMigration(report), exitCode: 0 };
        }
        if (command.kind === 'status') {
          const status = await readStatus(database);
          const { pending, unknown, edited } = status.migrations;
          const exitCode = pending.length + unknown.length + edited.length > 0 ? 3 : 0;
          return { text: command.isJson ? json(status) : renderStatus(status), exitCode };
        }
        if (command.kind === 'archive') {
          const { folder, location } = command;
          const report = await archiveMonths({ database, folder, ...(location === null ? {} : { location }) });
          return { text: command.isJson ? json(report) : renderArchive(report, folder), exitCode: 0 };
        }
        if (command.kind === 'maintain') {
          const report = await maintain(database);
          return { text: command.isJson ? json(report) : renderMaintenance(report), exitCode: 0 };
        }
        const findings = await examine(database, world.nowMs);
        const exitCode = findings.some(({ state }) => state === 'problem') ? 3 : 0;
        return { text: command.isJson ? json({ findings }) : renderFindings(findings), exitCode };
      });
  }
}

async function withDatabase<Result>(
  databaseUrl: string,
  work: (database: Database) => Promise<Result>,
): Promise<Result> {
  const database = openPg({ connectionString: databaseUrl, connectionCountMax: 2 });
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}

function json(data: object): string {
  return `${JSON.stringify(data, null, 2)}\n`;
}
