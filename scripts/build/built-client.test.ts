import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..', '..');
const client = join(root, 'packages', 'client');
const folder = join(client, 'temp', 'smoke');
/** The Node that the npm script was called from, when that is an older one; else the one that runs this. */
const oldestNode = process.env.HOLDFAST_OUTER_NODE ?? process.execPath;

beforeAll(() => {
  mkdirSync(folder, { recursive: true });
  const tsdown = join(root, 'node_modules', '.bin', 'tsdown');
  const args = [tsdown, '--out-dir', folder, '--logLevel', 'error', '--config-loader', 'native', '--no-dts'];
  const { status, stderr } = spawnSync(process.execPath, args, { cwd: client, encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(status).toBe(0);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs code as a module beside what was built, with any import of `react` made to fail. */
function runWithoutReact(code: string): string {
  const hooks = `export async function resolve(name, context, next) {
    if (/^react($|\\/)/.test(name)) throw new Error('react was imported');
    return next(name, context);
  }`;
  const register = `import { register } from 'node:module'; register('data:text/javascript,' + ${JSON.stringify(encodeURIComponent(hooks))});`;
  const args = ['--import', `data:text/javascript,${encodeURIComponent(register)}`, '--input-type=module', '-e', code];
  const { stdout, stderr } = spawnSync(oldestNode, args, { cwd: folder, encoding: 'utf8' });
  return `${stdout}${stderr}`;
}

test('house · the built client loads on the oldest Node at hand, and without react', () => {
  const output = runWithoutReact(`
    const client = await import('./index.js');
    console.log(typeof client.HoldfastError, process.versions.node.split('.')[0] >= 20);
  `);
  expect(output).toBe('function true\n');
});

test('K1 · the built testing entry runs an app beside the built client, without react', () => {
  const output = runWithoutReact(`
    const { defineMutation } = await import('./index.js');
    const { createTestApp } = await import('./testing.js');
    const payload = { '~standard': { version: 1, vendor: 'mine', validate: (value) => ({ value }) } };
    const entity = ({ id }) => ({ table: 'notes', id });
    const app = await createTestApp({ mutations: [defineMutation({ type: 'note', payload, operation: 'create', entity })] });
    app.network.setOffline();
    await app.queue.add({ type: 'note', payload: { id: '1' } });
    await app.restartApp();
    app.network.setOnline();
    await app.drain();
    console.log(JSON.stringify(app.server.rows('notes')));
  `);
  expect(output).toBe('[{"id":"1"}]\n');
});

test('house · the control: the entry for react does need it', () => {
  expect(runWithoutReact(`await import('./react.js');`)).toContain('react was imported');
});
