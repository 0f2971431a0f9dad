import { describe, expect, test } from 'vitest';
import { checkImports } from './check-imports.ts';

const manifest = {
  declared: ['mutative', 'valibot', 'react', 'hono'],
  forDevelopment: ['mutative', 'valibot', 'react', 'hono', 'vitest'],
};

function complaints(path: string, text: string): readonly string[] {
  return checkImports({ path, text }, manifest).map(({ line, message }) => `${line}: ${message}`);
}

describe('house · a planted violation of the directions is found', () => {
  test.each([
    ['packages/client/src/protocol/wire.ts', `import { a } from '../mutation/record.ts';`],
    ['packages/client/src/mutation/record.ts', `import type { a } from '../engine/lane.ts';`],
    ['packages/client/src/engine/lane.ts', `import { a } from '../queue/runtime.ts';`],
    ['packages/client/src/engine/lane.ts', `export { a } from '../storage/memory-storage.ts';`],
    ['packages/client/src/engine/lane.ts', `import { a } from '../ports/storage.ts';`],
    ['packages/client/src/engine/lane.ts', `import * as v from 'valibot';`],
    ['packages/client/src/delivery/http-transport.ts', `import { a } from '../queue/runtime.ts';`],
    ['packages/client/src/storage/memory-storage.ts', `type A = import('../react/provider.ts').A;`],
    ['packages/client/src/queue/runtime.ts', `const a = await import('../react/provider.ts');`],
    ['packages/client/src/queue/runtime.ts', `import { useState } from 'react';`],
    ['packages/client/src/queue/runtime.ts', `import { readFile } from 'node:fs/promises';`],
    ['packages/client/src/queue/runtime.ts', `import { a } from '../testing/clock.ts';`],
    ['packages/client/src/react/provider.tsx', `import { a } from '../storage/memory-storage.ts';`],
    ['packages/client/src/queue/runtime.ts', `import { a } from '../optimistic/optimistic-store.ts';`],
    ['packages/client/src/index.ts', `export * from './react/index.ts';`],
    ['packages/server/src/door.ts', `import { createQueue } from 'holdfast';`],
    ['packages/server/src/door.ts', `import { a } from '../../client/src/protocol/wire.ts';`],
    ['packages/server/src/door.ts', `import { a } from 'left-pad';`],
    ['examples/crm/src/app.tsx', `import { a } from '../../../packages/client/src/queue/runtime.ts';`],
    ['packages/server/src/door.test.ts', `import { a } from '../../client/src/protocol/wire.ts';`],
  ])('%s: %s', (path, text) => {
    expect(complaints(path, text)).toHaveLength(1);
  });
});

describe('house · what the directions allow passes', () => {
  test.each([
    [
      'packages/client/src/engine/lane.ts',
      `import { a } from '../mutation/record.ts'; import type { Random } from '../ports/clock.ts';`,
    ],
    [
      'packages/client/src/queue/runtime.ts',
      `import { a } from '../engine/engine.ts'; import { create } from 'mutative';`,
    ],
    [
      'packages/client/src/react/provider.tsx',
      `import { useState } from 'react'; import { a } from '../queue/runtime.ts';`,
    ],
    ['packages/client/src/index.ts', `export { a } from './queue/runtime.ts';`],
    [
      'packages/client/src/engine/lane.test.ts',
      `import { test } from 'vitest'; import { a } from '../testing/clock.ts';`,
    ],
    [
      'packages/server/src/door.ts',
      `import { LIMITS } from 'holdfast/protocol'; import { Hono } from 'hono'; import 'node:fs';`,
    ],
    ['examples/crm/src/app.tsx', `import { createQueue } from 'holdfast'; import { Provider } from 'holdfast/react';`],
  ])('%s: %s', (path, text) => {
    expect(complaints(path, text)).toEqual([]);
  });
});

test('house · a complaint names the line and what the folder may import', () => {
  const text = `// why\nimport { a } from '../queue/runtime.ts';\n`;
  expect(complaints('packages/client/src/network/monitor.ts', text)).toMatchInlineSnapshot(`
    [
      "2: imports packages/client/src/queue/runtime.ts: packages/client/src/network may import itself and packages/client/src/protocol, packages/client/src/mutation, packages/client/src/engine, packages/client/src/ports, packages/client/src/telemetry.",
    ]
  `);
});

test('house · reading the clock by `new Date()` is found, and turning a number into a date is not', () => {
  const text = 'const a = new Date();\nconst b = new Date(5).toISOString();';
  expect(complaints('packages/client/src/queue/runtime.ts', text)).toMatchInlineSnapshot(`
    [
      "1: \`new Date()\` reads the clock: take the time from the Clock that is handed in.",
    ]
  `);
  expect(complaints('packages/client/src/queue/system-clock.ts', text)).toEqual([]);
});
