import { defineConfig } from 'vitest/config';

/**
 * npm run coverage: every branch of the engine and of the code that delivers and retries is reached by the tests beside it.
 * It fails, and names the lines, where one is not. A branch that no test can reach is dead: delete it.
 */
export default defineConfig({
  resolve: { conditions: ['@holdfast/source', 'module', 'browser', 'development|production', 'import', 'default'] },
  test: {
    include: ['packages/client/src/{engine,delivery}/**/*.test.ts'],
    setupFiles: ['./scripts/test/fixed-chance.ts'],
    isolate: false,
    reporters: ['default'],
    coverage: {
      enabled: true,
      provider: 'v8',
      include: ['packages/client/src/{engine,delivery}/**/*.ts'],
      exclude: ['**/testing-*/**', '**/fixtures/**', '**/*.test.ts'],
      reporter: [['text', { skipFull: true }]],
      reportsDirectory: '.data/coverage',
      thresholds: { branches: 100, lines: 100 },
    },
  },
});
