import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { bundle } from '../../../scripts/bundle.ts';
import { findChromium } from '../../../scripts/chromium.ts';
import type { KillableDevice } from './kill-devices.ts';
import type { KillsServer } from './kills-server.ts';

/** The head of a record of 165 bytes: LevelDB writes it before them, and a browser may be killed in between. */
const TORN_HEADER = Uint8Array.of(0xfd, 0xa2, 0x14, 0x68, 165, 0, 1);

export type PageStore = 'indexeddb' | 'opfs';

/** Devices that are browsers with a profile of their own and a page with a queue, `strict`. */
export async function chromiumDevices(
  server: KillsServer,
  store: PageStore,
): Promise<(deviceNumber: number) => Promise<KillableDevice>> {
  const { executablePath, args, env } = await findChromium();
  server.pageScript = await bundle(join(import.meta.dirname, 'page-victim.ts'), 'page');
  server.workerScript = await bundle(join(import.meta.dirname, 'opfs-worker.ts'), 'page');
  return async () => {
    const profile = mkdtempSync(join(tmpdir(), 'holdfast-kills-'));
    return {
      start: async (life, hear) => {
        const page = `${server.url}/${store === 'opfs' ? '?opfs' : ''}#${encodeURIComponent(JSON.stringify(life))}`;
        const browser = spawn(executablePath, [...args, '--headless', `--user-data-dir=${profile}`, page], {
          detached: true, // a group of its own, with all its processes
          stdio: 'ignore',
          env: { ...process.env, ...env },
        });
        const ended = once(browser, 'close').then(() => {});
        const kill = async (): Promise<void> => {
          if (browser.pid !== undefined && browser.exitCode === null) process.kill(-browser.pid, 'SIGKILL');
          await ended;
        };
        server.onPageMessage = (message) => {
          hear(message);
          if (message.kind === 'drained') void kill();
        };
        return { ended, kill };
      },
      tear: () => {
        for (const log of globSync('*/IndexedDB/*.leveldb/*.log', { cwd: profile }))
          appendFileSync(join(profile, log), TORN_HEADER);
      },
      end: async () => rmSync(profile, { recursive: true, force: true, maxRetries: 5 }),
    };
  };
}
