// npm run api: compares what each entry exports with its committed report (packages/*/etc), so that every change of the API
// is a diff that somebody read. `-- --update` rewrites the reports.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Extractor, ExtractorConfig, ExtractorLogLevel, type IConfigFile } from '@microsoft/api-extractor';
import { buildPackage } from './build/build-package.ts';
import { entriesOf } from './build/entries.ts';

const root = resolve(import.meta.dirname, '..');
const isUpdate = process.argv.includes('--update');
const changed: string[] = [];

for (const folder of ['packages/client', 'packages/server']) {
  buildPackage(folder);
  for (const name of Object.keys(entriesOf(join(root, folder)))) {
    if (!report(folder, name)) changed.push(`${folder}/etc/${name}.api.md`);
  }
}
if (changed.length > 0) {
  console.error(
    `The API differs from its report: ${changed.join(', ')}. If it is meant to, run: npm run api -- --update`,
  );
  process.exitCode = 1;
}

function report(folder: string, name: string): boolean {
  const packageFolder = join(root, folder);
  const scratch = join(packageFolder, 'temp', 'api');
  mkdirSync(join(packageFolder, 'etc'), { recursive: true });
  mkdirSync(scratch, { recursive: true });
  const configObject: IConfigFile = {
    projectFolder: packageFolder,
    mainEntryPointFilePath: join(packageFolder, 'dist', `${name}.d.ts`),
    compiler: {
      overrideTsconfig: {
        compilerOptions: {
          target: 'ES2022',
          lib: ['ES2022', 'DOM', 'DOM.Iterable'],
          types: folder === 'packages/server' ? ['node'] : [],
          module: 'ESNext',
          moduleResolution: 'Bundler',
          jsx: 'react-jsx',
          strict: true,
          skipLibCheck: true,
        },
        include: [join(packageFolder, 'dist', `${name}.d.ts`)],
      },
    },
    apiReport: {
      enabled: true,
      reportFolder: join(packageFolder, 'etc'),
      reportTempFolder: scratch,
      reportFileName: name,
    },
    docModel: { enabled: false },
    dtsRollup: { enabled: false },
    tsdocMetadata: { enabled: false },
    newlineKind: 'lf',
    messages: {
      // Silent but for what a report cannot show: an exported name whose type is not exported.
      extractorMessageReporting: {
        default: { logLevel: ExtractorLogLevel.None },
        'ae-forgotten-export': { logLevel: ExtractorLogLevel.None, addToApiReportFile: true },
      },
      tsdocMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
    },
  };
  const config = ExtractorConfig.prepare({
    configObject,
    configObjectFullPath: undefined,
    packageJsonFullPath: join(packageFolder, 'package.json'),
  });
  const result = Extractor.invoke(config, { localBuild: isUpdate, showVerboseMessages: false, messageCallback: quiet });
  const isSame =
    isUpdate ||
    (existsSync(config.reportFilePath) && textOf(config.reportFilePath) === textOf(config.reportTempFilePath));
  if (isUpdate) writeFileSync(config.reportFilePath, `${textOf(config.reportFilePath)}\n`);
  rmSync(scratch, { recursive: true, force: true });
  return isSame && result.errorCount === 0;
}

/** What the extractor says of its own TypeScript, and of reports that differ, is said above in our words. */
function quiet(message: { readonly messageId: string; logLevel: ExtractorLogLevel }): void {
  if (message.messageId.startsWith('console-')) message.logLevel = ExtractorLogLevel.None;
}

/**
 * A report without the places that its warnings name: they hold hashes of chunks and line numbers, which change with code
 * that is nobody's API.
 */
function textOf(path: string): string {
  const place = /^\/\/ dist\/\S+\.d\.ts:\d+:\d+ - /;
  const lines = readFileSync(path, 'utf8').replaceAll('\r\n', '\n').trim().split('\n');
  const warnings = lines.filter((line) => place.test(line)).map((line) => line.replace(place, '// '));
  return [...lines.filter((line) => !place.test(line)), ...[...new Set(warnings)].sort()].join('\n');
}
