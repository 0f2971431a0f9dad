import { atomicDefinition } from '../mutation/atomic.ts';
import {
  type AnyMutationDefinition,
  type DeadLetterPolicy,
  RETRY_DEFAULTS,
  type RetryRules,
} from '../mutation/definition.ts';
import {
  completePolicy,
  complaintAboutPolicy,
  type DeliveryPolicy,
  type DeliveryPolicyName,
} from '../mutation/delivery-policy.ts';
import { type HoldfastError, invalidOption } from '../mutation/holdfast-error.ts';
import { OpenTypes } from '../mutation/undeclared.ts';
import { browserNetwork } from '../network/browser-network.ts';
import type { Clock, Random } from '../ports/clock.ts';
import type { NetworkSource } from '../ports/network-source.ts';
import type { ClientAnchor } from '../ports/client-anchor.ts';
import type { OpenKeys } from '../ports/keys.ts';
import type { Persistence } from '../ports/persistence.ts';
import { browserPersistence } from '../storage/browser-persistence.ts';
import type { OpenStorage } from '../ports/storage.ts';
import type { StoragePointer } from '../ports/storage-pointer.ts';
import { browserPointer } from '../storage/browser-pointer.ts';
import { memoryStorage } from '../storage/memory-storage.ts';
import type { OpenTabs } from '../ports/tabs.ts';
import type { Transport } from '../ports/transport.ts';
import { COMPRESS_OVER_LENGTH, compressedStorage } from '../storage/compressed-storage.ts';
import { indexedDbStorage, isIndexedDb } from '../storage/indexeddb-storage.ts';
import { sealedStorage, unsealedStorage } from '../storage/sealed-storage.ts';
import { CACHE_BYTES, TextCache } from '../storage/text-cache.ts';
import type { DebugOption } from '../telemetry/debug-log.ts';
import { browserTabs } from '../tabs/browser-tabs.ts';
import { ATOMIC_TYPE } from '../protocol/wire.ts';
import { systemClock, systemRandom } from '../ports/system-clock.ts';
import { isMarkedSensitive } from '../mutation/record.ts';
import type { Packing } from './pack-pending.ts';
import type { TailLimits } from './store/confirmed-tail.ts';
import { isClearKey } from './store/record-keys.ts';
import { systemIds } from './adding/system-ids.ts';

/** Whose mutations a queue holds. They are stored apart from every other login's, and sent only under this one. */
export interface Identity {
  readonly userId: string;
  readonly workspaceId: string;
}

export interface QueueOptions<Definitions extends readonly AnyMutationDefinition[]> {
  /** Names the app's store on the device; two apps on one origin need two names. */
  readonly name: string;
  readonly identity: Identity;
  /** Every type of mutation that may be added. */
  readonly mutations: Definitions;
  /**
   * What becomes of a type that is not among them: `refuse` rejects with `UNDECLARED_TYPE`, `allow` takes any JSON object as
   * its payload, in a lane of the type's name.
   * @default 'refuse'
   */
  readonly undeclared?: 'refuse' | 'allow';
  /**
   * When what waits may be sent, for types that do not say otherwise: by name, or as data. `wifiPreferred` keeps more than
   * 256 KiB for Wi-Fi, unless the oldest or an outage is 24 h old, 1 MB waits, someone asks, or the priority is high.
   * @default 'immediate'
   */
  readonly deliveryPolicy?: DeliveryPolicy | DeliveryPolicyName;
  /** Carries batches to the server. */
  readonly transport: Transport;
  /** Gives the token to send under, fresh when `refresh` is true; null when nobody is signed in. Leave it out for a server without login. */
  readonly auth?: { readonly getToken: (options: { readonly refresh: boolean }) => Promise<string | null> };
  /** Address of the server's health endpoint, for the browser's network source. @default '/v1/health' */
  readonly probeUrl?: string;
  /** @default IndexedDB with strict durability */
  readonly storage?: OpenStorage;
  /**
   * Seals what is stored: payloads, and everything else that is about a person or their work. While the keys are away, `add`
   * and the others reject with `STORAGE_LOCKED`, nothing is sent, and all is kept; it goes on when they are back. A store that
   * was written without keys is sealed by and by once they are given. See `browserKeys`.
   * `scope: 'sensitive'` seals only mutations of types with `sensitive` fields, each whole; such types need keys in any case.
   * @default nothing is sealed
   */
  readonly encryption?: { readonly keys: OpenKeys; readonly scope?: 'all' | 'sensitive' };
  /**
   * Keeps mutations of types with `sensitive` fields in a secure store; the queue's own store holds references to them
   * (`secureStoreSecrets`). Such types need this, or `encryption`.
   * @default they are sealed
   */
  readonly secrets?: (open: OpenStorage) => OpenStorage;
  /**
   * What becomes of the queue when its store cannot be opened, or breaks and does not come back by being opened again.
   * `memory`: it goes on in another database where there can be one, else in memory, with `durability: 'volatile'`, the event
   * `storageDegraded` and a look every 15 s whether all can move back. `reject`: `ready` and `add` reject.
   * @default 'memory' for the store of the browser (`indexedDbStorage`), 'reject' where another `storage` is given
   */
  readonly whenStorageFails?: 'memory' | 'reject';
  /**
   * Remembers, beside the store, that another database has taken the place of a broken one. With it a store of the app's own may be
   * opened under a second name as well.
   * @default `localStorage` for the store of the browser, none where another `storage` is given
   */
  readonly storagePointer?: StoragePointer | null;
  /**
   * A place beside the store that outlives it, such as the keychain (`secureStoreAnchor`): a store that came back empty, or as it was
   * earlier, is then known at once. In a browser the server keeps one by itself, in a cookie that only it reads.
   * @default none
   */
  readonly anchor?: ClientAnchor;
  /**
   * Asks the platform, once in a run and when the first mutation is added, to keep what is stored when it needs room; `never` leaves
   * that to `requestPersistence()`. Some browsers ask the person.
   * @default 'onFirstAdd' for the store of the browser (`indexedDbStorage`), 'never' where another `storage` is given
   */
  readonly persist?: 'onFirstAdd' | 'never';
  /** Whether what is stored is kept, and how to ask for it. @default `navigator.storage` */
  readonly persistence?: Persistence;
  /** Values longer than this are stored compressed where that pays, in characters; `Infinity` for none. @default 1_024 */
  readonly compressOverLength?: number;
  /**
   * Most memory for values that were decrypted or decompressed lately, in bytes: those that are asked for again (sent again, shown,
   * edited) are not decrypted again. 0 for none.
   * @default 2_097_152
   */
  readonly cacheBytes?: number;
  /**
   * Mutations that are read from the store at a time when the queue opens, at most; the first pages are shorter. Delivery begins
   * when the first one is read.
   * @default 1_000
   */
  readonly readPageCount?: number;
  /** For queues of very many mutations: `packPending()`. @default none */
  readonly packing?: Packing;
  /** @default the browser's */
  readonly network?: NetworkSource;
  /** @default the browser's tabs */
  readonly tabs?: OpenTabs;
  /**
   * Longest wait for the server to answer one attempt, in milliseconds. Running out says nothing about the mutations: the
   * same ids are sent again.
   * @default 30_000
   */
  readonly attemptTimeoutMs?: number;
  /**
   * Most mutations that are pending; `add` then rejects with `QUEUE_FULL`. Dead letters do not count, so that those that
   * nobody looks at keep out no new work.
   * @default 1_000
   */
  readonly queueCapCount?: number;
  /**
   * What happens at the caps. `never`: `add` rejects with `QUEUE_FULL`. `lowPriority`: the oldest mutations of low priority that
   * surely were never sent make room and become dead letters (`EVICTED`), as long as there are fewer dead letters than
   * `queueCapCount`; when that is not enough, `add` rejects. What has expired is a dead letter anyway, and needs no room.
   * @default 'never'
   */
  readonly evict?: 'never' | 'lowPriority';
  /** Most payload bytes of what is pending. @default 10_000_000 */
  readonly queueCapBytes?: number;
  /**
   * What the server has confirmed is kept with its payload for this long, in milliseconds, so that it can be sent again to a
   * server that was restored, or failed over to one that was behind; 0 for not at all. It stays with what else is stored, sealed as that is.
   * @default 3_600_000 (an hour)
   */
  readonly confirmedTailMs?: number;
  /** The same by size: most bytes of what is kept so, headers and payloads. @default 1_000_000 */
  readonly confirmedTailBytes?: number;
  /** @default the platform's */
  readonly clock?: Clock;
  /** @default the platform's */
  readonly random?: Random;
  /**
   * Shows what happens as it happens: true for all of it in the console, some categories, or a function that gets each entry.
   * The log itself is kept in any case: see `exportLog`.
   * @default false
   */
  readonly debug?: DebugOption;
  /** Makes ids: UUIDs of version 7 (RFC 9562) for the given time. @default from the platform's random source */
  readonly newId?: (wallMs: number) => string;
}

/** Options with nothing left open. */
export interface ResolvedOptions {
  readonly name: string;
  readonly identity: Identity;
  readonly definitions: ReadonlyMap<string, AnyMutationDefinition>;
  readonly policyOf: (type: string) => Required<DeliveryPolicy> | null;
  readonly transport: Transport;
  /** Null when the server asks for no login. */
  readonly getToken: ((options: { readonly refresh: boolean }) => Promise<string | null>) | null;
  readonly openStorage: OpenStorage;
  /** Null where the queue is to reject when its store fails. */
  readonly fallback: { readonly openMemory: OpenStorage; readonly pointer: StoragePointer | null } | null;
  readonly readPageCount: number;
  readonly packing: Packing | null;
  readonly anchor: ClientAnchor | null;
  readonly persistence: Persistence;
  readonly persistsOnFirstAdd: boolean;
  readonly network: NetworkSource;
  readonly openTabs: OpenTabs;
  readonly attemptTimeoutMs: number;
  readonly queueCapCount: number;
  readonly queueCapBytes: number;
  readonly evict: 'never' | 'lowPriority';
  readonly tail: TailLimits;
  readonly clock: Clock;
  readonly random: Random;
  readonly newId: (wallMs: number) => string;
  readonly debug: DebugOption;
}

const DEAD_LETTER_POLICIES: readonly DeadLetterPolicy[] = ['continue', 'hold', 'ask'];
export const ATTEMPT_TIMEOUT_MS = 30_000;
export const QUEUE_CAP_COUNT = 1_000;
export const READ_PAGE_COUNT = 1_000;
export const QUEUE_CAP_BYTES = 10_000_000;
/** What is confirmed is kept with its payload this long, in milliseconds, and up to so many bytes. */
export const CONFIRMED_TAIL_MS = 3_600_000;
export const CONFIRMED_TAIL_BYTES = 1_000_000;
/** What is on its way when the queue is paused is given this long to end, in milliseconds. */
export const PAUSE_GRACE_MS = 5_000;
/** History of confirmed mutations is kept this long, in milliseconds. */
export const HISTORY_MS: number = 7 * 24 * 3_600_000;

export function resolveOptions(options: QueueOptions<readonly AnyMutationDefinition[]>): ResolvedOptions {
  if (!Array.isArray(options.mutations))
    throw invalid('mutations', 'a list of what defineMutation gives', options.mutations);
  const attemptTimeoutMs = options.attemptTimeoutMs ?? ATTEMPT_TIMEOUT_MS;
  const queueCapCount = options.queueCapCount ?? QUEUE_CAP_COUNT;
  const queueCapBytes = options.queueCapBytes ?? QUEUE_CAP_BYTES;
  if (!(queueCapCount > 0)) throw invalid('queueCapCount', 'a number above 0', queueCapCount);
  if (options.evict !== undefined && options.evict !== 'never' && options.evict !== 'lowPriority')
    throw invalid('evict', "'never' or 'lowPriority'", options.evict);
  if (!(queueCapBytes > 0)) throw invalid('queueCapBytes', 'a number of bytes above 0', queueCapBytes);
  const { confirmedTailMs = CONFIRMED_TAIL_MS, confirmedTailBytes = CONFIRMED_TAIL_BYTES } = options;
  if (!(confirmedTailMs >= 0))
    throw invalid('confirmedTailMs', 'a number of milliseconds, 0 or above', confirmedTailMs);
  if (!(confirmedTailBytes >= 0))
    throw invalid('confirmedTailBytes', 'a number of bytes, 0 or above', confirmedTailBytes);
  expectText('name', options.name);
  expectText('identity.userId', options.identity?.userId);
  expectText('identity.workspaceId', options.identity?.workspaceId);
  if (!(attemptTimeoutMs > 0)) throw invalid('attemptTimeoutMs', 'a number of milliseconds above 0', attemptTimeoutMs);
  if (options.encryption !== undefined && typeof options.encryption?.keys !== 'function')
    throw invalid(
      'encryption.keys',
      'a function that opens the keys of a store, such as browserKeys()',
      options.encryption?.keys,
    );
  if (options.compressOverLength !== undefined && !(options.compressOverLength >= 0))
    throw invalid('compressOverLength', 'a number of characters, 0 or above', options.compressOverLength);
  if (options.cacheBytes !== undefined && !(options.cacheBytes >= 0))
    throw invalid('cacheBytes', 'a number of bytes, 0 or above', options.cacheBytes);
  const { readPageCount = READ_PAGE_COUNT } = options;
  if (!(Number.isSafeInteger(readPageCount) && readPageCount > 0))
    throw invalid('readPageCount', 'a whole number above 0', readPageCount);
  if (typeof options.transport?.send !== 'function')
    throw invalid('transport', 'a transport, such as httpTransport({ url })', options.transport);
  return {
    name: options.name,
    identity: options.identity,
    definitions: byType(
      options.mutations,
      options.undeclared ?? 'refuse',
      (options.encryption ?? options.secrets) !== undefined,
    ),
    policyOf: policiesOf(options),
    transport: options.transport,
    getToken: options.auth === undefined ? null : (ask) => options.auth?.getToken(ask) ?? Promise.resolve(null),
    openStorage: (options.secrets ?? bare)(layersOn(options.storage ?? indexedDbStorage(), options)),
    fallback: fallbackOf(options),
    anchor: options.anchor ?? null,
    persistence: options.persistence ?? browserPersistence,
    persistsOnFirstAdd: (options.persist ?? (isOfBrowser(options.storage) ? 'onFirstAdd' : 'never')) === 'onFirstAdd',
    readPageCount,
    packing: options.packing ?? null,
    network: options.network ?? browserNetwork({ probeUrl: options.probeUrl ?? '/v1/health' }),
    openTabs: options.tabs ?? browserTabs,
    attemptTimeoutMs,
    queueCapCount,
    queueCapBytes,
    evict: options.evict ?? 'never',
    tail: { tailMs: confirmedTailMs, tailBytes: confirmedTailBytes },
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
    newId: options.newId ?? systemIds(),
    debug: options.debug ?? false,
  };
}

function fallbackOf({
  storage,
  whenStorageFails = isOfBrowser(storage) ? 'memory' : 'reject',
  storagePointer,
}: QueueOptions<readonly AnyMutationDefinition[]>): ResolvedOptions['fallback'] {
  if (whenStorageFails === 'reject') return null;
  if (whenStorageFails !== 'memory') throw invalid('whenStorageFails', "'memory' or 'reject'", whenStorageFails);
  // Another database needs another name, which a store of the app's own need not be able to open.
  const pointer = storagePointer ?? (isOfBrowser(storage) ? browserPointer() : null);
  return { openMemory: memoryStorage(), pointer };
}

/** The store of the browser is looked after, also where its durability is chosen. */
function isOfBrowser(storage: OpenStorage | undefined): boolean {
  return storage === undefined || isIndexedDb(storage);
}

function bare(open: OpenStorage): OpenStorage {
  return open;
}

/** Compressed first: what is sealed looks like noise. */
function layersOn(
  open: OpenStorage,
  {
    encryption,
    compressOverLength = COMPRESS_OVER_LENGTH,
    cacheBytes = CACHE_BYTES,
  }: Pick<QueueOptions<readonly AnyMutationDefinition[]>, 'encryption' | 'compressOverLength' | 'cacheBytes'>,
): OpenStorage {
  const cache = new TextCache(cacheBytes);
  if (encryption === undefined) return compressedStorage(unsealedStorage(open), compressOverLength, cache);
  const { keys, scope = 'all' } = encryption;
  // Whether a value is one of those that are sealed can be seen only before it is compressed.
  return scope === 'sensitive'
    ? sealedStorage(compressedStorage(open, compressOverLength, cache), { keys, isSealed: isMarkedSensitive, cache })
    : compressedStorage(sealedStorage(open, { keys, isClear: isClearKey, cache }), compressOverLength, cache);
}

/** Types with a policy of their own, and the queue's for the others. The same data is the same policy. */
function policiesOf({
  deliveryPolicy,
  mutations,
}: QueueOptions<readonly AnyMutationDefinition[]>): (type: string) => Required<DeliveryPolicy> | null {
  const completed = new Map<unknown, Required<DeliveryPolicy> | null>();
  const complete = (option: string, policy: DeliveryPolicy | DeliveryPolicyName = 'immediate') => {
    const complaint = complaintAboutPolicy(policy);
    if (complaint !== null) throw invalid(option, `a delivery policy that makes sense (${complaint})`, policy);
    const known = completed.get(policy);
    if (known !== undefined) return known;
    completed.set(policy, completePolicy(policy));
    return completed.get(policy) ?? null;
  };
  const ofQueue = complete('deliveryPolicy', deliveryPolicy);
  const ofTypes = new Map(
    mutations.flatMap(({ type, deliveryPolicy: own }) =>
      own === undefined ? [] : [[type, complete(`deliveryPolicy of ${type}`, own)] as const],
    ),
  );
  return (type) => (ofTypes.has(type) ? (ofTypes.get(type) ?? null) : ofQueue);
}

export function retryRulesOf(definition: AnyMutationDefinition | undefined): RetryRules {
  return { ...RETRY_DEFAULTS, ...definition?.retry };
}

export function onDeadLetterOf(definition: AnyMutationDefinition | undefined): DeadLetterPolicy {
  return definition?.onDeadLetter ?? 'continue';
}

function byType(
  definitions: readonly AnyMutationDefinition[],
  undeclared: 'refuse' | 'allow',
  canHide: boolean,
): ReadonlyMap<string, AnyMutationDefinition> {
  const map = undeclared === 'allow' ? new OpenTypes() : new Map<string, AnyMutationDefinition>();
  for (const definition of definitions) {
    if (map.has(definition.type)) throw invalid('mutations', 'types that differ', definition.type);
    const policy = onDeadLetterOf(definition);
    if (!DEAD_LETTER_POLICIES.includes(policy))
      throw invalid(`${definition.type}.onDeadLetter`, "'continue', 'hold' or 'ask'", policy);
    checkVersions(definition);
    checkSensitive(definition, canHide);
    map.set(definition.type, definition);
  }
  map.set(ATOMIC_TYPE, atomicDefinition(map));
  return map;
}

function checkSensitive({ type, sensitive }: AnyMutationDefinition, canHide: boolean): void {
  if (sensitive === undefined) return;
  const isList: boolean =
    Array.isArray(sensitive) && sensitive.every((field) => typeof field === 'string' && field !== '');
  if (!isList) throw invalid(`${type}.sensitive`, 'names of fields of its payload', sensitive);
  if (sensitive.length > 0 && !canHide)
    throw invalid(
      'encryption',
      `given, with keys such as browserKeys(), or else \`secrets\`, since ${type} has sensitive fields`,
      undefined,
    );
}

function checkVersions({ type, version = 1, migrate = {} }: AnyMutationDefinition): void {
  if (!(Number.isSafeInteger(version) && version >= 1))
    throw invalid(`${type}.version`, 'a whole number from 1', version);
  for (const [from, step] of Object.entries(migrate)) {
    const isEarlier = Number.isSafeInteger(Number(from)) && Number(from) >= 1 && Number(from) < version;
    if (!isEarlier) throw invalid(`${type}.migrate`, `steps from versions before ${version}, such as 1`, from);
    if (typeof step !== 'function') throw invalid(`${type}.migrate[${from}]`, 'a function', step);
  }
}

function expectText(option: string, value: unknown): void {
  if (typeof value !== 'string' || value === '') throw invalid(option, 'a text that is not empty', value);
}

function invalid(option: string, expected: string, actual: unknown): HoldfastError {
  const came = typeof actual === 'string' ? JSON.stringify(actual) : String(actual);
  const message = `createQueue: \`${option}\` must be ${expected}; it is ${came}.`;
  return invalidOption(option, message, `Correct \`${option}\` where the queue is created.`);
}
