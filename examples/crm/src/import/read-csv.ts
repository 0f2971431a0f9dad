import Papa from 'papaparse';

/** A row of the file that is not blank. */
export interface CsvRow {
  /** As a spreadsheet counts, blank rows too. */
  readonly rowNumber: number;
  readonly cells: Readonly<Record<string, string>>;
  /** Why it is no row of this table; null where it is one. */
  readonly problem: string | null;
}

export interface CsvFile {
  readonly columns: readonly string[];
  readonly rows: readonly CsvRow[];
  /** The letters of the file, which it does not say itself: whether they were guessed. */
  readonly isGuessed: boolean;
}

/** Reads a table with a head; commas, semicolons and tabs are told apart by themselves. */
export function readCsv(bytes: Uint8Array): CsvFile {
  const { text, isGuessed } = textOf(bytes);
  const { data } = Papa.parse<string[]>(text, { skipEmptyLines: false });
  const headAt = data.findIndex((cells) => !isBlank(cells));
  const columns = distinct((data[headAt] ?? []).map((column) => column.trim()));
  const rows = data.flatMap((cells, index): CsvRow[] => {
    if (index <= headAt || isBlank(cells)) return [];
    const named = columns.map((column, at) => [column, cells[at] ?? ''] as const);
    return [{ rowNumber: index + 1, cells: Object.fromEntries(named), problem: problemOf(cells, columns) }];
  });
  return { columns, rows, isGuessed };
}

/** Two columns of one name are told apart by a number; one without a name has its place for one. */
function distinct(names: readonly string[]): readonly string[] {
  const known = new Set<string>();
  return names.map((given, at) => {
    const name = given === '' ? `Column ${at + 1}` : given;
    let column = name;
    for (let count = 2; known.has(column); count += 1) column = `${name} (${count})`;
    known.add(column);
    return column;
  });
}

function problemOf(cells: readonly string[], { length }: readonly string[]): string | null {
  if (cells.length === length) return null;
  // Spreadsheets leave out, or add, cells at the end that are empty.
  if (cells.length < length || cells.slice(length).every((cell) => cell.trim() === '')) return null;
  return `It has ${cells.length} cells, and the head has ${length}. Is a quotation mark missing?`;
}

function isBlank(cells: readonly string[]): boolean {
  return cells.every((cell) => cell.trim() === '');
}

/** UTF-8 or UTF-16 where it is that; else what spreadsheets on Windows write in Western Europe and America. */
function textOf(bytes: Uint8Array): { readonly text: string; readonly isGuessed: boolean } {
  const [first, second] = bytes;
  const utf16 = first === 0xff && second === 0xfe ? 'utf-16le' : first === 0xfe && second === 0xff ? 'utf-16be' : null;
  try {
    return { text: new TextDecoder(utf16 ?? 'utf-8', { fatal: true }).decode(bytes), isGuessed: false };
  } catch {
    return { text: new TextDecoder('windows-1252').decode(bytes), isGuessed: true };
  }
}
