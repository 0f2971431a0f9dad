import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';

interface Lockfile {
  readonly packages: Readonly<
    Record<string, { readonly resolved?: string; readonly integrity?: string; readonly link?: boolean }>
  >;
}

const lockfile = JSON.parse(
  readFileSync(join(resolve(import.meta.dirname, '..'), 'package-lock.json'), 'utf8'),
) as Lockfile;

test('house · the lockfile names no registry host', () => {
  const addresses = Object.values(lockfile.packages).flatMap(({ resolved }) => resolved ?? []);
  expect(addresses.filter((address) => address.includes(':'))).toEqual([]);
});

test('house · the lockfile holds the hash of everything that is fetched', () => {
  const unsealed = Object.entries(lockfile.packages).filter(
    ([path, { integrity, link }]) => path.startsWith('node_modules/') && link !== true && integrity === undefined,
  );
  expect(unsealed.map(([path]) => path)).toEqual([]);
});
