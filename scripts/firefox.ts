// The Firefox that tests drive: an installed one. No package of npm brings one, so `npm test` has Debian install its own
// where it may; elsewhere those tests are left out, with the reason.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export type Firefox = { readonly executablePath: string } | { readonly missing: string };

const INSTALLED_NAMES = ['firefox-esr', 'firefox'];
const MAC_PATH = '/Applications/Firefox.app/Contents/MacOS/firefox';
const HOW = 'install Firefox (on Debian: `apt-get install firefox-esr`), or set FIREFOX_PATH to one';

/** Only looks. `FIREFOX_PATH` decides when it is set. */
export function findFirefox(): Firefox {
  const named = process.env.FIREFOX_PATH;
  if (named !== undefined && named !== '') {
    return existsSync(named)
      ? { executablePath: named }
      : { missing: `FIREFOX_PATH names ${named}, which is not there` };
  }
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    for (const name of INSTALLED_NAMES) {
      const path = join(folder, name);
      if (existsSync(path)) return { executablePath: path };
    }
  }
  if (process.platform === 'darwin' && existsSync(MAC_PATH)) return { executablePath: MAC_PATH };
  return { missing: `there is no Firefox on this machine: ${HOW}` };
}

/** Whether it can be installed here: this is root on Debian. */
export function canInstallFirefox(): boolean {
  return process.getuid?.() === 0 && existsSync('/etc/debian_version') && existsSync('/usr/bin/apt-get');
}

/** Installs Debian's when there is none and this is root on Debian (some seconds, once). Never throws. */
export function ensureFirefox(): Firefox {
  const found = findFirefox();
  if ('executablePath' in found || process.env.FIREFOX_PATH) return found;
  if (!canInstallFirefox()) return found;
  const startedAtMs = Date.now();
  console.error('Installing Firefox (apt-get install firefox-esr) …');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args: readonly string[]): { readonly isDone: boolean; readonly output: string } => {
    const { status, stdout, stderr } = spawnSync('apt-get', args, { env, encoding: 'utf8' });
    return { isDone: status === 0, output: `${stdout}${stderr}`.trim() };
  };
  apt('update', '-q');
  const { isDone, output } = apt('install', '-y', '-q', '--no-install-recommends', 'firefox-esr');
  if (!isDone) return { missing: `Firefox could not be installed: ${output.split('\n').at(-1)}` };
  console.error(`Firefox installed in ${((Date.now() - startedAtMs) / 1000).toFixed(1)} s.`);
  return findFirefox();
}
