import react from '@vitejs/plugin-react';
import { playwright } from '@vitest/browser-playwright';
import { defineConfig } from 'vitest/config';
import { findChromium } from './scripts/chromium.ts';
import { findFirefox } from './scripts/firefox.ts';
import { LongestFirst } from './scripts/test/longest-first.ts';

// Tests run on the TypeScript source of the packages, never on what was built.
const resolve = {
  conditions: ['@holdfast/source', 'module', 'browser', 'development|production', 'import', 'default'],
};
const ssr = {
  // without 'import': Node would then hand ESM to the `require` of CommonJS packages such as pg
  resolve: { conditions: ['@holdfast/source', 'module', 'node', 'development|production'] },
};
const BROWSER_TESTS = '**/*.browser.test.{ts,tsx}';
// In Chromium and Firefox themselves, several tabs at a time.
const REAL_BROWSER_TESTS = '**/*.browsers.test.ts';
const END_TO_END_TESTS = '**/*.e2e.test.ts';
const ELSEWHERE = ['**/node_modules/**', '**/dist/**', '**/.tools/**', '**/.data/**'];

export default defineConfig(async () => {
  const chromium = await findChromium();
  return {
    test: {
      // One file for each core; by itself the runner would leave a core free, and on two cores run one file after the other.
      maxWorkers: '100%',
      sequence: { sequencer: LongestFirst },
      projects: [
        {
          resolve,
          ssr,
          test: {
            name: 'node',
            include: ['{packages,sim,scripts,examples,bench}/**/*.test.{ts,tsx}'],
            exclude: [...ELSEWHERE, BROWSER_TESTS, REAL_BROWSER_TESTS, END_TO_END_TESTS],
            environment: 'node' as const,
            // A suite may start its own Postgres, embedded or real, and shares its core.
            testTimeout: 60_000,
            hookTimeout: 120_000,
          },
        },
        {
          plugins: [react()],
          resolve,
          optimizeDeps: {
            // It finds its .wasm file beside itself.
            exclude: ['@sqlite.org/sqlite-wasm'],
            include: ['react', 'react-dom', 'react-dom/client', 'react/jsx-dev-runtime', '@testing-library/react'],
          },
          test: {
            name: 'browser',
            include: [`{packages,examples}/${BROWSER_TESTS}`],
            exclude: ELSEWHERE,
            testTimeout: 60_000,
            hookTimeout: 60_000,
            browser: {
              enabled: true,
              headless: true,
              screenshotFailures: false,
              instances: [{ browser: 'chromium' as const }],
              provider: playwright({
                launchOptions: {
                  executablePath: chromium.executablePath,
                  args: [...chromium.args],
                  env: { ...environment(), ...chromium.env },
                },
              }),
            },
          },
        },
        {
          test: {
            name: 'types',
            include: [],
            typecheck: {
              enabled: true,
              only: true,
              include: ['packages/client/src/**/*.test-d.{ts,tsx}'],
              tsconfig: './packages/client/tsconfig.test.json',
              // What the source itself gets wrong is reported by `npm run types`.
              ignoreSourceErrors: true,
            },
          },
        },
        {
          resolve,
          ssr,
          test: {
            name: 'browsers',
            include: [`packages/${REAL_BROWSER_TESTS}`],
            provide: { chromium, firefox: findFirefox() },
            exclude: ELSEWHERE,
            environment: 'node' as const,
            fileParallelism: false,
            testTimeout: 60_000,
            hookTimeout: 120_000,
          },
        },
        {
          resolve,
          ssr,
          test: {
            name: 'e2e',
            include: [`examples/${END_TO_END_TESTS}`],
            provide: { chromium },
            exclude: ELSEWHERE,
            environment: 'node' as const,
            // They start a server, a database and a browser each, and count what arrived.
            fileParallelism: false,
            testTimeout: 300_000,
            hookTimeout: 180_000,
          },
        },
      ],
    },
  };
});

function environment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
