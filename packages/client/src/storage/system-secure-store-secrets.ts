import { isMarkedSensitive } from '../mutation/record.ts';
import {
  apartUnder,
  type Change,
  type CommitResult,
  type Entry,
  type Expectation,
  type OpenStorage,
  repairIn,
  type ScanQuery,
  type Storage,
  type StorageApart,
  type StorageBatch,
} from '../ports/storage.ts';
import { toBase64 } from './base64.ts';
import { type Coding, commitCoded } from './coded-commit.ts';
import { unlocked } from './storage-locked.ts';
import type { SecureStore } from './system-secure-store-keys.ts';

export interface SecureStoreSecretsOptions<Options = unknown> {
  /**
   * Given along with each call. For a queue that sends in the background the secrets must be there after the first unlock
   * (`{ keychainAccessible: SecureStore.AFTER_FIRST_UNLOCK_THIS_DEVICE_ONLY }`).
   */
  readonly storeOptions?: Options;
}

/** What stands in the place of a secret: its name in the secure store, and of how many pieces it is there. */
const REFERENCE = /^~secret:([\w-]{22})\.(\d{1,4})$/;
/** Of each secret, before it is made and until it is gone: of how many pieces it is, and under which key it is referred to. */
const NOTE = 's/';
/** In the place of that key: nobody refers to it any more, and nobody will. */
const LEFT_OVER = '-';
/** Secure stores take values of about 2,048 bytes. */
const PIECE_LENGTH = 2_000;
/** Notes that are looked at at a time. */
const PAGE_COUNT = 100;
/** Asked for to find out whether the secure store answers. */
const CHECK = 'holdfast.secret.check';

/**
 * Keeps mutations with `sensitive` fields in a secure store (Keychain, Keystore): the queue's own store holds references to them, which are
 * resolved when they are read, which of a payload is when it is sent or shown: `createQueue({ secrets: secureStoreSecrets(SecureStore) })`.
 *
 *   noted ──▶ kept in the secure store ──▶ referred to ──settled──▶ left over ──▶ taken out of the secure store ──▶ note gone
 *
 * A secret is never changed: what is rewritten is another one. So a kill at any step leaves a note of what nobody refers to, and the next
 * opening takes that away. While the secure store is locked, so is the queue; a single secret that is gone makes its mutation unreadable.
 */
export function secureStoreSecrets<Options>(
  store: SecureStore<Options>,
  { storeOptions }: SecureStoreSecretsOptions<Options> = {},
): (open: OpenStorage) => OpenStorage {
  return (open) => async (name) => {
    const secrets = new SecretStorage(await open(name), {
      name,
      get: (at) => unlocked(() => store.getItemAsync(at, storeOptions)),
      set: (at, value) => unlocked(() => store.setItemAsync(at, value, storeOptions)),
      remove: (at) => unlocked(() => store.deleteItemAsync(at, storeOptions)),
    });
    secrets.start();
    return secrets;
  };
}

/** Where a secret is kept. */
interface Secret {
  readonly ref: string;
  readonly pieceCount: number;
}

/** The secure store, for the store of this name. Each call rejects with `STORAGE_LOCKED` where it cannot be done. */
interface Vault {
  readonly name: string;
  get(at: string): Promise<string | null>;
  set(at: string, value: string): Promise<void>;
  remove(at: string): Promise<void>;
}

class SecretStorage implements Storage {
  private readonly storage: Storage;
  private readonly vault: Vault;
  private readonly coding: Coding;
  /** By the keys of their notes: secrets that this tab has made or met. It looks after these alone: others may just be being made. */
  private readonly known = new Map<string, Noted>();
  /** Keys of notes of what this tab is just storing. */
  private readonly making = new Set<string>();
  /** Commits reach the store in the order in which they were called, however long the secure store takes. */
  private last: Promise<unknown> = Promise.resolve();
  private sweeping: Promise<void> | null = null;
  private isToSweep = false;

  constructor(storage: Storage, vault: Vault) {
    this.storage = storage;
    this.vault = vault;
    this.coding = {
      storedForm: (_, value) => (isMarkedSensitive(value) ? null : value),
      decode: (entries) => this.opened(async () => entries) as Promise<readonly string[]>,
    };
  }

  get durability(): Storage['durability'] {
    return this.storage.durability;
  }

  get apart(): StorageApart | undefined {
    return apartUnder(this.storage, (storage) => new SecretStorage(storage, this.vault));
  }

  commit(batch: StorageBatch): Promise<CommitResult> {
    const committed = this.last.then(() => this.commitNow(batch));
    this.last = committed.catch(() => {});
    return committed;
  }

  async read(keys: readonly string[]): Promise<readonly (string | null)[]> {
    return this.opened(async () => {
      const values = await this.storage.read(keys);
      return keys.map((key, index) => ({ key, value: values[index] ?? null }));
    });
  }

  async scan(query: ScanQuery): Promise<readonly Entry[]> {
    let entries: readonly Entry[] = [];
    const texts = await this.opened(async () => {
      entries = await this.storage.scan(query);
      return entries;
    });
    return entries.map(({ key }, index) => ({ key, value: texts[index] ?? '' }));
  }

  estimate(): ReturnType<Storage['estimate']> {
    return this.storage.estimate();
  }

  repair(keys: readonly string[]): Promise<boolean> {
    return repairIn(this.storage, keys);
  }

  async close(): Promise<void> {
    await this.last;
    await this.sweeping;
    await this.storage.close();
  }

  private async commitNow({ expect, changes }: StorageBatch): Promise<CommitResult> {
    // An empty batch asks whether the secure store is there.
    if (changes.length === 0) await this.vault.get(CHECK);
    await this.meet(changes.flatMap((change) => (change.kind === 'delete' ? [change.key] : [])));
    for (;;) {
      const made: Entry[] = [];
      try {
        const referring = await this.keep(changes, made);
        const result = await commitCoded(this.storage, this.coding, { expect, changes: referring }, made);
        // Another tab has just opened, and has taken what was being made for left over, perhaps before it was there.
        const isTaken = result.kind === 'mismatch' && result.key.startsWith(NOTE);
        if (isTaken) await this.forget(made.map(notedIn));
        if (result.kind === 'mismatch' || changes.some(({ kind }) => kind === 'delete')) this.sweepLater();
        if (!isTaken) return result;
      } catch (error) {
        this.sweepLater();
        throw error;
      } finally {
        for (const { key } of made) this.making.delete(key);
      }
    }
  }

  /** What is deleted may be what another tab has stored, and this one has not read. */
  private async meet(keys: readonly string[]): Promise<void> {
    if (keys.length === 0 || this.known.size === 0) return;
    const values = await this.storage.read(keys);
    for (const [index, key] of keys.entries()) this.secretAt(key, values[index] ?? null);
  }

  /** Null for what is no reference. */
  private secretAt(key: string, value: string | null): Secret | null {
    const secret = value === null ? null : secretIn(value);
    if (secret === null) return null;
    const note = { key: NOTE + secret.ref, value: noteOf(secret, key) };
    this.known.set(note.key, { note, secret, key });
    return secret;
  }

  /**
   * Brings what is sensitive into the secure store, and says what refers to it. What is `made` is noted first: a crash leaves none that nobody
   * knows of.
   */
  private async keep(changes: readonly Change[], made: Entry[]): Promise<readonly Change[]> {
    const pieces: (readonly [string, string])[] = [];
    const referring = changes.map((change): Change => {
      if (change.kind === 'delete' || !isMarkedSensitive(change.value)) return change;
      const { key, value } = change;
      const own = piecesOf(this.boundTo(key) + value);
      const secret = { ref: newRef(), pieceCount: own.length };
      made.push({ key: NOTE + secret.ref, value: noteOf(secret, key) });
      for (const [at, name] of namesOf(secret).entries()) pieces.push([name, own[at] ?? '']);
      return { kind: 'put', key, value: referenceTo(secret) };
    });
    if (made.length === 0) return changes;
    for (const note of made) {
      this.known.set(note.key, notedIn(note));
      this.making.add(note.key);
    }
    await this.storage.commit({ expect: [], changes: made.map((note) => ({ kind: 'put', ...note })) });
    // All of them have ended, whichever failed: nothing may come into being once its note is gone.
    const ends = await Promise.allSettled(pieces.map(([name, piece]) => this.vault.set(name, piece)));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    return referring;
  }

  /**
   * What is found, with secrets in the place of references to them. Where one is gone it is looked at again: whoever has put something else
   * in its place has taken it away. What is gone for good comes as it stands.
   */
  private async opened<Value extends string | null>(
    look: () => Promise<readonly { readonly key: string; readonly value: Value }[]>,
  ): Promise<readonly (Value | string)[]> {
    for (let gone = ''; ; ) {
      const found = await look();
      const texts = await Promise.all(found.map(({ key, value }) => this.resolved(key, value)));
      const goneNow = found.flatMap(({ value }, index) => (texts[index] === undefined ? [value] : [])).join();
      if (goneNow === gone) return found.map(({ value }, index) => texts[index] ?? value);
      gone = goneNow;
    }
  }

  /** Undefined for a reference to what is not there, or to what belongs elsewhere. */
  private async resolved<Value extends string | null>(key: string, value: Value): Promise<Value | string | undefined> {
    const secret = this.secretAt(key, value);
    if (secret === null) return value;
    const pieces = await Promise.all(namesOf(secret).map((name) => this.vault.get(name)));
    const bound = this.boundTo(key);
    const text = pieces.includes(null) ? '' : unescaped(pieces.join(''));
    return text.startsWith(bound) ? text.slice(bound.length) : undefined;
  }

  /** What stands before a secret: moved elsewhere, a reference opens nothing. */
  private boundTo(key: string): string {
    return `${this.vault.name}\n${key}\n`;
  }

  /** Takes away what a crash has left, and whatever else nobody refers to. */
  start(): void {
    this.sweeping = this.sweep(async () => {
      for (let after = NOTE; ; ) {
        const page = await this.storage.scan({ prefix: NOTE, after, limit: PAGE_COUNT });
        const last = page.at(-1);
        if (last === undefined) return;
        after = last.key;
        await this.removeOver(page.map(notedIn));
      }
    });
  }

  /** Calls made while it is at work share the next one. */
  private sweepLater(): void {
    this.isToSweep = this.known.size > 0 || this.sweeping !== null;
    if (this.isToSweep) this.sweeping ??= this.sweep(async () => {});
  }

  /** What goes wrong is tried again by the next one, or by the next opening. */
  private async sweep(first: () => Promise<void>): Promise<void> {
    try {
      await first();
      while (this.isToSweep) {
        this.isToSweep = false;
        const known = [...this.known.values()];
        for (let from = 0; from < known.length; from += PAGE_COUNT)
          await this.removeOver(known.slice(from, from + PAGE_COUNT));
      }
    } catch {
      this.isToSweep = false;
    } finally {
      this.sweeping = null;
    }
  }

  /** Takes away those of these that nobody refers to (any more). */
  private async removeOver(all: readonly Noted[]): Promise<void> {
    const noted = all.filter(({ note }) => !this.making.has(note.key));
    const texts = await this.storage.read([...noted.map(({ note }) => note.key), ...noted.map(({ key }) => key)]);
    const over: Noted[] = [];
    const expected: Expectation[] = [];
    for (const [index, each] of noted.entries()) {
      const [note = null, standing = null] = [texts[index], texts[noted.length + index]];
      const isUsed = standing === referenceTo(each.secret);
      if (note === null) this.known.delete(each.note.key);
      else if (isUsed) this.known.set(each.note.key, each);
      if (note === null || isUsed || this.making.has(each.note.key)) continue;
      over.push(each);
      expected.push({ key: each.note.key, value: note }, { key: each.key, value: standing });
    }
    if (over.length === 0) return;
    // Said before they go, and only as long as nothing refers to them: whoever is just making one finds out, and makes another.
    const result = await this.storage.commit({
      expect: expected,
      changes: over.map(({ note, secret }) => ({ kind: 'put', key: note.key, value: noteOf(secret, LEFT_OVER) })),
    });
    if (result.kind === 'mismatch') return;
    await this.forget(over);
    await this.storage.commit({ expect: [], changes: over.map(({ note }) => ({ kind: 'delete', key: note.key })) });
    for (const { note } of over) this.known.delete(note.key);
  }

  private async forget(noted: readonly Noted[]): Promise<void> {
    await Promise.all(noted.flatMap(({ secret }) => namesOf(secret)).map((name) => this.vault.remove(name)));
  }
}

/** A note, and what it says. */
interface Noted {
  readonly note: Entry;
  readonly secret: Secret;
  /** Under which it is referred to. */
  readonly key: string;
}

function notedIn(note: Entry): Noted {
  const at = note.value.indexOf(' ');
  const secret = { ref: note.key.slice(NOTE.length), pieceCount: Number(note.value.slice(0, at)) };
  return { note, secret, key: note.value.slice(at + 1) };
}

function noteOf({ pieceCount }: Secret, key: string): string {
  return `${pieceCount} ${key}`;
}

function referenceTo({ ref, pieceCount }: Secret): string {
  return `~secret:${ref}.${pieceCount}`;
}

function secretIn(value: string): Secret | null {
  const [, ref = '', pieceCount = ''] = REFERENCE.exec(value) ?? [];
  return ref === '' ? null : { ref, pieceCount: Number(pieceCount) };
}

/** Secure stores take letters, digits, `.`, `-` and `_`. */
function namesOf({ ref, pieceCount }: Secret): readonly string[] {
  return Array.from({ length: pieceCount }, (_, at) => `holdfast.secret.${ref}.${at}`);
}

/** Never given out before: whoever finds a reference finds what was kept for it, or nothing. */
function newRef(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return toBase64(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** In plain signs, a byte each: whatever becomes of text beyond them on its way through a bridge, this comes back as it was. */
function piecesOf(text: string): readonly string[] {
  const plain = text.replaceAll(/[^ -~]|\\/g, (sign) => `\\${sign.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return Array.from({ length: Math.ceil(plain.length / PIECE_LENGTH) }, (_, at) =>
    plain.slice(at * PIECE_LENGTH, (at + 1) * PIECE_LENGTH),
  );
}

function unescaped(plain: string): string {
  return plain.replaceAll(/\\([\da-f]{4})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}
