// The Firefox that tests drive: an installed one. Without one those tests are left out, with the reason.
import { existsSync } from 'node:fs';
import { canInstall, findCommand, install } from './debian.ts';

export type Firefox = { readonly executablePath: string } | { readonly missing: string };

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
  const installed = findCommand('firefox-esr', 'firefox');
  if (installed !== undefined) return { executablePath: installed };
  if (process.platform === 'darwin' && existsSync(MAC_PATH)) return { executablePath: MAC_PATH };
  return { missing: `there is no Firefox on this machine: ${HOW}` };
}

/** Installs Debian's when there is none and this is root on Debian (some seconds, once). Never throws. */
export function ensureFirefox(): Firefox {
  const found = findFirefox();
  if ('executablePath' in found || process.env.FIREFOX_PATH || !canInstall()) return found;
  const failure = install('Firefox', ['firefox-esr']);
  return failure === null ? findFirefox() : { missing: `Firefox could not be installed: ${failure}` };
}
