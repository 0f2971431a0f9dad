import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { archiveMonths } from '../archive.ts';
import type { CallerClaims } from '../caller.ts';
import type { Database } from '../database.ts';
import { type Export, exportAuditLogs, exportRows } from '../export.ts';
import { maintain } from '../maintenance.ts';
import { exportMigrations, migrate } from '../migrate.ts';
import { openPg } from '../pg-database.ts';
import { examine } from './examine.ts';
import { develop } from './develop.ts';
import type { Command } from './parse-command.ts';
import { readStatus } from './read-status.ts';
import {
  renderArchive,
  renderDevelopment,
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
  /** Standard output, for what is too long to be held. */
  readonly output: NodeJS.WritableStream;
  readonly onError: (error: unknown) => void;
  /** Resolves when somebody wants it to end, for what runs until then. */
  readonly untilEnded: () => Promise<unknown>;
}

/** An export of all rows of a large workspace takes its time; nobody waits for its connection. */
const EXPORT_MS_MAX = 86_400_000;

/** Carries a command out. What fails, throws. */
export async function runCommand(command: Command, world: CommandWorld): Promise<CommandResult> {
  switch (command.kind) {
    case 'help':
      return { text: renderHelp(command.about), exitCode: 0 };
    case 'version':
      return { text: `${world.version}\n`, exitCode: 0 };
    case 'exportMigrations': {
      const files = await exportMigrations();
      await mkdir(command.folder, { recursive: true });
      for (const { name, sql } of files) await writeFile(join(command.folder, name), sql);
      const names = files.map(({ name }) => name);
      return {
        text: command.isJson ? json({ folder: command.folder, files: names }) : renderExport(names, command.folder),
        exitCode: 0,
      };
    }
    case 'dev': {
      const ended = world.untilEnded();
      const development = await develop({ ...command, onError: world.onError });
      world.output.write(renderDevelopment(development));
      await ended;
      await development.stop();
      return { text: '', exitCode: 0 };
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
        if (command.kind === 'export') {
          const exported = await beginExport(database, command, world);
          return { text: await writeExport(exported, command.file, world), exitCode: 0 };
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

/** As an admin of the workspace, so that all of its logs are there; rows of tables are those that the policies show to such a one. */
function beginExport(
  database: Database,
  { workspaceId, what }: Extract<Command, { kind: 'export' }>,
  { nowMs }: CommandWorld,
): Promise<Export> {
  const claims: CallerClaims = {
    sub: 'holdfast export',
    role: 'authenticated',
    workspace_id: workspaceId,
    holdfast_role: 'admin',
  };
  const options = { nowMs, exportTimeoutMs: EXPORT_MS_MAX };
  return what.kind === 'rows'
    ? exportRows(database, claims, what, options)
    : exportAuditLogs(database, claims, what.query, options);
}

/** Under its own name only once all of it is there. */
async function writeExport({ body, ended }: Export, file: string | null, { output }: CommandWorld): Promise<string> {
  const source = Readable.fromWeb(body);
  if (file === null) {
    await pipeline(source, output, { end: false });
    await ended;
    return '';
  }
  try {
    await pipeline(source, createWriteStream(`${file}.part`));
    await ended;
    await rename(`${file}.part`, file);
  } catch (error) {
    await rm(`${file}.part`, { force: true });
    throw error;
  }
  return `wrote ${file}\n`;
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
