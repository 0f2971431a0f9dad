// Makes a fresh clone able to run anything: a Node that is new enough, the dependencies of the lockfile, and then the
// script or tool that was asked for. Runs on Node 20 with nothing installed, so: plain JavaScript, built-in modules only.
//
//   Node at hand ──too old──▶ Node from the registry, in .tools ─┐
//        └──new enough──────────────────────────────────────────┴─▶ dependencies ──▶ script or tool
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureDependencies } from './bootstrap/dependencies.mjs';
import { ensureNode } from './bootstrap/node-at-hand.mjs';
import { Refusal } from './bootstrap/refusal.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/**
 * Exit codes: that of the script or tool; 1 when the bootstrap itself cannot go on; 128 + number for a signal.
 * @param {readonly string[]} args first a path ending in `.ts`, or the name of a tool in node_modules/.bin
 */
export async function main(args) {
  try {
    const node = await ensureNode(root);
    const env = environment(node);
    await ensureDependencies(root, node, env);
    const [target, ...rest] = args;
    if (target === undefined) return; // `node scripts/run.mjs` alone only prepares
    process.exitCode = await run(node.executable, [...command(target), ...rest], env);
  } catch (error) {
    process.exitCode = 1;
    const sentence = explain(error);
    if (sentence === null) throw error;
    console.error(sentence);
  }
}

function explain(error) {
  if (error instanceof Refusal) return error.message;
  if (['EACCES', 'EPERM', 'EROFS'].includes(error.code))
    return `${root} cannot be written to (${error.code}): make it writable, or clone elsewhere.`;
  if (error.code === 'ENOSPC') return `The disk is full: ${root} needs about 1 GB for its dependencies.`;
  return null;
}

/** In-repo packages resolve to their TypeScript source, which Node reads by stripping the types. */
function command(target) {
  if (target.endsWith('.ts')) {
    return ['--disable-warning=ExperimentalWarning', '--conditions=@holdfast/source', join(root, target)];
  }
  const link = join(root, 'node_modules', '.bin', target);
  if (!existsSync(link)) throw new Refusal(`There is no tool named ${target} among the dependencies.`);
  return [link];
}

function environment(node) {
  const separator = process.platform === 'win32' ? ';' : ':';
  const pathName = Object.keys(process.env).find((name) => name.toUpperCase() === 'PATH') ?? 'PATH';
  const folders = [join(root, 'node_modules', '.bin'), dirname(node.executable)];
  const env = { ...process.env, [pathName]: [...folders, process.env[pathName]].join(separator) };
  // Addons are built against the headers of the Node that will load them, wherever npm was told to look.
  if (node.executable !== process.execPath) env.HOLDFAST_OUTER_NODE = process.execPath; // a test runs what was built on it
  if (node.headersFolder !== null) env.npm_config_nodedir = node.headersFolder;
  return env;
}

/** Waits for the child and passes signals on, so that Ctrl-C stops it cleanly and its exit code is ours. */
function run(executable, args, env) {
  return new Promise((done, fail) => {
    const child = spawn(executable, args, { cwd: process.cwd(), env, stdio: 'inherit' });
    // A terminal sends Ctrl-C to the whole group, so the child has it already: passing it on would make it two.
    process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'));
    process.on('SIGTERM', () => child.kill('SIGTERM'));
    process.on('SIGHUP', () => child.kill('SIGHUP'));
    // npm runs a script through a shell that passes no signal on: who stops npm alone would leave a server behind.
    const parentId = process.ppid;
    const watch = setInterval(() => process.ppid === parentId || child.kill('SIGTERM'), ORPHAN_POLL_MS);
    if (process.env.npm_lifecycle_event === undefined) clearInterval(watch);
    child.on('error', fail);
    child.on('exit', (code, signal) => {
      clearInterval(watch);
      done(code ?? 128 + (SIGNAL_NUMBERS[signal] ?? 0));
    });
  });
}

const ORPHAN_POLL_MS = 500;
const SIGNAL_NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGSEGV: 11, SIGTERM: 15 };
