// The WebKit that tests drive: WebKitGTK with its driver and a screen that is not there, as Debian has them. It is the engine of
// Safari, but not Safari: what Apple's systems add (files for pages, when storage is evicted) is not in it.
import { globSync } from 'node:fs';
import { canInstall, findCommand, install } from './debian.ts';

export type WebKit =
  | { readonly driverPath: string; readonly browserPath: string; readonly screenPath: string }
  | { readonly missing: string };

const PACKAGES = ['webkit2gtk-driver', 'xvfb'];
const HOW = `on Debian: \`apt-get install ${PACKAGES.join(' ')}\``;

/** Only looks. */
export function findWebKit(): WebKit {
  const driverPath = findCommand('WebKitWebDriver');
  const screenPath = findCommand('Xvfb');
  const [browserPath] = globSync('/usr/lib/*/webkit2gtk-4.*/MiniBrowser');
  if (driverPath === undefined || screenPath === undefined || browserPath === undefined)
    return { missing: `there is no WebKitGTK with its driver and Xvfb on this machine (${HOW})` };
  return { driverPath, browserPath, screenPath };
}

/** Installs Debian's when there is none and this is root on Debian (some 20 seconds, once). Never throws. */
export function ensureWebKit(): WebKit {
  const found = findWebKit();
  if ('driverPath' in found || !canInstall()) return found;
  const failure = install('WebKitGTK', PACKAGES);
  return failure === null ? findWebKit() : { missing: `WebKitGTK could not be installed: ${failure}` };
}
