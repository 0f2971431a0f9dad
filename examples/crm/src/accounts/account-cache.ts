import { type AccountChanges, type CrmState, isEmpty, withChanges } from './crm-state.ts';

/**
 * The last list of accounts, contacts and deals, kept on this device: one whole list, and what changed since in small pieces, so that a
 * refresh writes little. Tabs write side by side; pieces that do not join on to what is there are left out when reading.
 */
export interface AccountCache {
  /** Null when there is none, or when the device gives nothing back. */
  readonly load: () => Promise<CrmState | null>;
  /** Keeps what a refresh brought; `after` is the state with it. Refreshes are handed in one after another. */
  readonly keep: (changes: AccountChanges, after: CrmState) => Promise<void>;
}

const DATABASE = 'meridian-accounts';
/** One higher whenever what is kept has another shape; what was kept in an earlier one is fetched anew. */
const VERSION = 2;
/** Pieces are folded into the whole list when there are more than these. */
const PIECE_COUNT_MAX = 200;

interface Whole {
  readonly scope: string;
  readonly cursor: string;
  /** JSON: quicker to read back than thousands of objects. */
  readonly text: string;
}

interface Piece {
  readonly scope: string;
  readonly from: string;
  readonly changes: AccountChanges;
}

/** `scope` keeps the lists of two users apart. A device that refuses to keep anything is told of in `onProblem`. */
export function createAccountCache(scope: string, onProblem: (error: unknown) => void): AccountCache {
  let opening: Promise<IDBDatabase> | null = null;
  const open = (): Promise<IDBDatabase> => {
    opening ??= openDatabase();
    opening.catch(() => {
      opening = null;
    });
    return opening;
  };
  /** How far what is kept reaches without a gap; null when the next thing to keep must be a whole list. */
  let keptCursor: string | null = null;
  return {
    load: async () => {
      try {
        const state = await load(await open(), scope);
        keptCursor = state?.cursor ?? null;
        return state;
      } catch (error) {
        onProblem(error);
        return null;
      }
    },
    keep: async (changes, after) => {
      if (isEmpty(changes)) return;
      const from = changes.isWhole ? null : keptCursor;
      keptCursor = null; // until it is there
      try {
        const database = await open();
        if (from === null || (await countPieces(database, scope)) >= PIECE_COUNT_MAX) {
          await keepWhole(database, scope, after);
        } else {
          await keepPiece(database, { scope, from, changes });
        }
        keptCursor = changes.cursor;
      } catch (error) {
        onProblem(error);
      }
    },
  };
}

/** Joins pieces on to a whole list: in order, and only where each begins no later than what is known so far. */
export function joinPieces(whole: CrmState, pieces: readonly Omit<Piece, 'scope'>[]): CrmState {
  const sorted = pieces.toSorted((a, b) => compareCursors(a.changes.cursor, b.changes.cursor));
  let state = whole;
  for (const { from, changes } of sorted) {
    if (state.cursor === null || !isSameDatabase(from, state.cursor)) continue;
    if (compareCursors(from, state.cursor) > 0 || compareCursors(changes.cursor, state.cursor) < 0) continue;
    state = withChanges(state, changes);
  }
  return state;
}

/** A cursor is `<database>.<transaction>`. */
function compareCursors(a: string, b: string): number {
  const difference = transactionOf(a) - transactionOf(b);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

function transactionOf(cursor: string): bigint {
  return BigInt(cursor.split('.')[1] ?? '0');
}

function isSameDatabase(a: string, b: string): boolean {
  return a.split('.')[0] === b.split('.')[0];
}

async function load(database: IDBDatabase, scope: string): Promise<CrmState | null> {
  const transaction = database.transaction(['wholes', 'pieces']);
  const [whole, pieces] = await Promise.all([
    requested(transaction.objectStore('wholes').get(scope) as IDBRequest<Whole | undefined>),
    requested(transaction.objectStore('pieces').index('scope').getAll(scope) as IDBRequest<Piece[]>),
  ]);
  if (whole === undefined) return null;
  return joinPieces({ ...(JSON.parse(whole.text) as Omit<CrmState, 'cursor'>), cursor: whole.cursor }, pieces);
}

async function countPieces(database: IDBDatabase, scope: string): Promise<number> {
  return await requested(database.transaction('pieces').objectStore('pieces').index('scope').count(scope));
}

/** Replaces the whole list and drops the pieces, all of which are contained in it or asked for again. */
async function keepWhole(database: IDBDatabase, scope: string, state: CrmState): Promise<void> {
  const { cursor, ...tables } = state;
  if (cursor === null) return;
  const whole: Whole = { scope, cursor, text: JSON.stringify(tables) };
  const transaction = database.transaction(['wholes', 'pieces'], 'readwrite');
  transaction.objectStore('wholes').put(whole);
  const cursors = transaction.objectStore('pieces').index('scope').openKeyCursor(scope);
  cursors.onsuccess = () => {
    const cursor = cursors.result;
    if (cursor === null) return;
    transaction.objectStore('pieces').delete(cursor.primaryKey);
    cursor.continue();
  };
  await finished(transaction);
}

async function keepPiece(database: IDBDatabase, piece: Piece): Promise<void> {
  const transaction = database.transaction('pieces', 'readwrite');
  transaction.objectStore('pieces').add(piece);
  await finished(transaction);
}

function openDatabase(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, VERSION);
    request.onupgradeneeded = () => {
      for (const name of request.result.objectStoreNames) request.result.deleteObjectStore(name);
      request.result.createObjectStore('wholes', { keyPath: 'scope' });
      request.result.createObjectStore('pieces', { autoIncrement: true }).createIndex('scope', 'scope');
    };
    request.onsuccess = () => {
      request.result.onversionchange = () => request.result.close();
      resolve(request.result);
    };
    request.onerror = () => reject(request.error ?? new Error('The cache could not be opened.'));
  });
}

function requested<Result>(request: IDBRequest<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('The cache could not be read.'));
  });
}

function finished(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onerror = () => reject(transaction.error ?? new Error('The cache could not be written.'));
    transaction.onabort = () => reject(transaction.error ?? new Error('The cache could not be written.'));
  });
}
