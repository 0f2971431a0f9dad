import { type MutationHeader, parseHeader, recordIn } from '../../mutation/record.ts';
import { scanAll } from '../../ports/scan-all.ts';
import { type Change, drop, put, type Storage } from '../../ports/storage.ts';
import { BODY, seqKey, TAIL } from './record-keys.ts';

/** How much of what was confirmed is kept with its payload; 0 of either for nothing. */
export interface TailLimits {
  readonly tailMs: number;
  readonly tailBytes: number;
}

/** One that was confirmed, and its header's text as it was sent. */
export interface ConfirmedText {
  readonly seq: number;
  readonly text: string;
}

/** Those that one commit has confirmed. The headers stand behind it, each on a line of its own. */
interface Part {
  readonly key: string;
  readonly atMs: number;
  readonly sizeBytes: number;
  readonly seqs: readonly number[];
}

/**
 * The mutations that were confirmed last, in the order in which they took effect: a server that was restored, or failed over to
 * one that was behind, has forgotten some of them. Their payloads stay where they stood; what is too old, or too much, goes in
 * the commit that brings something new, so keeping them costs no commit.
 */
export class ConfirmedTail {
  private readonly storage: Storage;
  private readonly limits: TailLimits;
  /** The oldest first; null when it is not known what stands there. */
  private parts: Part[] | null = null;

  constructor(storage: Storage, limits: TailLimits) {
    this.storage = storage;
    this.limits = limits;
  }

  get isKept(): boolean {
    return this.limits.tailMs > 0 && this.limits.tailBytes > 0;
  }

  /** Another tab may have written, or it is not known whether a commit was stored. */
  forget(): void {
    this.parts = null;
  }

  /** What is to be committed, so that these stand at the end; to be called when it is: `committed`. */
  async append(
    confirmed: readonly ConfirmedText[],
    atMs: number,
  ): Promise<{ readonly changes: readonly Change[]; readonly committed: () => void }> {
    const parts = (this.parts ??= await this.load());
    const headers = confirmed.map(({ seq, text }) => {
      const payloadBytes = recordIn(parseHeader, text)?.payloadBytes ?? 0;
      return { seq, text, sizeBytes: text.length + payloadBytes };
    });
    const part: Part = {
      key: seqKey(TAIL, numberOf(parts.at(-1)) + 1),
      atMs,
      sizeBytes: headers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      seqs: headers.map(({ seq }) => seq),
    };
    const kept = headers.length === 0 ? parts : [...parts, part];
    const swept = this.surplus(kept, atMs);
    const isNew = !swept.includes(part) && kept.includes(part);
    const changes = swept.flatMap((each) => (each === part ? dropBodies(each) : [drop(each.key), ...dropBodies(each)]));
    if (isNew)
      changes.push(
        putPart(
          part,
          headers.map(({ text }) => text),
        ),
      );
    return { changes, committed: () => (this.parts = kept.filter((each) => !swept.includes(each))) };
  }

  /** All of it, in the order in which it took effect. What does not read is left out. */
  async read(): Promise<readonly MutationHeader[]> {
    const headers: MutationHeader[] = [];
    for await (const { value } of scanAll(this.storage, TAIL)) {
      headers.push(
        ...value
          .split('\n')
          .slice(1)
          .flatMap((text) => recordIn(parseHeader, text) ?? []),
      );
    }
    return headers;
  }

  /** What is to be committed, so that this one belongs to it no more; its payload stays. */
  async without(seq: number): Promise<readonly Change[]> {
    this.forget();
    for await (const { key, value } of scanAll(this.storage, TAIL)) {
      const part = partOf(key, value);
      const index = part.seqs.indexOf(seq);
      if (index === -1) continue;
      const seqs = part.seqs.filter((each) => each !== seq);
      const texts = value.split('\n').slice(1);
      const left = texts.filter((_, place) => place !== index);
      return [seqs.length === 0 ? drop(key) : putPart({ ...part, seqs }, left)];
    }
    return [];
  }

  /** Forgets all of it, with its payloads. */
  async clear(): Promise<void> {
    this.forget();
    const parts = await this.load();
    const changes = parts.flatMap((part) => [drop(part.key), ...dropBodies(part)]);
    if (changes.length > 0) await this.storage.commit({ expect: [], changes });
  }

  private async load(): Promise<Part[]> {
    const parts: Part[] = [];
    for await (const { key, value } of scanAll(this.storage, TAIL)) parts.push(partOf(key, value));
    return parts;
  }

  /** The oldest that are beyond the limits. */
  private surplus(parts: readonly Part[], nowMs: number): readonly Part[] {
    const { tailMs, tailBytes } = this.limits;
    let sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
    const firstKept = parts.findIndex((part) => {
      const isKept = sizeBytes <= tailBytes && nowMs - part.atMs < tailMs;
      sizeBytes -= part.sizeBytes;
      return isKept;
    });
    return firstKept === -1 ? parts : parts.slice(0, firstKept);
  }
}

function putPart({ key, atMs, sizeBytes, seqs }: Part, texts: readonly string[]): Change {
  return put(key, [JSON.stringify({ atMs, sizeBytes, seqs }), ...texts].join('\n'));
}

/** Takes away its payloads. */
function dropBodies({ seqs }: Part): readonly Change[] {
  return seqs.map((seq) => drop(seqKey(BODY, seq)));
}

/** What does not read is swept first, and its payloads with the store. */
function partOf(key: string, value: string): Part {
  try {
    const { atMs, sizeBytes, seqs } = JSON.parse(value.slice(0, value.indexOf('\n'))) as Omit<Part, 'key'>;
    return { key, atMs, sizeBytes, seqs };
  } catch {
    return { key, atMs: 0, sizeBytes: 0, seqs: [] };
  }
}

function numberOf(part: Part | undefined): number {
  return part === undefined ? 0 : Number.parseInt(part.key.slice(TAIL.length), 36);
}
