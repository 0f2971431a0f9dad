import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { bundle } from '../../../scripts/bundle.ts';
import type { KillableDevice } from './kill-devices.ts';
import type { VictimMessage } from './victim.ts';

/** Devices that are Node processes with a queue on an SQLite file; `end` removes what is left. */
export async function nodeDevices(): Promise<{
  readonly open: (deviceNumber: number) => Promise<KillableDevice>;
  readonly end: () => void;
}> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-kills-'));
  // As one file it starts in a third of the time.
  const script = join(folder, 'victim.mjs');
  writeFileSync(script, await bundle(join(import.meta.dirname, 'node-victim.ts'), 'node'));
  const open = async (deviceNumber: number): Promise<KillableDevice> => {
    const file = join(folder, `${deviceNumber}.db`);
    return {
      start: async (life, hear) => {
        const child = spawn(
          process.execPath,
          ['--disable-warning=ExperimentalWarning', script, JSON.stringify(life), file],
          { stdio: ['ignore', 'inherit', 'inherit', 'pipe'] },
        );
        const lines = createInterface({ input: child.stdio[3] as Readable });
        lines.on('line', (line) => hear(JSON.parse(line) as VictimMessage));
        // What it had told before is heard before this.
        const ended = Promise.all([once(child, 'close'), once(lines, 'close')]).then(() => {});
        return {
          ended,
          kill: async () => {
            child.kill('SIGKILL');
            await ended;
          },
        };
      },
      end: async () => {
        for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true });
      },
    };
  };
  return { open, end: () => rmSync(folder, { recursive: true, force: true }) };
}
