// Browsers that no package of npm brings: `npm test` has Debian install its own where it may.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Whether anything can be installed here: this is root on Debian. */
export function canInstall(): boolean {
  return process.getuid?.() === 0 && existsSync('/etc/debian_version') && existsSync('/usr/bin/apt-get');
}

let isUpToDate = false;

/** Null when it is done (some seconds), else the last line of what Debian said. Never throws. */
export function install(what: string, packages: readonly string[]): string | null {
  const startedAtMs = Date.now();
  console.error(`Installing ${what} (apt-get install ${packages.join(' ')}) …`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args: readonly string[]): { readonly isDone: boolean; readonly output: string } => {
    const { status, stdout, stderr } = spawnSync('apt-get', args, { env, encoding: 'utf8' });
    return { isDone: status === 0, output: `${stdout}${stderr}`.trim() };
  };
  if (!isUpToDate) apt('update', '-q');
  isUpToDate = true;
  const { isDone, output } = apt('install', '-y', '-q', '--no-install-recommends', ...packages);
  if (!isDone) return output.split('\n').at(-1) ?? '';
  console.error(`${what} installed in ${((Date.now() - startedAtMs) / 1000).toFixed(1)} s.`);
  return null;
}

/** The first of these names that is in a folder of `PATH`. */
export function findCommand(...names: readonly string[]): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.flatMap((folder) => names.map((name) => join(folder, name))).find((path) => existsSync(path));
}
