import type { CommitResult, Durability, Entry, ScanQuery, Storage, StorageBatch } from '../../ports/storage.ts';
import type { WireError } from '../../protocol/wire.ts';

/** What a page asks of its worker; one group of calls at a time. */
export type ToWorker =
  | { readonly kind: 'open'; readonly name: string }
  | { readonly kind: 'run'; readonly calls: readonly StorageCall[] }
  | { readonly kind: 'close' };

export type StorageCall =
  | { readonly kind: 'commit'; readonly batch: StorageBatch }
  | { readonly kind: 'read'; readonly keys: readonly string[] }
  | { readonly kind: 'scan'; readonly query: ScanQuery }
  | { readonly kind: 'estimate' };

export type FromWorker =
  | { readonly kind: 'opened'; readonly durability: Durability }
  | { readonly kind: 'notOpened'; readonly error: WireError }
  /** One for each call, in their order. */
  | { readonly kind: 'answers'; readonly answers: readonly StorageAnswer[] }
  | { readonly kind: 'closed' };

export type StorageAnswer =
  | {
      readonly kind: 'done';
      readonly value:
        | CommitResult
        | readonly (string | null)[]
        | readonly Entry[]
        | Awaited<ReturnType<Storage['estimate']>>;
    }
  | { readonly kind: 'failed'; readonly error: WireError };
