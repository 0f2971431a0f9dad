import react from '@vitejs/plugin-react';
import { playwright } from '@vitest/browser-playwright';
import { defineConfig } from 'vitest/config';
import { findChromium } from './scripts/chromium.ts';
import { findFirefox } from './scripts/firefox.ts';
import { LongestFirst } from './scripts/test/longest-first.ts';
import { otherBrowsers, startFirefox, startWebKit } from './scripts/test/other-browsers.ts';
import { findWebKit } from './scripts/webkit.ts';

// Tests run on the TypeScript source of the packages, never on what was built.
const resolve = {
  conditions: ['@holdfast/source', 'module', 'browser', 'development|production', 'import', 'default'],
};
const ssr = {
  // without 'import': Node would then hand ESM to the `require` of CommonJS packages such as pg
  resolve: { conditions: ['@holdfast/source', 'module', 'node', 'development|production'] },
};
const BROWSER_TESTS = '**/*.browser.test.{ts,tsx}';
// Of these, what rests on the browser's own storage; also in Firefox and in WebKitGTK.
const STORAGE_TESTS = `packages/client/src/{storage,queue}/${BROWSER_TESTS}`;
const NOT_IN: Readonly<Record<string, readonly string[]>> = {
  // Nothing of it is ours but the port, which the other adapters show to work there.
  firefox: ['**/sqlite-wasm.browser.test.ts'],
  // It has no files for workers.
  webkit: ['**/opfs/**', '**/sqlite-wasm.browser.test.ts'],
};
// In Chromium and Firefox themselves, several tabs at a time.
const REAL_BROWSER_TESTS = '**/*.browsers.test.ts';
const END_TO_END_TESTS = '**/*.e2e.test.ts';
const ELSEWHERE = ['**/node_modules/**', '**/dist/**', '**/.tools/**', '**/.data/**'];
// What is waited for comes late on a busy machine; the runner's own limit is one second.
const PATIENCE = { poll: { timeout: 15_000 } };

export default defineConfig(async () => {
  const chromium = await findChromium();
  const firefox = findFirefox();
  const webkit = findWebKit();
  const starts = {
    ...('missing' in firefox ? {} : { firefox: () => startFirefox(firefox) }),
    ...('missing' in webkit ? {} : { webkit: () => startWebKit(webkit) }),
  };
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
            expect: PATIENCE,
            hookTimeout: 120_000,
          },
        },
        {
          plugins: [react()],
          resolve,
          optimizeDeps: {
            // It finds its .wasm file beside itself.
            exclude: ['@sqlite.org/sqlite-wasm'],
            include: [
              'react',
              'react-dom',
              'react-dom/client',
              'react-dom/server.browser',
              'react/jsx-dev-runtime',
              '@testing-library/react',
            ],
          },
          test: {
            name: 'browser',
            include: [`{packages,examples,bench}/${BROWSER_TESTS}`],
            exclude: ELSEWHERE,
            testTimeout: 60_000,
            expect: PATIENCE,
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
        ...Object.keys(starts).map((browser) => ({
          resolve,
          test: {
            name: `storage in ${browser}`,
            include: [STORAGE_TESTS],
            exclude: [...ELSEWHERE, ...(NOT_IN[browser] ?? [])],
            testTimeout: 60_000,
            expect: PATIENCE,
            hookTimeout: 60_000,
            browser: {
              enabled: true,
              headless: true,
              screenshotFailures: false,
              // The types know only those of vitest's own drivers.
              instances: [{ browser: browser as 'chromium', name: `storage in ${browser}` }],
              provider: otherBrowsers(starts),
            },
          },
        })),
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
            provide: { chromium, firefox },
            exclude: ELSEWHERE,
            environment: 'node' as const,
            fileParallelism: false,
            testTimeout: 60_000,
            expect: PATIENCE,
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
            expect: PATIENCE,
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
