import { type MutationBody, type MutationHeader, parseBody } from '../../mutation/record.ts';
import type { Storage } from '../../ports/storage.ts';
import { readWhatReads } from './read-what-reads.ts';
import { BODY, seqKey } from './record-keys.ts';

interface ReadBodies {
  readonly bodies: ReadonlyMap<number, MutationBody>;
  /** Numbers of those that the store cannot read, while it reads others. */
  readonly unread: ReadonlySet<number>;
}

/** Bodies that are read at a time. */
const PAGE = 1_000;

/** The payloads of a queue, and what is kept with them. */
export class Bodies {
  private readonly storage: Storage;

  constructor(storage: Storage) {
    this.storage = storage;
  }

  /** The texts of bodies, whether they are whole or not; null where none stands, or the store cannot read it while it reads others. */
  async texts(headers: readonly MutationHeader[]): Promise<readonly (string | null)[]> {
    const texts = await readWhatReads(this.storage, bodyKeysOf(headers));
    return texts.map((text) => text ?? null);
  }

  /** Bodies by `seq`; those that are not whole are left out. */
  async of(headers: readonly MutationHeader[]): Promise<ReadonlyMap<number, MutationBody>> {
    return (await this.read(headers, (keys) => this.storage.read(keys))).bodies;
  }

  /** The same of one. */
  async ofOne(header: MutationHeader): Promise<MutationBody | undefined> {
    return (await this.of([header])).get(header.seq);
  }

  /** The same where the store may fail at some of them and read others: then it says at which. */
  readable(headers: readonly MutationHeader[]): Promise<ReadBodies> {
    return this.read(headers, (keys) => readWhatReads(this.storage, keys));
  }

  private async read(
    headers: readonly MutationHeader[],
    read: (keys: readonly string[]) => Promise<readonly (string | null | undefined)[]>,
  ): Promise<ReadBodies> {
    const bodies = new Map<number, MutationBody>();
    const unread = new Set<number>();
    for (let first = 0; first < headers.length; first += PAGE) {
      const page = headers.slice(first, first + PAGE);
      const texts = await read(bodyKeysOf(page));
      page.forEach((header, index) => {
        const text = texts[index];
        const parsed = parseBody(text ?? '', header);
        if (text === undefined) unread.add(header.seq);
        else if (parsed.kind === 'record') bodies.set(header.seq, parsed.record);
      });
    }
    return { bodies, unread };
  }
}

export function bodyKeysOf(headers: readonly MutationHeader[]): readonly string[] {
  return headers.map(({ seq }) => seqKey(BODY, seq));
}
