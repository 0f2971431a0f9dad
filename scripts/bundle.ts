// One file of JavaScript from the TypeScript source, for a page or a process that a test or a benchmark starts.
import { build, type Rolldown } from 'vite';

export async function bundle(input: string, platform: 'page' | 'node'): Promise<string> {
  const forNode = platform === 'node';
  const conditions = ['@holdfast/source', 'module', ...(forNode ? ['node'] : ['browser']), 'import', 'default'];
  const built = await build({
    configFile: false,
    logLevel: 'error',
    resolve: { conditions },
    ...(forNode ? { ssr: { noExternal: true, resolve: { conditions } } } : {}),
    build: {
      ...(forNode ? { ssr: true } : {}),
      write: false,
      minify: false,
      modulePreload: false,
      rolldownOptions: { input },
    },
  });
  const [output] = Array.isArray(built) ? built : [built as Rolldown.RolldownOutput];
  const chunk = output?.output.find((each) => each.type === 'chunk');
  if (chunk === undefined || chunk.type !== 'chunk') throw new Error(`${input} was not built.`);
  return chunk.code;
}
