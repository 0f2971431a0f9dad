// npm run types: every TypeScript project of the repository. The inner folders of the client are one of their own, compiled
// with no DOM and no Node, so that a platform does not exist there.
import { spawnSync } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
// The libraries that the benchmark compares with are there only where it has run.
const peers = existsSync(join(root, 'bench/peers/node_modules')) ? ['bench/peers/tsconfig.json'] : [];
const projects = globSync(['tsconfig.json', '{packages,examples}/*/tsconfig*.json', 'sim/tsconfig.json', ...peers], {
  cwd: root,
}).toSorted();

const failed = projects.filter((project) => {
  const startedAtMs = performance.now();
  const isRight =
    spawnSync(process.execPath, [tsc, '-p', project, '--noEmit'], { cwd: root, stdio: 'inherit' }).status === 0;
  console.error(`${isRight ? 'ok  ' : 'FAIL'} ${project} (${((performance.now() - startedAtMs) / 1000).toFixed(1)} s)`);
  return !isRight;
});
if (failed.length > 0) {
  console.error(`Types failed: ${failed.join(', ')}.`);
  process.exitCode = 1;
}
