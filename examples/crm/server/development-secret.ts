import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The secret that signs tokens of the demonstration: 32 random bytes, made in the data folder at the first start and
 * readable by its owner only. It never leaves the server.
 *
 * @throws Error of one sentence when the folder cannot be written.
 */
export function readOrMakeSecret(dataFolder: string): Uint8Array {
  const file = join(dataFolder, 'development-secret');
  try {
    mkdirSync(dataFolder, { recursive: true });
    try {
      writeFileSync(file, randomBytes(32).toString('base64url'), { mode: 0o600, flag: 'wx' });
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    return Buffer.from(readFileSync(file, 'utf8').trim(), 'base64url');
  } catch (cause) {
    throw new Error(
      `The data folder ${dataFolder} cannot be written: set HOLDFAST_DATA to a folder you may write to, or change who may write to this one.`,
      { cause },
    );
  }
}
