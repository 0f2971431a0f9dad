import type { CommitResult, Entry, ScanQuery, StorageBatch } from '../../ports/storage.ts';
import type { WireError } from '../../protocol/wire.ts';

/** What a page asks of its worker; one group of calls at a time. */
export type ToWorker =
  | { readonly kind: 'open'; readonly name: string }
  | { readonly kind: 'run'; readonly calls: readonly LogCall[] }
  /** The page is put away: others may have the files. */
  | { readonly kind: 'rest' }
  | { readonly kind: 'close' };

export type LogCall =
  | { readonly kind: 'commit'; readonly batch: StorageBatch }
  | { readonly kind: 'read'; readonly keys: readonly string[] }
  | { readonly kind: 'scan'; readonly query: ScanQuery };

export type FromWorker =
  | { readonly kind: 'opened' }
  | { readonly kind: 'notOpened'; readonly error: WireError }
  /** One for each call, in their order. */
  | { readonly kind: 'answers'; readonly answers: readonly LogAnswer[] }
  | { readonly kind: 'closed' };

export type LogAnswer =
  | { readonly kind: 'done'; readonly value: CommitResult | readonly (string | null)[] | readonly Entry[] }
  | { readonly kind: 'failed'; readonly error: WireError };
