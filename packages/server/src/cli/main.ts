#!/usr/bin/env node
// The command `holdfast`. This file only reads what was typed and says how it ended.
import { createRequire } from 'node:module';
import { parseCommand, UsageError } from './parse-command.ts';
import { runCommand } from './run-command.ts';

/** The package by its own name, so that it is found from `src` and from `dist`. */
const manifest = createRequire(import.meta.url)('@holdfast/server/package.json') as { readonly version: string };

try {
  const command = parseCommand(process.argv.slice(2), process.env);
  const { text, exitCode } = await runCommand(command, {
    version: manifest.version,
    nowMs: () => Date.now(),
    output: process.stdout,
    onError: (error) => void process.stderr.write(`${sentenceOf(error)}\n`),
    untilEnded: () =>
      new Promise((resolve) => {
        process.once('SIGINT', resolve);
        process.once('SIGTERM', resolve);
      }),
  });
  process.stdout.write(text);
  process.exitCode = exitCode;
} catch (error) {
  process.stderr.write(`${sentenceOf(error)}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}

/** The innermost cause says what happened; what is around it, where. */
function sentenceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error && error.cause.message !== '' ? ` ${error.cause.message}` : '';
  return `${error.message}${cause}`;
}
