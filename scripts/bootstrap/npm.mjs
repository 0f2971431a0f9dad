// Runs npm, whichever way this process was started.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Four tries over a quarter of a minute: a moment's trouble passes, and no network is noticed while one still looks. */
const PATIENCE = [
  '--fetch-retries=4',
  '--fetch-retry-factor=2',
  '--fetch-retry-mintimeout=1000',
  '--fetch-retry-maxtimeout=10000',
];
const NO_NETWORK = /\b(ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH)\b/;

/**
 * Talk goes to stderr, so that the stdout of a script stays its own. What npm has to say about a failure is printed too,
 * unless it is a page about the network being away.
 * @returns {Promise<null | string>} null when it did what it was told to, else why not, in a few words
 */
export function npm(args, { cwd, env, executable = process.execPath }) {
  const script = process.env.npm_execpath;
  const isNpmScript = script !== undefined && /npm-cli\.c?js$/.test(script) && existsSync(script);
  // npm hands its own settings down as npm_config_*; those that place the outer command would misplace the inner one.
  const inner = Object.fromEntries(Object.entries(env).filter(([name]) => !MISPLACING.test(name)));
  const [file, first] = isNpmScript ? [executable, [script]] : ['npm', []];
  return new Promise((done) => {
    const child = spawn(file, [...first, ...args, ...PATIENCE, '--no-audit', '--no-fund', '--loglevel=error'], {
      cwd,
      env: inner,
      stdio: ['ignore', 2, 'pipe'],
      shell: !isNpmScript && process.platform === 'win32',
    });
    let complaints = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
      complaints += text;
    });
    child.on('error', () => done('there is no npm on the PATH: it comes with Node from nodejs.org'));
    child.on('close', (code) => {
      const trouble = NO_NETWORK.exec(complaints)?.[1];
      if (code === 0) return done(null);
      if (trouble !== undefined) return done(`the package registry cannot be reached (${trouble}): check the network`);
      process.stderr.write(complaints);
      return done(`npm ended with ${code}, and its reason is above`);
    });
  });
}

const MISPLACING =
  /^npm_(config_(local_prefix|prefix|global_prefix|workspace|workspaces|include_workspace_root|omit|include|dry_run|json)|package_|lifecycle_)/i;
