// Runs npm, whichever way this process was started.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';

/**
 * Talk goes to stderr, so that the stdout of a script stays its own.
 * @returns {Promise<number>} npm's exit code; 127 when there is no npm
 */
export function npm(args, { cwd, env, executable = process.execPath }) {
  const script = process.env.npm_execpath;
  const isNpmScript = script !== undefined && /npm-cli\.c?js$/.test(script) && existsSync(script);
  // npm hands its own settings down as npm_config_*; those that place the outer command would misplace the inner one.
  const inner = Object.fromEntries(Object.entries(env).filter(([name]) => !MISPLACING.test(name)));
  const [file, first] = isNpmScript ? [executable, [script]] : ['npm', []];
  return new Promise((done) => {
    const child = spawn(file, [...first, ...args, '--no-audit', '--no-fund', '--loglevel=error'], {
      cwd,
      env: inner,
      stdio: ['ignore', 2, 'inherit'],
      shell: !isNpmScript && process.platform === 'win32',
    });
    child.on('error', () => done(127));
    child.on('exit', (code) => done(code ?? 1));
  });
}

const MISPLACING =
  /^npm_(config_(local_prefix|prefix|global_prefix|workspace|workspaces|include_workspace_root|omit|include|dry_run|json)|package_|lifecycle_)/i;
