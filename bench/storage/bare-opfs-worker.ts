// Runs in the worker of bare-opfs.ts: the first message names the file, each other is what to append.

/** `FileSystemSyncAccessHandle`, of which the types of a page know nothing. */
interface SyncHandle {
  write(bytes: Uint8Array, options: { readonly at: number }): number;
  flush(): void;
}

const encoder = new TextEncoder();
let file: SyncHandle | null = null;
let end = 0;

addEventListener('message', async ({ data }: MessageEvent<string | readonly string[]>) => {
  if (typeof data === 'string') {
    const folder = await navigator.storage.getDirectory();
    const handle = await folder.getFileHandle(data, { create: true });
    file = await (handle as unknown as { createSyncAccessHandle(): Promise<SyncHandle> }).createSyncAccessHandle();
  } else if (file !== null) {
    end += file.write(encoder.encode(data.join('\n')), { at: end });
    file.flush();
  }
  postMessage(null);
});
