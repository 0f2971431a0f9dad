import { readFileSync } from 'node:fs';
import process from 'node:process';
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';

type Values<Options extends ParseArgsOptionsConfig> = ReturnType<typeof parseArgs<{ options: Options }>>['values'];

/**
 * The options of one of our commands. `file` is the one that is run: the comment at its head is the usage, which `--help`
 * prints. What is not an option of the command is said in one line, and ends it with exit code 2.
 */
export function readOptions<const Options extends ParseArgsOptionsConfig>(
  file: string,
  options: Options,
): Values<Options> {
  try {
    const { help, ...values } = parseArgs({ options: { ...options, help: { type: 'boolean', short: 'h' } } })
      .values as {
      readonly help?: boolean;
    };
    if (help !== true) return values as Values<Options>;
    process.stdout.write(`${usageOf(readFileSync(file, 'utf8'))}\n`);
    process.exit(0);
  } catch (error) {
    if (!isComplaint(error)) throw error;
    process.stderr.write(`${error.message.split('. ')[0]}. The options are shown by --help.\n`);
    process.exit(2);
  }
}

/** The value of an option that takes a whole number; another one ends the command with exit code 2. */
export function wholeNumber(option: string, text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  process.stderr.write(`--${option} takes a whole number, not ${JSON.stringify(text)}.\n`);
  process.exit(2);
}

/** The comment lines at the head of a source text, without their slashes. */
export function usageOf(source: string): string {
  const lines = source.split(/\r?\n/);
  const count = lines.findIndex((line) => !line.startsWith('//'));
  return lines
    .slice(0, count)
    .map((line) => line.replace(/^\/\/ ?/, ''))
    .join('\n');
}

function isComplaint(error: unknown): error is Error {
  return error instanceof Error && String((error as { readonly code?: unknown }).code).startsWith('ERR_PARSE_ARGS_');
}
