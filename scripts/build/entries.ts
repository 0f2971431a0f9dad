import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

interface Manifest {
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
}

/** What a package's `exports` promise, as the bundler wants it: name of the file in `dist` → source. */
export function entriesOf(packageFolder: string): Record<string, string> {
  const manifest = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8')) as Manifest;
  return Object.fromEntries(
    Object.values(manifest.exports).flatMap((target) => {
      if (typeof target === 'string') return [];
      const source = target['@holdfast/source'];
      const built = target.default;
      if (source === undefined || built === undefined) return [];
      if (!existsSync(join(packageFolder, source)))
        throw new Error(`${packageFolder}: exports names ${source}, which does not exist.`);
      return [[basename(built, '.js'), source]];
    }),
  );
}
