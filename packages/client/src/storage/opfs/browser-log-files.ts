import type { LogFile, LogFiles } from './log-file.ts';

/** `FileSystemSyncAccessHandle`, which the platform offers in dedicated workers only. */
interface SyncHandle extends LogFile {
  close(): void;
}

interface SyncFileHandle {
  createSyncAccessHandle?(): Promise<SyncHandle>;
}

export interface OpenLogFiles extends LogFiles {
  readonly close: () => void;
}

const FOLDER = 'holdfast';
const NAMES = ['0.log', '1.log', 'aside'] as const;
/** File systems allow names of up to 255 bytes. */
const PIECE_UNITS = 120;
/** One who has ended lets go of its files a little after its lock. */
const TRIES_MAX = 500;
const AGAIN_MS = 10;

/** Opens the files of the log of this name, for the one who holds its lock. */
export async function openLogFiles(name: string): Promise<OpenLogFiles> {
  let folder = await (await navigator.storage.getDirectory()).getDirectoryHandle(FOLDER, { create: true });
  // A piece begins with what no file's name begins with.
  for (const piece of piecesOf(name)) folder = await folder.getDirectoryHandle(`=${piece}`, { create: true });
  const opened = await Promise.allSettled(NAMES.map((each) => openFile(folder, each)));
  const handles = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const close = (): void => {
    for (const handle of handles) handle.close();
  };
  const refused = opened.find((each) => each.status === 'rejected');
  if (refused !== undefined) {
    close();
    throw refused.reason;
  }
  const [first, second, aside] = handles as [SyncHandle, SyncHandle, SyncHandle];
  const newGeneration = (): number => 1 + ((crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) >>> 2);
  return { slots: [first, second], aside, newGeneration, close };
}

export const hasLogFiles = (): boolean =>
  typeof FileSystemFileHandle !== 'undefined' &&
  'createSyncAccessHandle' in FileSystemFileHandle.prototype &&
  globalThis.navigator?.locks !== undefined &&
  typeof navigator.storage?.getDirectory === 'function';

function piecesOf(name: string): readonly string[] {
  const safe = name.replace(/[^\w-]/g, (character) => `%${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return safe.match(new RegExp(`.{1,${PIECE_UNITS}}`, 'g')) ?? [''];
}

async function openFile(folder: FileSystemDirectoryHandle, name: string): Promise<SyncHandle> {
  const file = (await folder.getFileHandle(name, { create: true })) as unknown as Required<SyncFileHandle>;
  for (let tryNumber = 1; ; tryNumber += 1) {
    try {
      return await file.createSyncAccessHandle();
    } catch (error) {
      const isTaken = error instanceof DOMException && error.name === 'NoModificationAllowedError';
      if (!isTaken || tryNumber === TRIES_MAX) throw error;
      await new Promise<void>((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}
