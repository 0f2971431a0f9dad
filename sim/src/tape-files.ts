import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type ChoiceTape, readTape, tapeOfToken } from './choice-tape.ts';

/** Where tapes of failures that were found are kept; each is replayed by the tests for ever. */
export const REGRESSIONS_FOLDER: string = resolve(import.meta.dirname, '../regressions');

/** A tape that is kept, and what it is kept for. */
export interface KeptTape {
  readonly story: string;
  readonly tape: ChoiceTape;
}

/** What `--replay` takes: a token, a file, or the name of one of the kept tapes. Throws when it is none of them. */
export function findTape(text: string): ChoiceTape {
  const file = [resolve(text), join(REGRESSIONS_FOLDER, text), join(REGRESSIONS_FOLDER, `${text}.json`)].find(
    existsSync,
  );
  return file === undefined ? tapeOfToken(text) : readTapeFile(file).tape;
}

/** All that are kept, by the names of their files. */
export function readKeptTapes(): readonly (KeptTape & { readonly name: string })[] {
  return readdirSync(REGRESSIONS_FOLDER)
    .filter((file) => file.endsWith('.json') && file !== 'seeds.json')
    .map((file) => ({ name: file.replace(/\.json$/, ''), ...readTapeFile(join(REGRESSIONS_FOLDER, file)) }));
}

export function readTapeFile(file: string): KeptTape {
  const value = JSON.parse(readFileSync(file, 'utf8')) as Partial<KeptTape> | null;
  return { story: String(value?.story), tape: readTape(value?.tape) };
}

export function writeTapeFile(file: string, { story, tape }: KeptTape): void {
  const lines = Object.entries(tape).map(
    ([purpose, choices]) => `    ${JSON.stringify(purpose)}: ${JSON.stringify(choices)}`,
  );
  writeFileSync(file, `{\n  "story": ${JSON.stringify(story)},\n  "tape": {\n${lines.join(',\n')}\n  }\n}\n`);
}
