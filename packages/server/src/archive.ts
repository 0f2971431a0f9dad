import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import type { Database } from './database.ts';

export interface ArchiveOptions {
  readonly database: Database;
  /** Where the files go; made where it is not there. */
  readonly folder: string;
  /** What stands in the database for where they are, such as the address of a bucket. @default the folder */
  readonly location?: string;
}

/** Beside each file, as JSON: what is in it, and how to see that it is whole. */
export interface ArchiveManifest {
  readonly format: 1;
  /** The month, by its table. */
  readonly partition: string;
  readonly table: string;
  /** ISO 8601: from the first, up to the second without it. */
  readonly fromAt: string;
  readonly toAt: string;
  readonly rowCount: number;
  /** Ids of the first and the last row; null in an empty month. */
  readonly firstId: string | null;
  readonly lastId: string | null;
  /** JSON lines, compressed with gzip, in the order of ids. */
  readonly file: string;
  readonly fileBytes: number;
  /** SHA-256 of the file, in hexadecimal. */
  readonly fileSha256: string;
  /** SHA-256 over the hash so far and the next line, from an empty one, in hexadecimal: `holdfast.archive_digest`. */
  readonly digest: string;
  /** Of the audit log: where the chain of each workspace stood at the end of the month, to go on verifying from. */
  readonly chainHeads: readonly ChainHead[];
}

export interface ChainHead {
  readonly workspaceId: string;
  readonly place: number;
  /** In hexadecimal. */
  readonly hash: string;
}

export interface ArchiveReport {
  /** Written, read back, and found to hold what the database does. */
  readonly archived: readonly ArchiveManifest[];
  /** Months that are gone from the database now. */
  readonly dropped: readonly string[];
}

interface Month {
  readonly table: string;
  readonly partition: string;
  readonly fromAt: Date;
  readonly toAt: Date;
}

/**
 * Writes each month that is to be archived and old enough to go (`set_retention(…, needs_archive => true)`) into a file with a
 * manifest, reads it back, has the database compare what was read with what it holds, and only then lets it go. What is on legal
 * hold stays, and is not written. Ended in the middle, nothing is lost: the month is there until its archive was found whole, and
 * is written anew.
 *
 * @throws when a file cannot be written, or does not hold what the database does; months before it are archived.
 */
export async function archiveMonths(options: ArchiveOptions): Promise<ArchiveReport> {
  const { database, folder, location = folder } = options;
  await mkdir(folder, { recursive: true });
  const months = await database.query<Month>(
    `select known.table_name as "table", part.partition_name as "partition", part.from_at as "fromAt", part.to_at as "toAt"
     from holdfast.partitioned_tables as known
     cross join lateral holdfast.partitions(known.table_name) as part
     where known.needs_archive and not known.is_held and part.to_at <= now() - known.keep
       and not exists (select from holdfast.archives as archive where archive.partition_name = part.partition_name)
     order by part.from_at, known.table_name`,
  );
  const archived: ArchiveManifest[] = [];
  for (const month of months) archived.push(await archive(database, month, folder, location));
  const [row] = await database.query<{ dropped: readonly string[] }>('select holdfast.enforce_retention() as dropped');
  return { archived, dropped: row?.dropped ?? [] };
}

async function archive(database: Database, month: Month, folder: string, location: string): Promise<ArchiveManifest> {
  const { table, partition, fromAt, toAt } = month;
  const file = `${partition}.jsonl.gz`;
  const path = join(folder, file);
  // Under its own name only once all of it is on the disk.
  const chainHeads = await database.transaction(async (session) => {
    await session.query('set transaction isolation level repeatable read, read only');
    await session.query(`set local timezone = 'UTC'`);
    await pipeline(Readable.from(session.copyOut(copyOf(partition))), createGzip(), createWriteStream(`${path}.part`));
    return table === 'audit_log'
      ? session.query<ChainHead>(
          `select distinct on (workspace_id) workspace_id as "workspaceId", place::float8 as place, encode(hash, 'hex') as hash
           from holdfast.audit_chain where occurred_at >= $1 and occurred_at < $2 order by workspace_id, place desc`,
          [fromAt, toAt],
        )
      : [];
  });
  await flush(`${path}.part`);
  await rename(`${path}.part`, path);

  const read = await readBack(path);
  const manifest: ArchiveManifest = {
    format: 1,
    partition,
    table,
    fromAt: fromAt.toISOString(),
    toAt: toAt.toISOString(),
    ...read,
    file,
    chainHeads,
  };
  const manifestPath = join(folder, `${partition}.manifest.json`);
  await writeFile(`${manifestPath}.part`, `${JSON.stringify(manifest, null, 2)}\n`);
  await flush(`${manifestPath}.part`);
  await rename(`${manifestPath}.part`, manifestPath);
  await flush(folder);
  await database.query('select holdfast.finish_archive($1, $2, $3, $4)', [
    partition,
    read.rowCount,
    Buffer.from(read.digest, 'hex'),
    `${location.replace(/\/$/, '')}/${file}`,
  ]);
  return manifest;
}

/** As CSV with marks that no JSON text contains, so that each line is the text itself. The name comes from the database. */
function copyOf(partition: string): string {
  return `copy (select to_jsonb(archived.*)::text from holdfast."${partition}" as archived order by archived.id)
          to stdout (format csv, delimiter e'\\x02', quote e'\\x01')`;
}

/** What stands in the file, not what was meant to. */
async function readBack(
  path: string,
): Promise<Pick<ArchiveManifest, 'rowCount' | 'firstId' | 'lastId' | 'fileBytes' | 'fileSha256' | 'digest'>> {
  const hash = createHash('sha256');
  let fileBytes = 0;
  let rowCount = 0;
  let digest: Buffer = Buffer.alloc(0);
  let [firstLine, lastLine]: [string | null, string | null] = [null, null];
  const source = createReadStream(path);
  source.on('data', (chunk) => {
    hash.update(chunk);
    fileBytes += chunk.length;
  });
  const unzipped = source.pipe(createGunzip());
  source.on('error', (error) => unzipped.destroy(error));
  for await (const line of createInterface({ input: unzipped, crlfDelay: Number.POSITIVE_INFINITY })) {
    digest = createHash('sha256').update(digest).update(line, 'utf8').digest();
    firstLine ??= line;
    lastLine = line;
    rowCount += 1;
  }
  return {
    rowCount,
    firstId: idOf(firstLine),
    lastId: idOf(lastLine),
    fileBytes,
    fileSha256: hash.digest('hex'),
    digest: digest.toString('hex'),
  };
}

function idOf(line: string | null): string | null {
  return line === null ? null : String((JSON.parse(line) as { readonly id: unknown }).id);
}

async function flush(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
