import { readFile, rm, writeFile } from 'node:fs/promises';

/**
 * Marks a folder as used by this process, in a file beside it that holds the process id. It guards against starting a
 * second server by mistake, on one machine; what a killed process left behind is taken over.
 *
 * @returns a function that gives the folder back.
 * @throws Error when another living process uses the folder.
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const file = `${folder.replace(/[\\/]+$/, '')}.lock`;
  const holder = Number(await readFile(file, 'utf8').catch(() => ''));
  // our own number can only be left over: from before a restart that gave out the same numbers again
  if (holder !== process.pid && isAlive(holder)) throw inUse(folder, holder);
  await rm(file, { force: true });
  try {
    await writeFile(file, String(process.pid), { flag: 'wx' });
  } catch (cause) {
    throw inUse(folder, null, cause);
  }
  return () => rm(file, { force: true });
}

function inUse(folder: string, holder: number | null, cause?: unknown): Error {
  return new Error(
    `The data folder ${folder} is used by another process${holder === null ? '' : ` (${holder})`}. ` +
      'Stop that one, or choose another folder.',
    { cause },
  );
}

function isAlive(processId: number): boolean {
  if (!Number.isSafeInteger(processId) || processId <= 0) return false;
  try {
    // signal 0 only asks
    process.kill(processId, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, and belongs to someone else
    return error instanceof Error && Reflect.get(error, 'code') === 'EPERM';
  }
}
