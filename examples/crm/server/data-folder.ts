import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Makes the data folder and takes it for this process; returns a function that gives it back. The embedded database
 * serves one process at a time and does not notice a second one.
 *
 * @throws Error of one sentence when the folder cannot be written, or another running server has it.
 */
export function takeDataFolder(folder: string): () => void {
  const lockFile = join(folder, 'server.pid');
  try {
    mkdirSync(folder, { recursive: true });
    const owner = readOwner(lockFile);
    if (owner !== null && owner !== process.pid && isRunning(owner)) {
      throw new DataFolderTakenError(
        `The data folder ${folder} is in use by another server (process ${owner}): stop that one, or set HOLDFAST_DATA to another folder.`,
      );
    }
    writeFileSync(lockFile, String(process.pid));
  } catch (cause) {
    if (cause instanceof DataFolderTakenError) throw cause;
    throw new Error(
      `The data folder ${folder} cannot be written: set HOLDFAST_DATA to a folder you may write to, or change who may write to this one.`,
      { cause },
    );
  }
  return () => rmSync(lockFile, { force: true });
}

/**
 * The secret that signs tokens of the demonstration: 32 random bytes, made at the first start and readable by its owner
 * only. It never leaves the server.
 */
export function readOrMakeSecret(folder: string): Uint8Array<ArrayBuffer> {
  const file = join(folder, 'development-secret');
  try {
    writeFileSync(file, randomBytes(32).toString('base64url'), { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  return Uint8Array.from(Buffer.from(readFileSync(file, 'utf8').trim(), 'base64url'));
}

class DataFolderTakenError extends Error {}

function readOwner(lockFile: string): number | null {
  try {
    return Number(readFileSync(lockFile, 'utf8')) || null;
  } catch {
    return null;
  }
}

function isRunning(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    // not ours to signal, but there
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
